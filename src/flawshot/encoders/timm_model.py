"""timm's models, with weights by tag or from a local file."""

from __future__ import annotations

import difflib
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import timm
from timm.data.config import resolve_data_config

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError
from flawshot.encoders.clip_model import NAMED_PREPROCESSING, load_into
from flawshot.encoders.preprocessing import Preprocessing, expected_by_file
from flawshot.encoders.weights import downloading, read_weights

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch

__all__ = ["PREFIX", "BuiltModel", "build_timm", "timm_names", "timm_tags"]

PREFIX = "timm/"
# The tag that stands for whichever of a model's weights timm prefers.
PREFERRED = "yes"


class BuiltModel(NamedTuple):
    """A model of timm's with its weights, on the CPU.

    Attributes:
        model: The model, without its classifier.
        weights: The tag, or the name of the file, of its weights.
        expected: What the weights expect of their input.
        side: The side of the input that they were trained for, in px.
        remarks: Remarks for the user, one line each.
    """

    model: Any
    weights: str
    expected: Preprocessing
    side: int
    remarks: list[str]


@cache
def timm_names() -> tuple[str, ...]:
    """The models that timm knows, by the names that they have here."""
    return tuple(f"{PREFIX}{name}" for name in timm.list_models())


def timm_tags(model: str) -> list[str]:
    """The tags of a model's weights, the one that timm prefers first."""
    tags = [name.partition(".")[2] for name in timm.list_pretrained(f"{model}.*")]
    usual = getattr(timm.get_pretrained_cfg(model, allow_unregistered=True), "tag", None)
    return sorted(tags, key=lambda tag: tag != usual)


def build_timm(
    model: str, pretrained: str | None, like: str | None = None, known: Preprocessing | None = None
) -> BuiltModel:
    """A model of timm's with its weights.

    Args:
        model: timm's name, with or without a tag after a dot.
        pretrained: A tag, ``yes`` for the one that timm prefers, or a local file. If None, the tag in the name.
        like: For a local file, the tag whose preprocessing it expects; or ``clip``, ``imagenet`` or ``inception``.
        known: What the weights expect, if that is known.

    Raises:
        FlawshotError: With one line, if there is no such model, tag or file, or the weights do not fit.
    """
    name, _, tag = model.partition(".")
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), 3, 0.4)
        hint = f"; similar: {', '.join(PREFIX + each for each in near)}" if near else ""
        raise FlawshotError(f"{argument('model', PREFIX + model)}: is not a model of timm{hint}")
    tags = timm_tags(name)
    if tag and tag not in tags:
        raise FlawshotError(
            f"{argument('model', PREFIX + model)}: {tag} is not a tag of {name}: {', '.join(tags) or 'it has none'}"
        )
    if tag and pretrained in tags and pretrained != tag:
        raise FlawshotError(
            f"{argument('pretrained', pretrained)}: is not the tag of {argument('model', PREFIX + model)}; omit one"
        )
    wanted = pretrained or tag
    if not wanted:
        raise FlawshotError(
            f"{argument('pretrained')}: name the weights of {PREFIX}{name}: yes, one of its tags "
            f"({', '.join(tags) or 'it has none'}), or a file"
        )
    if wanted == PREFERRED:
        if not tags:
            raise FlawshotError(f"{argument('pretrained', PREFERRED)}: timm has no weights of {name}; name a file")
        wanted = tag or tags[0]
    if wanted in tags:
        if like is not None:
            raise FlawshotError(f"{argument('preprocessing', like)}: is for local files; the tag {wanted} has its own")
        expected, side = _tag_config(name, wanted)
        return BuiltModel(_from_tag(name, wanted), wanted, known or expected, side, [])
    return _from_file(name, Path(wanted), tags, like or tag or None, known)


def _from_file(name: str, path: Path, tags: Sequence[str], like: str | None, known: Preprocessing | None) -> BuiltModel:
    """A model with a local file's weights; parameters as for :func:`build_timm`."""
    if not path.exists() and not path.suffix:
        raise FlawshotError(
            f"{argument('pretrained', path)}: is neither a file nor a tag of {name}: {', '.join(tags) or 'it has none'}"
        )
    configured = like if like in tags else next(iter(tags), "")
    built = _created(f"{name}.{configured}" if configured else name, pretrained=False)
    config = dict(built.pretrained_cfg)
    remarks: list[str] = []
    side = _square(config, name)
    if known is None:
        of_tags = {each: _tag_config(name, each) for each in tags}
        expected = {each: preprocessing for each, (preprocessing, _) in of_tags.items()}
        known, remarks = expected_by_file(path, name, expected, like, NAMED_PREPROCESSING)
        sides = sorted({each for _, each in of_tags.values()})
        if len(sides) > 1 and like not in tags:
            remarks.append(
                f"{path.name}: does not state its side; used {side} px; the tags of {name} have "
                f"{', '.join(map(str, sides))}; name another side if wrong"
            )
    if known is None:
        known = Preprocessing.of(_resolved(config), name)
        remarks = [f"{path.name}: does not state its preprocessing; used timm's for {name}; name another if wrong"]
    load_into(built, _fitting(built, read_weights(path)), path)
    return BuiltModel(built, path.name, known, side, remarks)


def _created(name: str, *, pretrained: bool) -> Any:
    return timm.create_model(name, pretrained=pretrained, num_classes=0)


def _from_tag(model: str, tag: str) -> Any:
    with downloading(tag):
        return _created(f"{model}.{tag}", pretrained=True)


def _tag_config(model: str, tag: str) -> tuple[Preprocessing, int]:
    """What the weights of a tag expect, and their input's side in px."""
    config = cast("Any", timm.get_pretrained_cfg(f"{model}.{tag}")).to_dict()
    return Preprocessing.of(_resolved(config), model), _square(config, model)


def _resolved(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with timm's defaults."""
    resolved: dict[str, Any] = resolve_data_config(pretrained_cfg=dict(config))  # type: ignore[no-untyped-call]
    return resolved


def _square(config: Mapping[str, Any], model: str) -> int:
    _, height, width = _resolved(config)["input_size"]
    if height != width:
        raise FlawshotError(
            f"{argument('model', PREFIX + model)}: its input is not square ({height} x {width}), crops are"
        )
    return int(height)


def _fitting(built: Any, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights by timm's names, without those of the classifier, which features do not need.

    Files of a model's authors often have other names; timm has a function for these, which it uses on downloads.
    """
    own = built.state_dict()
    convert = getattr(sys.modules[type(built).__module__], "checkpoint_filter_fn", None)
    if convert is not None and set(own) - set(state):
        try:
            state = dict(convert(dict(state), built))
        except Exception:  # noqa: BLE001 - of weights that it does not know, anything; load_into says what is missing
            return state
    # Files contain tensors that several layers share once.
    given = {own[name].data_ptr(): tensor for name, tensor in state.items() if name in own}
    state |= {name: given[own[name].data_ptr()] for name in own if name not in state and own[name].data_ptr() in given}
    classifiers: str | Sequence[str] = built.pretrained_cfg.get("classifier") or ()
    heads = (classifiers,) if isinstance(classifiers, str) else tuple(classifiers)
    return {
        name: tensor
        for name, tensor in state.items()
        if name in own or not any(name in {f"{head}.weight", f"{head}.bias"} for head in heads)
    }
