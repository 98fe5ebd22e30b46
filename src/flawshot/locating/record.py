"""A locator's record, part of ``model.json``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from flawshot.base.records import EncoderRecord  # noqa: TC001 - pydantic reads it
from flawshot.base.store.files import Document

__all__ = ["LOCATOR", "SHARPNESS", "ExpectedScore", "LocatorRecord"]

LOCATOR = "locator.safetensors"
# By which the evidence for categories is multiplied before it becomes probabilities, if nothing held out says better.
SHARPNESS = 8.0


class ExpectedScore(Document):
    """What can be expected of a locator, measured on images that a fit had not seen.

    Attributes:
        mean: The score; a share, unless its name says ``per_image``.
        ci95: Its 95 % interval.
        n: Number of items it was measured on.
    """

    mean: float
    ci95: tuple[float, float]
    n: int


class LocatorRecord(Document):
    """A locator without its arrays.

    Attributes:
        encoder: The encoder whose maps it uses.
        categories: The categories that it tells apart, in label order.
        labeled: Number of labeled images that it was fitted to.
        good: Number of good images.
        alarms: The share of good images that may be alarmed, as it was asked for.
        threshold: A region's peak is hotter than this, in standard deviations of good cells.
        source: Whether the threshold comes from held-out ``good`` images or the ``background`` of labeled ones.
        images: The number of images that it comes from.
        units: The number of groups that these belong to; that of the images if there are no groups.
        promised: The share of good images, or groups, that can be expected to be alarmed.
        sharpness: By which the evidence for categories is multiplied before it becomes probabilities.
        naming: How much these count beside the classifier's, 0 to 1.
        expected: What can be expected, by the names of ``flawshot evaluate-find``; empty if nothing can be held out.
        not_flaws: The ids of regions that a person deleted, and that were learned as no flaws.
        sha256: Of the file with the arrays.
    """

    encoder: EncoderRecord
    categories: tuple[str, ...]
    labeled: int
    good: int
    alarms: float
    threshold: float
    source: Literal["good", "background"]
    images: int
    units: int
    promised: float
    sharpness: float = Field(gt=0)
    naming: float = Field(ge=0, le=1)
    expected: dict[str, ExpectedScore]
    not_flaws: tuple[str, ...] = ()
    sha256: str
