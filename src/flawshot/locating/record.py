"""A locator's record, part of ``model.json``, and its arrays, a safetensors file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from flawshot.base.errors import FlawshotError
from flawshot.base.records import EncoderRecord  # noqa: TC001 - pydantic reads it
from flawshot.base.store.files import Document, one_line, write_bytes
from flawshot.locating.heat import GoodBank, HeatModel
from flawshot.locating.locator import Locator
from flawshot.locating.outlining import OutlineModel

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from flawshot.encoders.base import BaseEncoder

__all__ = ["LOCATOR", "ExpectedScore", "LocatorRecord", "read_locator", "write_locator"]

LOCATOR = "locator.safetensors"


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
        promised: The share of good images that can be expected to be alarmed.
        sharpness: By which the evidence for categories is multiplied before it becomes probabilities.
        naming: How much these count beside the classifier's, 0 to 1.
        expected: What can be expected, by the names of ``flawshot evaluate-find``; empty if nothing can be held out.
        not_flaws: Number of regions that a person deleted, and that were learned.
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
    promised: float
    sharpness: float = Field(gt=0)
    naming: float = Field(ge=0, le=1)
    expected: dict[str, ExpectedScore]
    not_flaws: int = 0
    sha256: str


def write_locator(path: Path, locator: Locator) -> None:
    """Write a locator's arrays."""
    heat = locator.heat_model
    arrays: dict[str, NDArray[np.float32] | NDArray[np.int64]] = {
        "bank.scales": heat.bank.scales,
        "bank.vectors": heat.bank.vectors,
        "bank.distance": np.array([heat.bank.mean, heat.bank.std], dtype=np.float32),
        "good.mean": heat.good_mean,
        "good.cov": heat.good_cov,
        "flaws.counts": heat.counts,
        "flaws.means": heat.flaw_means,
        "flaws.cov": heat.flaw_cov,
        "not_flaws": heat.not_flaws,
    }
    if locator.outline_model is not None:
        outline = locator.outline_model
        arrays |= {"outline.apart": outline.apart, "outline.middle": outline.middle, "outline.cov": outline.cov}
        known = [category in outline.categories for category in locator.categories]
        arrays["outline.known"] = np.array(known, dtype=np.int64)
    write_bytes(path, save({name: np.ascontiguousarray(each) for name, each in arrays.items()}))


def read_locator(path: Path, record: LocatorRecord, encoder: BaseEncoder) -> Locator:
    """Read a locator; the caller has verified the file's hash.

    Args:
        path: The file with its arrays.
        record: Its record.
        encoder: Its encoder.

    Raises:
        FlawshotError: With the file, if an array is missing or does not fit.
    """
    try:
        arrays = load_file(path)
        mean, std = (float(each) for each in arrays["bank.distance"])
        heat = HeatModel(
            bank=GoodBank(arrays["bank.scales"], arrays["bank.vectors"], (), mean, std),
            good_mean=arrays["good.mean"],
            good_cov=arrays["good.cov"],
            categories=record.categories,
            counts=arrays["flaws.counts"],
            flaw_means=arrays["flaws.means"],
            flaw_cov=arrays["flaws.cov"],
            not_flaws=arrays["not_flaws"],
        )
        outline = None
        if "outline.apart" in arrays:
            known = tuple(name for name, there in zip(record.categories, arrays["outline.known"], strict=True) if there)
            outline = OutlineModel(known, arrays["outline.apart"], arrays["outline.middle"], arrays["outline.cov"])
        _check(heat, outline)
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise FlawshotError(
            f"{path}: is not a locator's file ({one_line(error)[:100]}); fit the model again"
        ) from error
    return Locator(encoder, heat, outline, record.threshold, record.sharpness)


def _check(heat: HeatModel, outline: OutlineModel | None) -> None:
    count, dim = len(heat.categories), heat.bank.vectors.shape[-1]
    wanted: list[tuple[NDArray[Any], tuple[int, ...]]] = [
        (heat.good_mean, (dim,)),
        (heat.good_cov, (dim, dim)),
        (heat.counts, (count,)),
        (heat.flaw_means, (count, dim)),
        (heat.flaw_cov, (dim, dim)),
        (heat.not_flaws, (len(heat.not_flaws), dim)),
    ]
    if outline is not None:
        channels = outline.cov.shape[-1]
        rows = (len(outline.categories) + 1, channels)
        wanted += [(outline.apart, rows), (outline.middle, rows), (outline.cov, (channels, channels))]
    if not len(heat.bank.vectors) or any(array.shape != shape for array, shape in wanted):
        raise ValueError("its arrays do not fit each other")
