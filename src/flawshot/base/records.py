"""What files of ours record about encoders, and about what they could not take in."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from flawshot.base.errors import printable
from flawshot.base.store.files import Document

__all__ = ["DESCRIBED", "ELSEWHERE", "EncoderRecord", "LeftOut", "OptionValue", "encoder_difference", "shown"]

# The family of features that no encoder known here can make again.
ELSEWHERE: Final = "elsewhere"
# Their one option: what is said of them, in words.
DESCRIBED: Final = "described"
# Of a value in a message: a file's path, the field, two values and the remedy fit on one line.
LONGEST_VALUE = 40
HASH_SHOWN = 12

OptionValue = str | bool | int | float | None | tuple[int | float, ...]


class EncoderRecord(Document):
    """Who computed the features.

    Features can be compared where family, options, hash and tokens are the same: see :func:`encoder_difference`.

    Attributes:
        family: Under which name the encoder's class is registered (:data:`flawshot.encoders.ENCODERS`), or
            ``elsewhere`` for features that came without their encoder.
        name: The encoder, for people, such as ``AlphaCLIP ViT-L-14``.
        weights: Which weights it had: a tag or a file's name.
        weights_hash: SHA-256 of the weights, or None where they are not at hand.
        options: All else that shapes the features, one value each, such as ``region``, ``layer`` or ``side``; an option
            that is absent is the same as one that is None.
        precision: ``float32``, ``float16``, ``bfloat16``, or ``unknown``.
        tokens: What the tokens of a view are, in order; the first is the CLS token or what stands for it.
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
    """The first field in which the features of two encoders differ, and both values; None if they can be compared.

    Args:
        ours: One encoder.
        theirs: The other.
        precision: Whether the arithmetic must be of the same precision too.

    >>> one = EncoderRecord(family="theirs", name="x", weights="w", weights_hash="0", options={"region": "crop"},
    ...                     precision="float32", tokens=("cls",))
    >>> encoder_difference(one, one.model_copy(update={"options": {"region": "alpha"}, "name": "y"}))
    ('options.region', 'crop', 'alpha')
    """
    fields = ["family", "options", "weights_hash", "tokens"]
    if ours.weights_hash is None:  # then names are all there is to tell weights by
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
    """A value of a record in a message: short, a hash by its beginning.

    >>> shown("crop"), shown("0" * 64), shown(("cls", *(f"patch-{n}" for n in range(9))))
    ("'crop'", "'000000000000…'", "('cls', 'patch-0', '…tch-7', 'patch-8')")
    """
    if isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef"):
        return f"'{value[:HASH_SHOWN]}…'"
    return printable(repr(value), LONGEST_VALUE)


class LeftOut(Document):
    """An image that could not be encoded: why, and the ids of its instances."""

    image: str
    reason: str
    instances: tuple[str, ...]
