"""Suggestions from a bank and from a data set: what is chosen, why, and what the folder holds."""

from __future__ import annotations

import csv
import json
import shutil

import pytest

import flawshot
from flawshot import FlawshotError, read_labelme
from flawshot.models.fitting import fit_model
from flawshot.models.prediction_folder import read_predictions
from flawshot.models.review_folder import listed
from flawshot.models.selection import STRATEGIES


@pytest.fixture(scope="module")
def few(bank, tmp_path_factory):
    """A model of three regions of each category."""
    rows, taken = [], dict.fromkeys(sorted(set(bank.catalog.column("category"))), 0)
    for row, category in enumerate(bank.catalog.column("category")):
        if taken[category] < 3:
            taken[category] += 1
            rows.append(row)
    place = tmp_path_factory.mktemp("few")
    table = bank.catalog.table.take(rows)
    own = flawshot.write_bank(
        place / "bank", flawshot.Catalog(table), bank.rows(rows), bank.manifest.encoder, bank.manifest.views
    )
    return flawshot.load_model(fit_model(own, place / "model", source="few").path, device="cpu")


@pytest.mark.parametrize("by", STRATEGIES)
def test_examples_are_not_suggested_and_no_image_comes_twice(few, bank, by):
    made = flawshot.suggest(few, bank, 6, by=by)
    assert (made.examples, made.candidates) == (9, len(bank.catalog) - 9)
    assert len(made.suggestions) == len({each.image for each in made.suggestions}) == 6
    examples = set(few.support.catalog.column("id"))
    ids = [each.id for each in made.suggestions]
    assert not examples.intersection(ids)
    assert all(each.why for each in made.suggestions)
    said = few.predict_features(bank, ids)
    for each, other in zip(made.suggestions, said, strict=True):
        assert (each.prediction.label, each.prediction.unsure) == (other.label, other.unsure)
        assert each.prediction.probability == pytest.approx(other.probability, abs=1e-5)
    assert made == flawshot.suggest(few, bank, 6, by=by)


def test_one_of_each_group(few, bank):
    groups = {image: str(number % 4) for number, image in enumerate(sorted(set(bank.catalog.column("image"))))}
    made = flawshot.suggest(few, bank, 50, groups=groups)
    assert sorted(groups[each.image] for each in made.suggestions) == ["0", "1", "2", "3"]
    assert flawshot.suggest(few, bank, 50, groups=lambda _: groups) == made


def test_reasons_are_those_of_the_strategy(few, bank):
    doubt = flawshot.suggest(few, bank, 4, by="doubt").suggestions
    margins = [each.prediction.probability - each.prediction.runner_up_probability for each in doubt]
    assert margins == sorted(margins)
    for each in doubt:
        said = each.prediction
        assert f"doubtful: {said.label} {said.probability:.2f}, {said.runner_up} " in each.why
    assert all("drawn at random" in each.why for each in flawshot.suggest(few, bank, 4, by="random").suggestions)
    typical = flawshot.suggest(few, bank, 4, by="typicality").suggestions
    assert all("typical of " in each.why for each in typical)
    far = flawshot.suggest(few, bank, 4, by="k-center").suggestions
    assert all("far from the examples" in each.why or "unlike the examples" in each.why for each in far)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"count": 0}, "count=0: must be at least 1"),
        ({"by": "luck"}, "by='luck': is no strategy; choose one of random, doubt, "),
    ],
)
def test_a_mistake_is_one_line(few, bank, tmp_path, parts, options, said):
    with pytest.raises(FlawshotError, match=said):
        flawshot.suggest(few, bank, **options)
    with pytest.raises(FlawshotError, match=said):
        flawshot.suggest_catalog(few, flawshot.Catalog.open(parts), tmp_path / "out", **options)
    assert not list(tmp_path.iterdir())


def test_a_model_of_all_regions_has_nothing_to_suggest(model, bank):
    with pytest.raises(FlawshotError, match="regions are examples of it already; there is nothing to suggest"):
        flawshot.suggest(model, bank)


@pytest.fixture
def data(parts, tmp_path):
    """A copy of the drawn parts without labels."""
    place = shutil.copytree(parts, tmp_path / "new")
    for path in place.rglob("*.json"):
        document = json.loads(path.read_text(encoding="utf-8"))
        for shape in document["shapes"]:
            shape["label"] = ""
        path.write_text(json.dumps(document), encoding="utf-8")
    return place


