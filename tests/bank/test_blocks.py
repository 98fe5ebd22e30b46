"""Blocks of rows: whole images, counted from the first, and given out once all of their rows are there."""

from __future__ import annotations

import numpy as np
import pytest

from flawshot.bank.blocks import BLOCK_BYTES, Encoded, blocks_of, rows_per_block, whole_blocks


@pytest.mark.parametrize(
    ("images", "size", "expected"),
    [
        pytest.param("abcde", 2, ["ab", "cd", "e"], id="one instance per image"),
        pytest.param("abbbcd", 2, ["abb", "bc", "d"], id="an image with more than a block is divided"),
        pytest.param("aabbc", 3, ["aabb", "c"], id="a block ends with an image"),
        pytest.param("aab", 9, ["aab"], id="fewer than a block"),
        pytest.param("", 3, [], id="none"),
    ],
)
def test_rows_are_divided_at_images(images, size, expected):
    made = blocks_of(range(len(images)), images, size)
    assert ["".join(images[row] for row in block) for block in made] == expected
    assert [row for block in made for row in block] == list(range(len(images)))


def test_what_follows_a_block_does_not_depend_on_what_is_before_it():
    rng = np.random.default_rng(3)
    images = np.repeat(np.arange(60), rng.integers(1, 9, 60)).tolist()
    made = blocks_of(range(len(images)), images, 7)
    for number in range(len(made)):
        rest = [row for block in made[number:] for row in block]
        assert blocks_of(rest, images, 7) == made[number:]


class Wide:
    dim = 768

    def __init__(self, tokens):
        self.record = type("Record", (), {"tokens": ("cls",) * tokens})


def test_a_block_has_many_calls_but_few_bytes():
    assert rows_per_block(Wide(1), 27, 16) * 27 >= 16 * 16 > (rows_per_block(Wide(1), 27, 16) - 1) * 27
    many = rows_per_block(Wide(257), 27, 256)
    assert many * 27 * 257 * 768 * 2 <= BLOCK_BYTES or many == 1
    assert rows_per_block(Wide(10**6), 27, 256) == 1


def test_a_block_comes_out_when_all_of_it_is_there_whatever_came_early():
    features = np.arange(6, dtype=np.float16).reshape(6, 1, 1, 1)
    parts = iter(
        [
            Encoded((4, 5), None, "later, but known at once"),
            Encoded((0,), features[:1]),
            Encoded((1, 2), features[1:3]),
            Encoded((3,), None, "gone"),
        ]
    )
    first = whole_blocks([[0, 1], [], [2, 3], [4, 5]], parts)
    made = next(first)
    assert (made.rows, sorted(made.features), made.reasons) == ([0, 1], [0, 1], {})
    made = next(first)
    assert (made.rows, made.features[2].item(), made.reasons) == ([2, 3], 2, {3: "gone"})
    made = next(first)
    assert (made.rows, made.features, set(made.reasons)) == ([4, 5], {}, {4, 5})
    assert not list(first)
