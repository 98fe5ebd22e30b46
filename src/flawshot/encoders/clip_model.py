"""open_clip's models, with weights by tag or from a local file."""

from __future__ import annotations

import difflib
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import open_clip
from open_clip.convert import convert_state_dict
from timm.data import (
    IMAGENET_DEFAULT_MEAN,
    IMAGENET_DEFAULT_STD,
    IMAGENET_INCEPTION_MEAN,
    IMAGENET_INCEPTION_STD,
)

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError
from flawshot.encoders.preprocessing import CLIP_PREPROCESSING, Preprocessing, expected_by_file
from flawshot.encoders.weights import downloading, read_weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

__all__ = ["build_model", "clip_preprocessing", "empty_model", "load_into"]

# Preprocessing by name, for weights of which open_clip knows no tags.
NAMED_PREPROCESSING = {
    "clip": CLIP_PREPROCESSING,
    "imagenet": Preprocessing(IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD, "bicubic"),
    "inception": Preprocessing(IMAGENET_INCEPTION_MEAN, IMAGENET_INCEPTION_STD, "bicubic"),
}


def build_model(model: str, pretrained: str, activation: str | None) -> tuple[Any, list[str]]:
    """An open_clip model with its weights, on the CPU, and remarks about them.

    Raises:
        FlawshotError: As for :class:`flawshot.OpenClipEncoder`.
    """
    config = open_clip.get_model_config(model)
    if config is None:
        near = difflib.get_close_matches(model, open_clip.list_models(), 3, 0.4)
        hint = f"; similar: {', '.join(near)}" if near else ""
        raise FlawshotError(f"{argument('model', model)}: is not an open_clip model{hint}")
    own = "quickgelu" if config.get("quick_gelu") else "gelu"
    tag = open_clip.get_pretrained_cfg(model, pretrained)
    if tag:
        if activation is not None:
            raise FlawshotError(
                f"{argument('activation', activation)}: is for local files; the tag {pretrained} has its own"
            )
        return _from_tag(model, pretrained, own, "quickgelu" if tag.get("quick_gelu") else "gelu"), []
    path = Path(pretrained)
    if not path.exists() and not path.suffix:
        tags = open_clip.list_pretrained_tags_by_model(model)
        raise FlawshotError(
            f"{argument('pretrained', pretrained)}: is neither a file nor a tag of {model}: {', '.join(tags) or 'none'}"
        )
    remarks = []
    if activation is None:
        remarks.append(f"{path.name}: does not state its activation; used {own} as for {model}; name another if wrong")
    built = empty_model(model, quickgelu=(activation or own) == "quickgelu")
    state = convert_state_dict(built, read_weights(path))
    load_into(built, state, path)
    return built, remarks


def clip_preprocessing(model: str, pretrained: str, like: str | None = None) -> tuple[Preprocessing, list[str]]:
    """What a model's weights expect of their input, from open_clip's configuration, and remarks about it.

    A local file does not say what it expects: it is taken to be what the model's tags do. If they differ, or there are
    none, the choice is a remark.

    Args:
        model: The model.
        pretrained: A tag, or a local file.
        like: For a local file, the tag whose preprocessing it expects; or ``clip``, ``imagenet`` or ``inception``.

    Raises:
        FlawshotError: If there is no such tag.
    """
    tags = open_clip.list_pretrained_tags_by_model(model)
    if config := open_clip.get_pretrained_cfg(model, pretrained):
        if like is not None:
            raise FlawshotError(
                f"{argument('preprocessing', like)}: is for local files; the tag {pretrained} has its own"
            )
        return Preprocessing.of(_completed(config), model), []
    known = {tag: Preprocessing.of(_completed(open_clip.get_pretrained_cfg(model, tag)), model) for tag in tags}
    path = Path(pretrained)
    expected, remarks = expected_by_file(path, model, known, like, NAMED_PREPROCESSING)
    if expected is None:
        remark = f"{path.name}: does not state its preprocessing, nor does open_clip for {model}"
        return CLIP_PREPROCESSING, [f"{remark}; used clip; name another if wrong"]
    return expected, remarks


def _completed(config: Mapping[str, Any]) -> dict[str, Any]:
    """A tag's configuration with open_clip's defaults."""
    usual = CLIP_PREPROCESSING._asdict()
    return usual | {name: config[name] for name in usual if config.get(name)}


def empty_model(model: str, *, quickgelu: bool) -> Any:
    """An open_clip model without weights; nothing is downloaded."""
    config = open_clip.get_model_config(model) or {}
    if not quickgelu and config.get("quick_gelu"):
        raise FlawshotError(
            f"{argument('activation', 'gelu')}: {model} has QuickGELU; name the model without -quickgelu"
        )
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # open_clip warns that there are no weights; these are loaded next
    try:
        return open_clip.create_model(
            model, pretrained=None, force_quick_gelu=quickgelu, pretrained_image=False, pretrained_text=False
        )
    finally:
        root.setLevel(level)


def load_into(built: Any, state: dict[str, torch.Tensor], path: Path) -> None:
    """Load a state dictionary that must fit exactly.

    Raises:
        FlawshotError: With the tensors that are missing, surplus, or of another shape.
    """
    own = built.state_dict()
    missing, surplus = sorted(set(own) - set(state)), sorted(set(state) - set(own))
    shapes = [name for name in own if name in state and own[name].shape != state[name].shape]
    if missing or surplus or shapes:
        parts = [
            f"{len(names)} {what} ({names[0]})"
            for names, what in ((missing, "missing"), (surplus, "surplus"), (shapes, "of another shape"))
            if names
        ]
        raise FlawshotError(f"{argument('pretrained', path)}: does not fit the {argument('model')}: {', '.join(parts)}")
    built.load_state_dict(state)


def _from_tag(model: str, pretrained: str, own: str, expected: str) -> Any:
    if own != expected:
        other = f"{model}-quickgelu" if expected == "quickgelu" else model.removesuffix("-quickgelu")
        raise FlawshotError(
            f"{argument('pretrained', pretrained)}: its weights expect {expected}, {model} has {own}; use {other}"
        )
    with downloading(pretrained):
        return open_clip.create_model(model, pretrained=pretrained, require_pretrained=True)
