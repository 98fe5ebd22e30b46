"""Records about encoders, and about images that could not be encoded, in flawshot's files."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from flawshot.base.errors import printable
from flawshot.base.store.files import Document

__all__ = ["DESCRIBED", "ELSEWHERE", "EncoderRecord", "LeftOut", "OptionValue", "encoder_difference", "shown"]

# The family of features that no known encoder can recompute.
ELSEWHERE: Final = "elsewhere"
# Their only option: a description in words.
DESCRIBED: Final = "described"
# The length of a value in a message, so that path, field, two values and remedy fit on one line.
LONGEST_VALUE = 40
HASH_SHOWN = 12

OptionValue = str | bool | int | float | None | tuple[int | float, ...]


class EncoderRecord(Document):
    """The encoder that computed the features.

    Features can be compared if family, options, hash and tokens are the same: see :func:`encoder_difference`.

    Attributes:
        family: The name under which the encoder's class is registered (:data:`flawshot.encoders.ENCODERS`), or
            ``elsewhere`` for features that came without their encoder.
        name: The encoder's display name, such as ``AlphaCLIP ViT-L-14``.
        weights: Its weights: a tag or a file name.
        weights_hash: SHA-256 of the weights, or None if they are not available.
        options: Everything else that determines the features, such as ``region``, ``layer`` or ``side``; an absent
            option is the same as one that is None.
        precision: ``float32``, ``float16``, ``bfloat16``, or ``unknown``.
        tokens: The tokens of a view, in order; the first is the CLS token or its substitute.
    """

    family: str
    name: str
    weights: str
    weights_hash: str | None
    options: dict[str, OptionValue] = Field(default_factory=dict)
    precision: str
    tokens: tuple[str, ...]


def encoder_difference(
    ours: EncoderRecord, theirs: EncoderRecord, *, precision: bool = False
) -> tuple[str, object, object] | None:
    """The first field that makes the features of two encoders incomparable, and both values; None if there is none.

    Args:
        ours: One encoder.
        theirs: The other.
        precision: Whether the arithmetic must have the same precision too.

    >>> one = EncoderRecord(family="theirs", name="x", weights="w", weights_hash="0", options={"region": "crop"},
    ...                     precision="float32", tokens=("cls",))
    >>> encoder_difference(one, one.model_copy(update={"options": {"region": "alpha"}, "name": "y"}))
    ('options.region', 'crop', 'alpha')
    """
    fields = ["family", "options", "weights_hash", "tokens"]
    if ours.weights_hash is None:  # then only names identify the weights
        fields[1:1] = ["name", "weights"]
    if precision:
        fields.append("precision")
    for field in fields:
        mine, its = getattr(ours, field), getattr(theirs, field)
        if field == "options":
            for name in sorted({*mine, *its}):
                if mine.get(name) != its.get(name):
                    return f"options.{printable(name, LONGEST_VALUE)}", mine.get(name), its.get(name)
        elif mine != its:
            return field, mine, its
    return None


def shown(value: object) -> str:
    """A record's value for a message: shortened, and only the beginning of a hash.

    >>> shown("crop"), shown("0" * 64), shown(("cls", *(f"patch-{n}" for n in range(9))))
    ("'crop'", "'000000000000…'", "('cls', 'patch-0', …patch-7', 'patch-8')")
    """
    if isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef"):
        return f"'{value[:HASH_SHOWN]}…'"
    return printable(repr(value), LONGEST_VALUE)


class LeftOut(Document):
    """An image that could not be encoded: the reason, and the ids of its instances."""

    image: str
    reason: str
    instances: tuple[str, ...]
