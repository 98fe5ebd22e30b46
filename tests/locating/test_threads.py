"""Images side by side: small ones together, large ones one after the other, and all with the caller's limit."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from PIL import Image

from flawshot.labelme.images import ImageError, check_pixels, pixel_limit
from flawshot.locating import threads
from flawshot.locating.threads import in_threads, pixels_of

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _four():
    """Torch has four threads, whatever the machine has."""
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def test_small_images_are_searched_at_the_same_time_and_come_in_order():
    meet = threading.Barrier(4, timeout=60)

    def wait(item):
        meet.wait()
        return item, torch.get_num_threads()

    assert list(in_threads(wait, range(8), CPU, lambda _: 100)) == [(item, 1) for item in range(8)]
    assert torch.get_num_threads() == 4


def test_large_images_wait_for_room(monkeypatch):
    monkeypatch.setattr(threads, "PIXELS_AT_ONCE", 100)
    lock, now, most = threading.Lock(), [], []
    sizes = [60, 30, 30, 500, 10, 100, 90, 20, 40, 60, 60, 60] * 8

    def use(item):
        with lock:
            now.append(min(100, sizes[item]))
            most.append(sum(now))
        threading.Event().wait(0.002)
        with lock:
            now.remove(min(100, sizes[item]))
        return item

    assert list(in_threads(use, range(len(sizes)), CPU, lambda item: sizes[item])) == list(range(len(sizes)))
    assert max(most) <= 100


def test_a_failed_image_gives_its_room_back(monkeypatch):
    monkeypatch.setattr(threads, "PIXELS_AT_ONCE", 100)

    def fail(item):
        raise ValueError(item)

    with pytest.raises(ValueError, match="0"):
        list(in_threads(fail, range(20), CPU, lambda _: 100))
    assert torch.get_num_threads() == 4


def test_the_limit_of_pixels_holds_in_threads():
    def check(item):
        check_pixels(item, 10, "a.png")
        return item

    with pixel_limit(50):
        assert list(in_threads(check, [1, 2, 5], CPU)) == [1, 2, 5]
        with pytest.raises(ImageError, match="more than the limit of 50 px"):
            list(in_threads(check, [1, 2, 6], CPU))


def test_the_size_of_an_image_is_known_before_it_is_decoded(tmp_path):
    image = Image.new("RGB", (30, 20))
    image.save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no")
    given = [tmp_path / "a.png", str(tmp_path / "a.png"), image, np.zeros((20, 30, 3), np.uint8)]
    assert [pixels_of(each) for each in given] == [600] * 4
    assert [pixels_of(each) for each in (tmp_path / "b.png", tmp_path / "c.png", None)] == [0, 0, 0]