def test_the_folder_is_one_of_predictions_in_the_order_of_the_suggestions(few, bank, data, tmp_path):
    out = tmp_path / "next"
    report = flawshot.suggest_catalog(few, flawshot.Catalog.open(data), out, 5)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    chosen = list(report.suggestions)
    assert [each.id for each in chosen] == [each.id for each in flawshot.suggest(few, bank, 5).suggestions]

    _, lines = read_predictions(out)
    answers = [answer for line in lines for answer in line.answers]
    assert {answer.image for answer in answers} == {each.image for each in chosen}
    ranked = {answer.rank: answer for answer in answers if answer.rank is not None}
    assert [ranked[number].id for number in range(1, 6)] == [each.id for each in chosen]
    assert [ranked[number].why for number in range(1, 6)] == [each.why for each in chosen]
    assert report.others == len(answers) - 5

    order = listed(out, [])
    assert [each.rank for each in order] == [1, 2, 3, 4, 5]
    assert [each.answered.answers[0].image for each in order] == [each.image for each in chosen]
    with (out / "suggestions.csv").open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert [(row["rank"], row["id"], row["why"]) for row in rows] == [
        (str(number), each.id, each.why) for number, each in enumerate(chosen, start=1)
    ]
    for each in order:
        shapes = read_labelme(out / each.annotation).shapes
        marked = [shape for shape in shapes if shape.flags.get("suggested")]
        assert {shape.other["flawshot"]["rank"] for shape in marked} == {int(each.rank)}
        assert all(f"; suggested {each.rank:.0f}: " in shape.description for shape in marked)
        assert all("rank" not in shape.other["flawshot"] for shape in shapes if shape not in marked)


def label(path, name):
    document = json.loads(path.read_text(encoding="utf-8"))
    for shape in document["shapes"]:
        if shape["flags"].get("suggested"):
            shape["label"] = name
    path.write_text(json.dumps(document), encoding="utf-8")


def test_what_was_labeled_is_learned_and_not_suggested_again(few, data, tmp_path):
    model = flawshot.load_model(shutil.copytree(few.path, tmp_path / "model"), device="cpu")
    catalog, out = flawshot.Catalog.open(data), tmp_path / "next"
    first = flawshot.suggest_catalog(model, catalog, out, 4, bank=tmp_path / "bank").suggestions
    for each in listed(out, [])[:2]:
        label(out / each.annotation, "new")
    assert [each.rank for each in listed(out, [])] == [3, 4, float("inf"), float("inf")]
    with pytest.raises(FlawshotError, match="was changed since it was predicted, and is not replaced"):
        flawshot.suggest_catalog(model, catalog, out, 4, overwrite=True)
    learned = flawshot.learn_corrections(model, out)
    assert learned.added == 2
    assert learned.after["new"] == 2
    again = flawshot.suggest_catalog(learned.model, catalog, tmp_path / "more", 100, bank=tmp_path / "bank")
    assert again.examples == 11
    assert not {each.id for each in first[:2]}.intersection(each.id for each in again.suggestions)


def test_features_are_kept_where_the_user_says(few, data, tmp_path):
    catalog = flawshot.Catalog.open(data)
    made = flawshot.suggest_catalog(few, catalog, tmp_path / "a", 3, bank=tmp_path / "bank")
    assert len(flawshot.FeatureBank.open(tmp_path / "bank").catalog) == len(catalog)
    before = (tmp_path / "bank/manifest.json").stat().st_mtime_ns
    again = flawshot.suggest_catalog(few, catalog, tmp_path / "b", 3, bank=tmp_path / "bank")
    assert again.suggestions == made.suggestions
    assert (tmp_path / "bank/manifest.json").stat().st_mtime_ns == before


def test_an_image_that_cannot_be_read_is_left_out(few, data, tmp_path):
    gone = min(data.rglob("*.png"))
    gone.write_bytes(b"no picture")
    report = flawshot.suggest_catalog(few, flawshot.Catalog.open(data), tmp_path / "next", 100)
    (entry,) = report.left_out
    assert entry.image == gone.relative_to(data).as_posix()
    assert entry.image not in {each.image for each in report.suggestions}
    with pytest.raises(FlawshotError, match=gone.name):
        flawshot.suggest_catalog(few, flawshot.Catalog.open(data), tmp_path / "strict", strict=True)
    assert not (tmp_path / "strict").exists()


def test_an_interrupted_call_goes_on_where_it_stopped(few, data, tmp_path):
    class StoppedError(Exception):
        pass

    def stop(done, total):
        if done == total:
            raise StoppedError

    catalog, out = flawshot.Catalog.open(data), tmp_path / "next"
    with pytest.raises(StoppedError):
        flawshot.suggest_catalog(few, catalog, out, 3, progress=stop)
    assert not out.exists()
    assert [path.name for path in tmp_path.iterdir() if "next.candidates" in path.name]
    flawshot.suggest_catalog(few, catalog, out, 3)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
