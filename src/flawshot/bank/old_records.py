"""Conversion of the encoder records in versions 1 and 2 of banks and models, which were a sentence, to fields."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from flawshot.bank.records import BankManifest
from flawshot.base.errors import FlawshotError
from flawshot.base.records import DESCRIBED, ELSEWHERE, EncoderRecord
from flawshot.base.store.files import Document, parse_document
from flawshot.base.store.json_documents import load_json

if TYPE_CHECKING:
    from flawshot.base.records import OptionValue

__all__ = ["OldEncoderRecord", "OldManifest", "read_upgraded", "upgraded_encoder"]

OLD_VERSIONS: Final = (1, 2)
TINY: Final = "flawshot-tiny"
# The beginning of a record's name, and its family.
FAMILIES: Final = {"open_clip": "open_clip", "AlphaCLIP": "alpha_clip"}
# The possible values of parts of the sentence.
INTERPOLATIONS = {"bicubic"}
REGIONS = {"crop", "masked", "mask-pool", "alpha"}
LAYERS = {"projection", "trunk"}
ACTIVATIONS = {"gelu", "quickgelu"}


class OldEncoderRecord(Document):
    """An encoder as versions 1 and 2 recorded it; see :class:`flawshot.EncoderRecord`.

    Attributes:
        name: The encoder; its first word is the family.
        weights: As today.
        weights_hash: As today.
        preprocessing: A sentence that describes how a crop became the encoder's input.
        precision: As today.
        tokens: As today.
    """

    name: str
    weights: str
    weights_hash: str | None
    preprocessing: str
    precision: str
    tokens: tuple[str, ...]


class OldManifest(BankManifest):
    """A bank's manifest of versions 1 and 2."""

    version: Literal[1, 2]
    encoder: OldEncoderRecord  # type: ignore[assignment]


Record = TypeVar("Record", bound=Document)


def read_upgraded(
    data: bytes, kind: type[Record], old: type[Record], place: str, remedy: str
) -> tuple[Record, Document]:
    """Parse a document of any version that names its encoder.

    Args:
        data: The JSON.
        kind: The current document type.
        old: The document type of versions 1 and 2, whose ``encoder`` is an :class:`OldEncoderRecord`.
        place: As for :func:`flawshot.base.store.files.parse_document`.
        remedy: Likewise.

    Returns:
        The document with today's fields and the file's version, and the document as written, which its seal covers.

    Raises:
        FlawshotError: With one line that names the place and the field, if it is damaged or foreign.
    """
    try:
        head = load_json(data)
    except FlawshotError:  # parsed again for a more precise error
        head = None
    if not isinstance(head, dict) or head.get("version") not in OLD_VERSIONS:
        document = parse_document(data, kind, place, remedy)
        return document, document
    written = parse_document(data, old, place, remedy)
    values = {name: getattr(written, name) for name in written.model_fields_set}
    return kind(**values | {"encoder": upgraded_encoder(values["encoder"])}), written


def upgraded_encoder(old: OldEncoderRecord) -> EncoderRecord:
    """An old record with today's fields; its family is ``elsewhere`` unless its whole sentence is understood.

    >>> sentence = "48 px, bicubic, mean (0.5, 0.5, 0.5), std (0.5, 0.5, 0.5), region crop, layer trunk, gelu"
    >>> old = OldEncoderRecord(name="open_clip ViT-B-32", weights="w", weights_hash="0", preprocessing=sentence,
    ...                        precision="float32", tokens=("cls",))
    >>> new = upgraded_encoder(old)
    >>> new.family, new.options["model"], new.options["side"], new.options["layer"]
    ('open_clip', 'ViT-B-32', 48, 'trunk')
    >>> upgraded_encoder(old.model_copy(update={"preprocessing": "as released"})).family
    'elsewhere'
    """
    family, options = _fields(old)
    return EncoderRecord(
        family=family,
        name=old.name,
        weights=old.weights,
        weights_hash=old.weights_hash,
        options=options,
        precision=old.precision,
        tokens=old.tokens,
    )


def _fields(old: OldEncoderRecord) -> tuple[str, dict[str, OptionValue]]:
    """Family and options."""
    options = _options(old.preprocessing)
    word, _, model = old.name.partition(" ")
    if options is not None and old.name == TINY:
        return TINY, {name: value for name, value in options.items() if name != "activation"}
    if options is not None and word in FAMILIES and model:
        return FAMILIES[word], {"model": model, **options}
    return ELSEWHERE, {DESCRIBED: old.preprocessing}


def _options(sentence: str) -> dict[str, OptionValue] | None:
    """The options that a sentence written by flawshot describes; None for any other sentence."""
    try:
        side, rest = sentence.split(" px, ")
        interpolation, rest = rest.split(", mean ")
        mean, rest = rest.split(", std ")
        std, rest = rest.split(", region ")
        region, rest = rest.split(", layer ")
        layer, activation = rest.split(", ")
        numbers: dict[str, OptionValue] = {"side": int(side), "mean": _channels(mean), "std": _channels(std)}
    except ValueError:  # missing or surplus parts, or not a number
        return None
    known = {"interpolation": INTERPOLATIONS, "region": REGIONS, "layer": LAYERS, "activation": ACTIVATIONS}
    named = {"interpolation": interpolation, "region": region, "layer": layer, "activation": activation}
    if any(value not in known[name] for name, value in named.items()) or str(numbers["side"]) != side:
        return None
    return numbers | named


def _channels(text: str) -> tuple[float, ...]:
    """Three numbers in brackets.

    Raises:
        ValueError: If it has another form.
    """
    if (text[:1], text[-1:]) not in {("(", ")"), ("[", "]")}:
        raise ValueError(text)
    values = tuple(float(part) for part in text[1:-1].split(", "))
    if len(values) != 3 or not all(map(math.isfinite, values)):
        raise ValueError(text)
    return values
