"""Tiny CLIPs that open_clip builds in a moment, with weights that the tests make."""

from __future__ import annotations

import json
import re

import open_clip
import torch

TEXT = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
CONFIGS = {
    "tiny-vit": {"embed_dim": 16, "vision_cfg": {"image_size": 48, "layers": 2, "width": 64, "patch_size": 8}},
    "tiny-vit-quickgelu": {
        "embed_dim": 16,
        "quick_gelu": True,
        "vision_cfg": {"image_size": 48, "layers": 2, "width": 64, "patch_size": 8},
    },
    "tiny-resnet": {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 16, "patch_size": None},
    },
    "tiny-timm": {
        "embed_dim": 16,
        "vision_cfg": {
            "image_size": 64, "timm_model_name": "resnet10t", "timm_model_pretrained": False, "timm_pool": "",
            "timm_proj": "linear", "timm_drop": 0.0, "timm_drop_path": None,
        },
    },
}  # fmt: skip


def register(folder):
    """Let open_clip know the configurations."""
    for name, config in CONFIGS.items():
        (folder / f"{name}.json").write_text(json.dumps(config | {"text_cfg": TEXT}))
    open_clip.add_model_config(folder)


def make(name, seed=0):
    """A model with random weights."""
    torch.manual_seed(seed)
    return open_clip.create_model(name).eval()


def in_alpha_clips_names(state):
    """A CLIP's weights, or its image tower's, as AlphaCLIP's checkpoints name them."""
    renamed = {}
    for name, tensor in state.items():
        renamed[re.sub(r"attn\.in_proj_(weight|bias)$", r"attn.in_proj.\1", name)] = tensor.clone()
    return renamed
