"""Found regions matched with annotated instances."""

from __future__ import annotations

import numpy as np
import pytest

from flawshot.evaluation.found_matches import match_regions, overlap, same_place
from flawshot.labelme.shapes import Region


def box(x0, y0, x1, y1):
    return Region(x0, y0, np.ones((y1 - y0, x1 - x0), dtype=bool))


CASES = {
    "nothing there": ([], [], []),
    "nothing found": ([box(0, 0, 9, 9)], [], []),
    "the same pixels": ([box(0, 0, 10, 10)], [box(0, 0, 10, 10)], [(0, 0, 1.0)]),
    "half of it": ([box(0, 0, 10, 10)], [box(0, 0, 10, 5)], [(0, 0, 0.5)]),
    "a small region at its middle": ([box(0, 0, 20, 20)], [box(9, 9, 11, 11)], [(0, 0, 0.01)]),
    "a large region around a small one, not centered on it": ([box(0, 0, 2, 2)], [box(0, 0, 40, 40)], []),
    "beside it": ([box(0, 0, 10, 10)], [box(10, 0, 20, 10)], []),
    "two regions on one instance: the better one": (
        [box(0, 0, 10, 10)], [box(0, 0, 5, 10), box(0, 0, 9, 10)], [(0, 1, 0.9)],
    ),
    "one region over two instances finds only one": (
        [box(0, 0, 10, 10), box(10, 0, 16, 10)], [box(0, 0, 16, 10)], [(0, 0, 100 / 160)],
    ),
    "the best pair first, though another would match more": (
        [box(0, 0, 10, 10), box(0, 10, 10, 14)],
        [box(0, 2, 10, 12), box(0, 0, 10, 10)],
        [(0, 1, 1.0), (1, 0, 20 / 120)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_matches(case):
    instances, regions, expected = CASES[case]
    made = match_regions(instances, regions)
    assert [(match.instance, match.region) for match in made] == [(a, b) for a, b, _ in expected]
    assert [match.iou for match in made] == pytest.approx([iou for _, _, iou in expected])


def test_the_center_must_be_on_a_pixel_of_the_instance():
    ring = np.ones((21, 21), dtype=bool)
    ring[3:18, 3:18] = False
    middle = box(7, 7, 14, 14)
    assert not match_regions([Region(0, 0, ring)], [middle])


def test_overlap_is_that_of_whole_masks():
    rng = np.random.default_rng(0)
    for _ in range(50):
        regions = [Region(*rng.integers(0, 12, 2).tolist(), rng.random(rng.integers(1, 9, 2)) < 0.6) for _ in range(2)]
        a, b = (region.full_mask(20, 20) for region in regions)
        union = (a | b).sum()
        assert overlap(*regions) == pytest.approx((a & b).sum() / union if union else 0.0)


@pytest.mark.parametrize(
    ("region", "instance", "same"),
    [
        pytest.param(box(0, 0, 10, 10), box(0, 8, 10, 18), True, id="a ninth of both together"),
        pytest.param(box(0, 0, 10, 10), box(0, 9, 10, 19), False, id="a nineteenth"),
        pytest.param(box(9, 9, 12, 12), box(0, 0, 40, 40), True, id="inside a large one"),
        pytest.param(box(0, 0, 40, 40), box(1, 1, 5, 5), True, id="around a small one, off its center"),
        pytest.param(box(0, 0, 40, 40), box(39, 0, 42, 3), False, id="around a third of a small one"),
        pytest.param(box(0, 0, 60, 2), box(28, 0, 32, 40), True, id="its center on the other"),
        pytest.param(box(0, 0, 10, 10), box(10, 0, 20, 10), False, id="side by side"),
        pytest.param(Region(0, 0, np.zeros((0, 0), bool)), box(0, 0, 9, 9), False, id="without a pixel"),
    ],
)
def test_the_same_place(region, instance, same):
    assert same_place(region, instance) is same
