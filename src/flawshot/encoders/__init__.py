"""Encoders: crops and masks in, features out; one family per file, found by name."""

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

# Installed packages register their own families in this group of entry points.
ENTRY_POINTS = "flawshot.encoders"

# Of a model's name in a message.
LONGEST_NAME = 40

# Family -> module and class. Modules are loaded on demand, because all of them need torch. The first family that
# accepts a model builds it.
ENCODERS = {
    "flawshot-tiny": ("flawshot_tiny", "TinyEncoder"),
    "alpha_clip": ("alpha_clip", "AlphaClipEncoder"),
    "open_clip": ("open_clip", "OpenClipEncoder"),
    "timm": ("timm", "TimmEncoder"),
}


def encoder_families() -> list[str]:
    """All families of encoders: flawshot's own, then those of installed packages, sorted."""
    return [*ENCODERS, *plugin_names(ENTRY_POINTS, ENCODERS)]


def encoder_of(options: EncoderOptions) -> type[BaseEncoder]:
    """The encoder class that accepts a model.

    Args:
        options: The model's name and other options; if families share a model's name, the region decides.

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
    hint = f"; similar: {', '.join(near)}" if near else ""
    raise FlawshotError(
        f"{argument('model', printable(options.model, LONGEST_NAME))}: is not a model of "
        f"{', '.join(encoder_families())}{hint}{''.join(f'; {text}' for text in broken)}"
    )


def make_encoder(
    model: str,
    pretrained: str | None = None,
    *,
    region: str | None = None,
    layer: str | None = None,
    patch_tokens: int = 0,
    activation: str | None = None,
    preprocessing: str | None = None,
    side: int = 0,
    device: str = "auto",
    precision: str = "auto",
) -> BaseEncoder:
    """Make an encoder from its model's name.

    Args:
        model: ``flawshot-tiny``, a model that open_clip knows (with ``region="alpha"``: AlphaCLIP), ``timm/NAME`` for a
            model that timm knows, or one that a family of an installed package accepts (entry point
            ``flawshot.encoders``).
        pretrained: The weights: a tag, or a local file; for models of timm also ``yes``, the tag that timm prefers.
        region: How the mask is used, such as ``crop`` or ``alpha``; the family's default if None.
        layer: The layer that gives the features, such as ``trunk``; the family's default if None.
        patch_tokens: The number of patch tokens that follow the first token.
        activation: The activation, if the weights are a local file that does not state it.
        preprocessing: The tag whose mean, standard deviation and interpolation the weights expect, if they are a local
            file.
        side: The input's side in px, for models that take others than their own.
        device: ``auto``, ``cpu``, ``cuda``, ….
        precision: ``auto``, ``float32``, ``float16`` or ``bfloat16``.

    Raises:
        FlawshotError: With one line, if there is no such model, or it does not support an option.
    """
    options = EncoderOptions(
        model, pretrained, region, layer, patch_tokens, activation, preprocessing, side, device, precision
    )
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
    """Rebuild the encoder that a record describes, and check that its features are comparable with the record's.

    Args:
        record: The encoder that computed the features.
        place: The file that contains the record, for errors.
        pretrained: The weights file, if the weights came from one; the record has only its name.
        device: ``auto``, ``cpu``, ``cuda``, ….
        precision: Of the arithmetic; it may differ from the record's, since devices differ.

    Raises:
        FlawshotError: If the record's encoder is unknown, or its weights are not available or differ.
    """
    # With numpy and pydantic, which a command that only prints its help does not need.
    from flawshot.base.records import ELSEWHERE, encoder_difference, shown  # noqa: PLC0415
    from flawshot.base.store.files import one_line  # noqa: PLC0415

    name = printable(record.name, LONGEST_NAME)
    if record.family == ELSEWHERE or record.weights_hash is None:
        raise FlawshotError(
            f"{place}: encoder: {name!r} made the features outside flawshot, and its weights are not known; "
            "encode images with flawshot and fit again"
        )
    if record.family not in encoder_families():
        raise FlawshotError(
            f"{place}: encoder.family: {shown(record.family)} is unknown; install the package that provides it, "
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
            f"{place}: encoder.options: do not fit the encoder family {record.family!r} "
            f"({type(error).__name__}: {one_line(error)[:100]})"
        ) from error
    if (differs := encoder_difference(made.record, record)) is not None:
        field, ours, theirs = differs
        raise FlawshotError(
            f"{place}: encoder.{field}: is {shown(theirs)}, but the available {name} has {shown(ours)}; name the "
            "weights that were used, or fit again"
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
        raise FlawshotError(f"encoder {family!r}: {module}:{name} is not a subclass of flawshot.BaseEncoder")
    if getattr(kind, "family", None) != family:
        raise FlawshotError(f"encoder {family!r}: {module}:{name}.family: must be {family!r}, as it is registered")
    return kind
