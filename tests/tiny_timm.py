"""A tiny vision transformer with registers, as DINOv2's are, which timm builds in a moment."""

from __future__ import annotations

from timm.models import generate_default_cfgs, register_model
from timm.models.vision_transformer import _cfg, _create_vision_transformer

__all__ = ["REGISTERS"]

REGISTERS = "tiny_vit_reg4_for_tests"

default_cfgs = generate_default_cfgs({
    f"{REGISTERS}.clip_like": _cfg(input_size=(3, 70, 70), mean=(0.48, 0.46, 0.41), interpolation="bicubic"),
    f"{REGISTERS}.plain": _cfg(input_size=(3, 70, 70), mean=(0.5, 0.5, 0.5), interpolation="bilinear"),
})  # fmt: skip


@register_model
def tiny_vit_reg4_for_tests(pretrained=False, **options):
    """CLS token, four registers, layer scale; 5 x 5 patches of 14 px."""
    own = {
        "img_size": 70, "patch_size": 14, "embed_dim": 64, "depth": 2, "num_heads": 2, "init_values": 0.5,
        "reg_tokens": 4, "no_embed_class": True,
    }  # fmt: skip
    return _create_vision_transformer(REGISTERS, pretrained=pretrained, **own | options)
