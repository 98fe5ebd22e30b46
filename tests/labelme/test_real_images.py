"""A part of the way that ``benchmarks/magnetic_tile.py`` goes, on real images: masks to accuracy, tiles kept apart."""

from __future__ import annotations

import csv
import importlib.util
import shutil

import pytest
import torch

import tiny_clip
from flawshot.encoders.open_clip import OpenClipEncoder
from helpers import REPOSITORY, SHARED


@pytest.fixture
def some_tiles(tmp_path):
    """Three tiles of each category, all their exposures."""
    source = SHARED / "magnetic-tile"
    if not source.is_dir():
        pytest.skip(f"real data not at hand: {source} (set FLAWSHOT_SHARED)")
    with (source / "groups.csv").open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    kept: dict[str, list[str]] = {}
    target = tmp_path / "magnetic-tile"
    written = []
    for row in rows:
        tiles = kept.setdefault(row["image"].split("/")[0], [])
        if row["group"] not in tiles and len(tiles) < 3:
            tiles.append(row["group"])
        if row["group"] in tiles:
            written.append(row)
            for suffix in (".jpg", ".png"):
                path = (target / row["image"]).with_suffix(suffix)
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile((source / row["image"]).with_suffix(suffix), path)
    with (target / "groups.csv").open("w", newline="") as opened:
        writer = csv.DictWriter(opened, ["image", "group"])
        writer.writeheader()
        writer.writerows(written)
    return target


def test_from_masks_to_accuracy_with_whole_tiles_kept_apart(some_tiles, tmp_path, capsys):
    tiny_clip.register(tmp_path)
    torch.save(tiny_clip.make("tiny-vit").state_dict(), tmp_path / "tiny.pt")
    encoder = OpenClipEncoder("tiny-vit", str(tmp_path / "tiny.pt"), device="cpu")
    spec = importlib.util.spec_from_file_location("magnetic_tile", REPOSITORY / "benchmarks" / "magnetic_tile.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    results = module.run(some_tiles, tmp_path / "work", encoder, shots=(1,), seeds=5)
    printed = capsys.readouterr().out
    assert "tiles apart: 0 of 5 episodes have a tile in support and query" in printed
    assert "images apart: 5 of 5" in printed
    for each in results.values():
        run = next(run for run in each.runs if run.classifier == "prototype")
        assert len(run.categories) == 5
        assert 0 < run.accuracy.mean <= 1
        assert all(score.n_query for score in run.per_category.values())
