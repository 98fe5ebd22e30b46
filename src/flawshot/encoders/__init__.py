"""Encoders: crops and masks in, features out; one family a file, each found by its name."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError, printable
from flawshot.base.plugins import load_object, plugin_address, plugin_names
from flawshot.encoders.options import EncoderOptions

if TYPE_CHECKING:
    from flawshot.base.records import EncoderRecord
    from flawshot.encoders.base import BaseEncoder

__all__ = ["ENCODERS", "encoder_families", "encoder_of", "make_encoder", "rebuild_encoder"]

# Installed packages name families of their own in this group of entry points.
ENTRY_POINTS = "flawshot.encoders"

# Of a model's name in a message.
LONGEST_NAME = 40

# Family -> module and class; a module is loaded when its family is asked for, for all need torch. The first that
# accepts a model makes it.
ENCODERS = {
    "flawshot-tiny": ("flawshot_tiny", "TinyEncoder"),
    "alpha_clip": ("alpha_clip", "AlphaClipEncoder"),
    "open_clip": ("open_clip", "OpenClipEncoder"),
}


def encoder_families() -> list[str]:
    """All families of encoders: flawshot's own, then those of installed packages, sorted."""
    return [*ENCODERS, *plugin_names(ENTRY_POINTS, ENCODERS)]


def encoder_of(options: EncoderOptions) -> type[BaseEncoder]:
    """The family that a model belongs to.

    Args:
        options: The model's name, and what else is said; of families that share a name a region decides.

    Raises:
        FlawshotError: If no family accepts it; families that cannot be loaded are named.
    """
    known: list[str] = []
    broken = []
    for family in encoder_families():
        try:
            kind = _class(family)
        except FlawshotError as error:  # of no matter to whoever wants another one
            broken.append(error.marked)
            continue
        if kind.accepts(options):
            return kind
        known += kind.models()
    near = difflib.get_close_matches(options.model, dict.fromkeys(known), 3, 0.4)
    hint = f", such as {', '.join(near)}" if near else ""
    raise FlawshotError(
        f"{argument('model', printable(options.model, LONGEST_NAME))}: is none of {', '.join(encoder_families())}"
        f"{hint}{''.join(f'; {text}' for text in broken)}"
    )


def make_encoder(
    model: str,
    pretrained: str | None = None,
    *,
    region: str | None = None,
    layer: str | None = None,
    patch_tokens: int = 0,
    activation: str | None = None,
    device: str = "auto",
    precision: str = "auto",
) -> BaseEncoder:
    """Make an encoder by its model's name.

    Args:
        model: ``flawshot-tiny``, a model that open_clip knows (with ``region="alpha"``: AlphaCLIP), or one that a
            family of an installed package accepts (entry point ``flawshot.encoders``).
        pretrained: Which weights: a tag, or a local file.
        region: How the mask enters, such as ``crop`` or ``alpha``; the family's default where None.
        layer: Which layer gives the features, such as ``trunk``; likewise.
        patch_tokens: How many patch tokens follow the first token.
        activation: Of the weights in a local file that does not say it.
        device: ``auto``, ``cpu``, ``cuda``, ….
        precision: ``auto``, ``float32``, ``float16`` or ``bfloat16``.

    Raises:
        FlawshotError: With one line, if there is no such model, or it does not take what is said.
    """
    options = EncoderOptions(model, pretrained, region, layer, patch_tokens, activation, device, precision)
    kind = encoder_of(options)
    return kind.from_options(options.fitted(kind.takes))


def rebuild_encoder(
    record: EncoderRecord,
    place: object,
    *,
    pretrained: str | None = None,
    device: str = "auto",
    precision: str = "auto",
) -> BaseEncoder:
    """Make the encoder that a record is of, and prove that its features can be compared with the record's.

    Args:
        record: Who computed features.
        place: What errors name: the file that holds the record.
        pretrained: The weights' file where they came from one; the record says its name only.
        device: ``auto``, ``cpu``, ``cuda``, ….
        precision: Of the arithmetic; it may differ from the record's, for another device has another one.

    Raises:
        FlawshotError: If the record is of no encoder that is known here, the weights are not at hand, or they are
            others.
    """
    # With numpy and pydantic, which a command that only prints its help does not need.
    from flawshot.base.records import ELSEWHERE, encoder_difference, shown  # noqa: PLC0415
    from flawshot.base.store.files import one_line  # noqa: PLC0415

    name = printable(record.name, LONGEST_NAME)
    if record.family == ELSEWHERE or record.weights_hash is None:
        raise FlawshotError(
            f"{place}: encoder: {name!r} made its features elsewhere, with weights that are not known here; "
            "encode images with flawshot and fit again"
        )
    if record.family not in encoder_families():
        raise FlawshotError(
            f"{place}: encoder.family: {shown(record.family)} is not known here; install the package that brings it, "
            "or update flawshot"
        )
    try:
        made = _class(record.family).from_record(record, pretrained=pretrained, device=device, precision=precision)
    except FlawshotError as error:
        if not error.marked.startswith("encoder."):
            raise
        raise FlawshotError(f"{place}: {error.marked}") from error
    except (KeyError, TypeError, ValueError) as error:  # of a family that takes its options at their word
        raise FlawshotError(
            f"{place}: encoder.options: are not those of an encoder of the family {record.family!r} "
            f"({type(error).__name__}: {one_line(error)[:100]})"
        ) from error
    if (differs := encoder_difference(made.record, record)) is not None:
        field, ours, theirs = differs
        raise FlawshotError(
            f"{place}: encoder.{field}: is {shown(theirs)}, but the {name} at hand has {shown(ours)}; give the weights "
            "that it was made with, or fit again"
        )
    return made


def _class(family: str) -> type[BaseEncoder]:
    """A family's class."""
    from flawshot.encoders.base import BaseEncoder  # noqa: PLC0415 - with torch, when it is needed

    if family in ENCODERS:
        own, name = ENCODERS[family]
        module = f"flawshot.encoders.{own}"
    else:
        module, name = plugin_address(ENTRY_POINTS, family)
    kind: Any = load_object(module, name, f"encoder {family!r}")
    if not (isinstance(kind, type) and issubclass(kind, BaseEncoder)):
        raise FlawshotError(f"encoder {family!r}: {module}:{name} is no subclass of flawshot.BaseEncoder")
    if getattr(kind, "family", None) != family:
        raise FlawshotError(f"encoder {family!r}: {module}:{name}.family: must be {family!r}, as it is registered")
    return kind
