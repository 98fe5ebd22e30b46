"""The round trip: fit on five a category, predict the rest, correct ten in Labelme's files, learn, predict again."""

from __future__ import annotations

import csv
import os
import random
from collections import defaultdict

import pytest
from typer.testing import CliRunner

import flawshot
from flawshot.cli import app
from flawshot.models.review_folder import listed
from helpers import SHARED
from labelme_itself import open_file, require_labelme, save_file

SHOTS, CORRECTIONS = 5, 10


def succeed(*arguments):
    result = CliRunner().invoke(app, [*map(str, arguments)])
    if isinstance(result.exception, Exception):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def drawn(place):
    """Each image shows another sample: there is no table of groups."""
    flawshot.draw_data_set(place, categories=3, images=44, side=96, surface="wood", workers=1, seed=11)


def magnetic_tile(place):
    if not (SHARED / "magnetic-tile").exists():
        if os.environ.get("FLAWSHOT_REQUIRE_SHARED"):
            pytest.fail(f"real data is required, but {SHARED / 'magnetic-tile'} is not there")
        pytest.skip(f"real data not at hand: {SHARED / 'magnetic-tile'} (set FLAWSHOT_SHARED)")
    flawshot.import_masks(SHARED / "magnetic-tile", place, min_area=30)
    return SHARED / "magnetic-tile/groups.csv"


def write(catalog, place):
    """Regions as Labelme files of their own, with links to their images at the same path."""
    for annotation, file in flawshot.labelme_files(catalog):
        flawshot.write_labelme(file, place / annotation)
    for image in set(catalog.column("image")):
        (place / image).parent.mkdir(parents=True, exist_ok=True)
        (place / image).symlink_to(catalog.root / image)


def part(catalog, ids):
    rows = sorted(catalog.row_of[each] for each in ids)
    return flawshot.Catalog(catalog.table.take(rows), catalog.root)


def told(out):
    with (out / "predictions.csv").open(encoding="utf-8", newline="") as opened:
        return {row["id"]: row["predicted"] for row in csv.DictReader(opened)}


def correct(out, truth):
    """Go through the files as review shows them, until ten regions have been given their right labels; save each."""
    done = []
    for entry in listed(out, []):
        path = out / entry.annotation
        opened = open_file(path)
        for shape in opened.shapes:
            identifier = shape["other_data"]["flawshot"]["id"]
            if identifier in done or (len(done) < CORRECTIONS and shape["flags"]["predicted"]):
                done += [identifier] if identifier not in done else []
                shape["label"] = truth[identifier]
                shape["flags"]["predicted"] = False
        size = flawshot.read_labelme(path)
        save_file(path, opened, size.image_height, size.image_width)
        if len(done) == CORRECTIONS:
            return done
    raise AssertionError("there are fewer than ten regions")


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # labelme's
@pytest.mark.parametrize("source", [drawn, magnetic_tile])
def test_round_trip(source, tmp_path):
    require_labelme()
    table = source(tmp_path / "all")
    catalog = flawshot.Catalog.open(tmp_path / "all")
    (product,) = catalog.products
    images = catalog.column("image")
    groups = {image: image for image in images} if table is None else flawshot.groups_from_csv(table, images)
    (episode,) = flawshot.sample_episodes(catalog, product, SHOTS, seeds=[0], groups=groups).episodes
    unit = {each: groups[image] for each, image in zip(catalog.column("id"), images, strict=True)}
    used = {unit[each] for each in episode.support}
    by_unit = defaultdict(list)
    for each in catalog.column("id"):
        if unit[each] not in used:
            by_unit[unit[each]].append(each)
    some = random.Random(0).sample(sorted(by_unit), min(len(by_unit), 24))
    rest = part(catalog, [each for own in some for each in by_unit[own]])
    write(part(catalog, episode.support), tmp_path / "few")
    write(rest, tmp_path / "rest")
    truth = dict(zip(rest.column("id"), rest.column("category"), strict=True))
    grouped = [] if table is None else ["--group", _table(groups, tmp_path / "groups.csv")]

    succeed("fit", tmp_path / "few", "--out", tmp_path / "model", "--device", "cpu", *grouped)
    first = flawshot.load_model(tmp_path / "model")
    first_hash = first.hash
    assert first.record.instances == SHOTS * len(first.categories)
    succeed("predict", tmp_path / "model", tmp_path / "rest", "--out", tmp_path / "named", "--device", "cpu")
    before = told(tmp_path / "named")
    assert before.keys() == truth.keys()
    learned = correct(tmp_path / "named", truth)
    assert len(learned) == CORRECTIONS
    said = succeed("learn", tmp_path / "model", tmp_path / "named", "--device", "cpu", *grouped)
    assert f"{CORRECTIONS} regions learned, 0 of them in place of earlier examples" in said
    succeed("predict", tmp_path / "model", tmp_path / "rest", "--out", tmp_path / "again", "--device", "cpu")
    after = told(tmp_path / "again")

    others = [each for each in truth if each not in learned]
    counts = [sum(answers[each] == truth[each] for each in others) for answers in (before, after)]
    print(said)  # noqa: T201 - what the round trip is for
    print(  # noqa: T201
        f"{source.__name__}: of {len(others)} regions that were not learned {counts[0]} right before, {counts[1]} after"
    )
    # Nothing is forgotten: the model names what it was told, and the history says where it is from.
    model = flawshot.load_model(tmp_path / "model")
    assert model.record.instances == first.record.instances + CORRECTIONS
    assert set(first.support.catalog.column("id")) < set(model.support.catalog.column("id"))
    assert [step.how for step in model.record.history] == ["fit", "learn"]
    assert model.record.history[1].previous == first_hash
    # Better than always the same answer, before and after; each of the ten is an example now, and named as it was told.
    most = max(sum(truth[each] == category for each in others) for category in model.categories)
    assert min(counts) > most * 0.8
    assert sum(after[each] == truth[each] for each in learned) >= 0.8 * CORRECTIONS
    for out in ("named", "again"):
        for path in (tmp_path / out).rglob("*.json"):
            opened = open_file(path)
            assert [shape["label"] for shape in opened.shapes] == [
                shape.label for shape in flawshot.read_labelme(path).shapes
            ]


def _table(groups, path):
    with path.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(["image", "group"])
        writer.writerows(sorted(groups.items()))
    return path
