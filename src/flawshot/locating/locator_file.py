"""A locator's arrays in a file: safetensors, which contain no code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from flawshot.base.errors import FlawshotError
from flawshot.base.store.files import one_line, write_bytes
from flawshot.locating.heat import LEARNED, GoodBank, HeatModel
from flawshot.locating.locator import Locator
from flawshot.locating.outlining import OutlineModel

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from flawshot.encoders.base import BaseEncoder
    from flawshot.locating.record import LocatorRecord

__all__ = ["read_locator", "write_locator"]


def write_locator(path: Path, locator: Locator) -> None:
    """Write a locator's arrays."""
    heat = locator.heat_model
    arrays: dict[str, NDArray[np.float32] | NDArray[np.int64]] = {
        "bank.scales": heat.bank.scales,
        "bank.vectors": heat.bank.vectors,
        "bank.distance": np.array([heat.bank.mean, heat.bank.std], dtype=np.float32),
        "bank.learned": np.array([unit == LEARNED for unit in heat.bank.units], dtype=np.int64),
        "good.mean": heat.good_mean,
        "good.cov": heat.good_cov,
        "flaws.counts": heat.counts,
        "flaws.means": heat.flaw_means,
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
            bank=GoodBank(arrays["bank.scales"], arrays["bank.vectors"], _units(arrays), mean, std),
            good_mean=arrays["good.mean"],
            good_cov=arrays["good.cov"],
            categories=record.categories,
            counts=arrays["flaws.counts"],
            flaw_means=arrays["flaws.means"],
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


def _units(arrays: dict[str, NDArray[Any]]) -> tuple[str, ...]:
    """Which vectors of the bank were learned after the fit; nothing else is known of where they come from."""
    return tuple(LEARNED if learned else "" for learned in arrays["bank.learned"].tolist())


def _check(heat: HeatModel, outline: OutlineModel | None) -> None:
    count, dim = len(heat.categories), heat.bank.vectors.shape[-1]
    wanted: list[tuple[NDArray[Any], tuple[int, ...]]] = [
        (heat.good_mean, (dim,)),
        (heat.good_cov, (dim, dim)),
        (heat.counts, (count,)),
        (heat.flaw_means, (count, dim)),
        (heat.not_flaws, (len(heat.not_flaws), dim)),
    ]
    if outline is not None:
        channels = outline.cov.shape[-1]
        rows = (len(outline.categories) + 1, channels)
        wanted += [(outline.apart, rows), (outline.middle, rows), (outline.cov, (channels, channels))]
    if len(heat.bank.units) not in {0, len(heat.bank.vectors)}:
        raise ValueError("its bank has another number of units than of vectors")
    if not len(heat.bank.vectors) or any(array.shape != shape for array, shape in wanted):
        raise ValueError("its arrays do not fit each other")
