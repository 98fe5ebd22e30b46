"""What versions 1 and 2 of banks and models said of an encoder, in a sentence, put into fields."""

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
# How a record's name began, and the family that it is of.
FAMILIES: Final = {"open_clip": "open_clip", "AlphaCLIP": "alpha_clip"}
# What parts of the sentence could be.
INTERPOLATIONS = {"bicubic"}
REGIONS = {"crop", "masked", "mask-pool", "alpha"}
LAYERS = {"projection", "trunk"}
ACTIVATIONS = {"gelu", "quickgelu"}


class OldEncoderRecord(Document):
    """An encoder as versions 1 and 2 recorded it; see :class:`flawshot.EncoderRecord`.

    Attributes:
        name: The encoder; its first word told the family.
        weights: As today.
        weights_hash: As today.
        preprocessing: How a crop became the encoder's input, in a sentence.
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
    """Parse a document that names its encoder, of any version.

    Args:
        data: The JSON.
        kind: What it is today.
        old: The same of versions 1 and 2, whose ``encoder`` is an :class:`OldEncoderRecord`.
        place: As for :func:`flawshot.base.store.files.parse_document`.
        remedy: Likewise.

    Returns:
        It in today's fields, its version being that of the file, and as it was written, which is what its seal is of.

    Raises:
        FlawshotError: With one line that names the place and the field, if it is damaged or foreign.
    """
    try:
        head = load_json(data)
    except FlawshotError:  # of which the parser says more
        head = None
    if not isinstance(head, dict) or head.get("version") not in OLD_VERSIONS:
        document = parse_document(data, kind, place, remedy)
        return document, document
    written = parse_document(data, old, place, remedy)
    values = {name: getattr(written, name) for name in written.model_fields_set}
    return kind(**values | {"encoder": upgraded_encoder(values["encoder"])}), written


def upgraded_encoder(old: OldEncoderRecord) -> EncoderRecord:
    """An old record in today's fields; of a family that is known here only where its whole sentence is understood.

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
    """The options that a sentence of flawshot's own says; None of any other sentence."""
    try:
        side, rest = sentence.split(" px, ")
        interpolation, rest = rest.split(", mean ")
        mean, rest = rest.split(", std ")
        std, rest = rest.split(", region ")
        region, rest = rest.split(", layer ")
        layer, activation = rest.split(", ")
        numbers: dict[str, OptionValue] = {"side": int(side), "mean": _channels(mean), "std": _channels(std)}
    except ValueError:  # of parts that are missing or too many, and of what is no number
        return None
    known = {"interpolation": INTERPOLATIONS, "region": REGIONS, "layer": LAYERS, "activation": ACTIVATIONS}
    named = {"interpolation": interpolation, "region": region, "layer": layer, "activation": activation}
    if any(value not in known[name] for name, value in named.items()) or str(numbers["side"]) != side:
        return None
    return numbers | named


def _channels(text: str) -> tuple[float, ...]:
    """Three numbers in brackets.

    Raises:
        ValueError: If it is anything else.
    """
    if (text[:1], text[-1:]) not in {("(", ")"), ("[", "]")}:
        raise ValueError(text)
    values = tuple(float(part) for part in text[1:-1].split(", "))
    if len(values) != 3 or not all(map(math.isfinite, values)):
        raise ValueError(text)
    return values
