"""What files of ours record about encoders, and about what they could not take in."""

from __future__ import annotations

from flawshot.base.store.files import Document

__all__ = ["EncoderRecord", "LeftOut"]


class EncoderRecord(Document):
    """Who computed the features.

    Attributes:
        name: The encoder, such as ``AlphaCLIP ViT-L/14``.
        weights: Which weights it had: a tag or a file's name.
        weights_hash: SHA-256 of the weights, or None where they are not at hand.
        preprocessing: How a crop became the encoder's input.
        precision: ``float32``, ``float16``, ``bfloat16``, or ``unknown``.
        tokens: What the tokens of a view are, in order; the first is the CLS token or what stands for it.
    """

    name: str
    weights: str
    weights_hash: str | None
    preprocessing: str
    precision: str
    tokens: tuple[str, ...]


class LeftOut(Document):
    """An image that could not be encoded: why, and the ids of its instances."""

    image: str
    reason: str
    instances: tuple[str, ...]
