"""How well images of one physical sample are found: pairwise precision and recall on magnetic tile's known groups.

    python benchmarks/same_sample.py

392 images show 68 tiles, each at up to seven exposures, shifted and cropped; ``groups.csv`` beside them, made from the
cameras' running frame numbers, says which. ``flawshot check --same-sample`` sees neither names nor table. A pair of
images counts as found where both are in one group. The data is looked for in ``magnetic-tile`` of FLAWSHOT_SHARED, by
default ``../shared/data``.
"""

from __future__ import annotations

import os
import tempfile
import time
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import flawshot
from flawshot.formats.masks import import_masks
from flawshot.inspect.same_sample import find_same_samples

if TYPE_CHECKING:
    from collections.abc import Mapping

SHARED = Path(os.environ.get("FLAWSHOT_SHARED", Path(__file__).resolve().parents[2] / "shared" / "data"))
MIN_AREA = 30


def together(groups: Mapping[str, str]) -> set[tuple[str, str]]:
    """Pairs of images in one group."""
    return {(a, b) for a, b in combinations(sorted(groups), 2) if groups[a] == groups[b]}


def main() -> None:
    """Print the figures."""
    source = SHARED / "magnetic-tile"
    with tempfile.TemporaryDirectory() as name:
        import_masks(source, Path(name) / "labelme", min_area=MIN_AREA)
        catalog = flawshot.Catalog.open(Path(name) / "labelme")
        known = flawshot.groups_from_csv(source / "groups.csv", catalog.column("image"))
        start = time.perf_counter()
        found = find_same_samples(catalog)
        seconds = time.perf_counter() - start
    groups = {image: group.group for group in found.groups for image in group.images}
    truth, said = together(known), together(groups)
    right = len(truth & said)
    several = [group for group in found.groups if len(group.images) > 1]
    mixed = sum(len({known[image] for image in group.images}) > 1 for group in several)
    print(f"{found.images} images, {len(set(known.values()))} tiles; found {len(found.groups)} groups, ", end="")
    print(f"{len(several)} of several images, of which {mixed} mix tiles; {seconds:.1f} s on {os.cpu_count()} cores")
    print(f"pairs: {len(truth)} of one tile, {len(said)} found, {right} of them right")
    print(f"pairwise precision {100 * right / max(1, len(said)):.1f} %, recall {100 * right / len(truth):.1f} %")


if __name__ == "__main__":
    main()
