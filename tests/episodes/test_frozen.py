"""The frozen MVTec-FS episodes in ``episodes/`` are what their command makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from flawshot import read_episodes, sample_episodes, write_episodes

FROZEN = Path(__file__).resolve().parents[2] / "episodes" / "mvtec-fs"


@pytest.mark.parametrize("protocol", ["mvrec", "disjoint"])
def test_the_frozen_episodes_can_be_made_again_byte_for_byte(mvtec_fs_catalog, tmp_path, protocol):
    products = [product for product in mvtec_fs_catalog.products if product != "toothbrush"]
    names = []
    for product in products:
        for shots in (1, 3, 5):
            path = write_episodes(sample_episodes(mvtec_fs_catalog, product, shots, protocol=protocol), tmp_path)
            assert path.read_bytes() == (FROZEN / protocol / path.name).read_bytes()
            names.append(path.name)
    assert sorted(path.name for path in (FROZEN / protocol).iterdir()) == sorted(names)
    assert len(names) == 42


def test_the_frozen_disjoint_episodes_take_one_instance_of_an_image_where_mvrecs_do_not(mvtec_fs_catalog):
    """Of the 680 category draws at 3 and 5 shots, 80 of MVREC's put two instances of one image into the support."""
    columns = (mvtec_fs_catalog.column(name) for name in ("id", "product", "split", "category", "image"))
    rows = {identifier: values for identifier, *values in zip(*columns, strict=True)}
    in_train: dict[tuple[str, str], set[str]] = {}
    for product, split, category, image in rows.values():
        if split == "train":
            in_train.setdefault((product, category), set()).add(image)
    doubled = 0
    for protocol in ("mvrec", "disjoint"):
        draws = 0
        for path in (FROZEN / protocol).glob("*-[35]shot.json"):
            episodes = read_episodes(path, mvtec_fs_catalog)
            for episode in episodes.episodes:
                for category in episodes.categories:
                    images = {rows[i][3] for i in episode.support if rows[i][2] == category}
                    draws += 1
                    if protocol == "mvrec":
                        doubled += len(images) < episodes.shots
                    else:
                        assert len(images) == min(episodes.shots, len(in_train[episodes.product, category]))
        assert draws == 680
    assert doubled == 80
