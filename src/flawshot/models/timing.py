"""How fast an encoder, or a model, is in each runtime of this machine: one region, and a folder."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from flawshot.bank.encoding import encode_rows
from flawshot.base.errors import FlawshotError
from flawshot.encoders.preprocessing import interpolation_of
from flawshot.models.runtimes import runtimes
from flawshot.regions.crop_rows import decode_rows
from flawshot.regions.crops import crop_views
from flawshot.regions.views import extent_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray
    from PIL import Image

    from flawshot.catalog import Catalog
    from flawshot.catalog.instances import Instance
    from flawshot.encoders.base import BaseEncoder, Encoder
    from flawshot.regions.views import ViewScheme

    Judge = Callable[[NDArray[np.float32]], object]

__all__ = ["Timing", "time_runtimes"]

# Regions on which the latency is measured, in turn.
REGIONS = 10


class Timing(NamedTuple):
    """The speed in one runtime.

    Attributes:
        runtime: Its name.
        prepared: Seconds to compile, or to load an exported graph.
        latency: Milliseconds from a decoded image to the answer for one region, the median; None if it cannot be had.
        slow: The same, the 90th percentile.
        rate: Regions a second of a folder, from files to answers; None likewise.
        largest_difference: Of a feature from torch's, as a share of the largest feature; None likewise.
        remark: What was done, or why it cannot be had; may be empty.
    """

    runtime: str
    prepared: float
    latency: float | None
    slow: float | None
    rate: float | None
    largest_difference: float | None
    remark: str


def time_runtimes(
    encoder: BaseEncoder, scheme: ViewScheme, catalog: Catalog, *, judge: Judge | None = None, rounds: int = 3
) -> Iterator[Timing]:
    """Measure an encoder in each runtime.

    Args:
        encoder: The encoder, not compiled.
        scheme: The views of a region.
        catalog: The folder; its root must be available.
        judge: What a model does with features, float32 ``[regions, views, dim]``; if None, only the encoder is timed.
        rounds: How often each of ten regions is timed; the folder is read once.

    Raises:
        FlawshotError: If none of the folder's images can be used.
    """
    images = [(instance, image) for instance, image, _ in decode_rows(catalog, range(len(catalog))[:REGIONS]) if image]
    if not images:
        raise FlawshotError(f"{catalog.root}: none of its images can be used")
    expected: NDArray[np.float32] | None = None
    for runtime in runtimes(encoder, len(scheme.views)):
        if runtime.encoder is None or runtime.bulk is None:
            yield Timing(runtime.name, runtime.seconds, None, None, None, None, runtime.remark)
            continue
        made = runtime.encoder
        _rate(runtime.bulk, scheme, catalog, judge)  # the first pass reads files that later ones find in memory
        features = np.stack([_answer(made, scheme, *each, judge)[0] for each in images])
        expected = features if expected is None else expected
        times = [_answer(made, scheme, *each, judge)[1] for _ in range(rounds) for each in images]
        yield Timing(
            runtime.name,
            runtime.seconds,
            1000 * float(np.median(times)),
            1000 * float(np.quantile(times, 0.9)),
            _rate(runtime.bulk, scheme, catalog, judge),
            float(np.abs(features - expected).max() / max(np.abs(expected).max(), 1e-12)),
            runtime.remark,
        )


def _answer(
    encoder: Encoder, scheme: ViewScheme, instance: Instance, image: Image.Image, judge: Judge | None
) -> tuple[NDArray[np.float32], float]:
    """The features of one region, and the seconds from its decoded image to the answer."""
    start = time.perf_counter()
    filtering = interpolation_of(encoder.record)
    crops = crop_views(
        image, instance.region(), scheme, encoder.side, extent=extent_of(instance), interpolation=filtering
    )
    tokens = encoder.encode(torch.from_numpy(crops.images), torch.from_numpy(crops.masks))
    features: NDArray[np.float32] = tokens[:, 0].float().cpu().numpy()
    if judge is not None:
        judge(features[None])
    return features, time.perf_counter() - start


def _rate(encoder: Encoder, scheme: ViewScheme, catalog: Catalog, judge: Judge | None) -> float:
    """Regions a second, from files to answers."""
    start, done = time.perf_counter(), 0
    for part in encode_rows(catalog, range(len(catalog)), encoder, scheme):
        if part.features is not None:
            done += len(part.features)
            if judge is not None:
                judge(part.features[:, :, 0].astype(np.float32))
    return done / (time.perf_counter() - start)
