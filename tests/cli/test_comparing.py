"""``flawshot compare``, and ``flawshot evaluate`` with several banks."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from commands import refuse, succeed
from flawshot import ComparedResults, Results, compare_results, sample_episodes, write_episodes
from flawshot.cli.comparing import side_names
from flawshot.evaluation.intervals import percent

IMAGES = [(f"{p}/{c}{n}", [c]) for p in "pq" for c in ("dent", "scratch", "stain") for n in range(8)]


@pytest.fixture
def place(bank_of, catalog_of, tmp_path, monkeypatch):
    """Two banks and the episodes of two products."""
    catalog = catalog_of(IMAGES, layout="{product}/**")
    bank_of(catalog, spread=1.6, name="sharp")
    bank_of(catalog, spread=2.6, views=2, name="blurry")
    for product in "pq":
        for shots in (1, 3):
            write_episodes(sample_episodes(catalog, product, shots, seeds=range(3)), tmp_path / "episodes")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def evaluate(*more):
    return succeed("evaluate", "sharp", "blurry", "episodes", "--classifiers", "prototype,knn", *more)


def words(text):
    return " ".join(text.split())


def test_several_banks_are_evaluated_and_compared_in_one_command(place):
    done = evaluate("--json", "out", "--csv", "c.csv", "--report", "c.html")
    assert {path.name for path in (place / "out").iterdir()} == {"sharp.json", "blurry.json", "comparison.json"}
    compared = ComparedResults.load("out/comparison.json")
    sides = {name: Results.load(f"out/{name}.json") for name in ("sharp", "blurry")}
    assert compared.scores == compare_results(sides).scores
    assert all(side.provenance["command"].startswith("flawshot") for side in compared.sides)
    for score in compared.of(None):
        shown = percent(score.difference[1].mean, score.difference[1].ci95, signed=True)
        assert f"blurry {percent(score.accuracy[1].mean, score.accuracy[1].ci95)} {shown}" in words(done.stdout)
    assert f"mean of 2 products, {compared.of(None)[0].n_query} query instances" in done.stdout
    assert "prototype, by product: difference from sharp" in done.stdout
    assert all(len(line) <= 100 for line in done.stdout.splitlines())
    with Path("c.csv").open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert len(rows) == 2 * len(compared.scores)
    assert float(rows[1]["difference"]) == compared.scores[0].difference[1].mean
    assert (rows[0]["side"], rows[0]["difference"]) == ("sharp", "")
    assert json.loads(evaluate("--json", "-").stdout)["format"] == "flawshot-comparison"


def test_files_are_compared_later(place):
    evaluated = evaluate("--json", "out").stdout
    compared = succeed("compare", "out/sharp.json", "out/blurry.json", "--json", "c.json", "--report", "c.html").stdout
    assert compared == evaluated
    one = succeed("compare", "out/sharp.json", "out/blurry.json", "--classifier", "knn").stdout
    assert "prototype" not in one
    same = succeed("compare", "out/sharp.json", "out/sharp.json", "--classifier", "prototype,knn").stdout
    comparisons = Results.load("out/sharp.json").comparisons
    (own,) = [each.difference for each in comparisons if (each.product, each.shots) == (None, 3)]
    assert percent(own.mean, own.ci95, signed=True) in words(same)
    assert "knn sharp (2) " in words(same)


def test_what_differs_is_printed(place):
    evaluate("--json", "out")
    document = json.loads(Path("out/blurry.json").read_text())
    document["provenance"]["flawshot"] = "0.0.1"
    document["provenance"]["views"]["sizes"] = ["128px"]
    Path("other.json").write_text(json.dumps(document))
    said = words(succeed("compare", "out/sharp.json", "other.json").stdout)
    assert "views.sizes 256px 128px" in said
    assert "encoder.name made up made up" in said
    assert "flawshot" in said
    assert "0.0.1" in said


def test_mistakes_are_refused_before_the_work(place):
    evaluate("--json", "out")
    assert "at least two" in refuse("compare", "out/sharp.json")
    assert "is named twice" in refuse("compare", "out/sharp.json", "out/blurry.json", "--json", "out/sharp.json")
    assert "exists" in refuse("evaluate", "sharp", "blurry", "episodes", "--json", "out")
    said = refuse("compare", "out/sharp.json", "out/blurry.json", "--classifier", "gda")
    assert said == "--classifier gda: is not in sharp, which has prototype, knn, outline, majority"
    assert "format" in refuse("compare", "out/sharp.json", "out/comparison.json")
    for option in (["--wide"], ["--per-category"], ["--data", "x", "--report", "r.html"]):
        assert "is for the results of one bank" in refuse("evaluate", "sharp", "blurry", "episodes", *option)


def test_results_of_other_episodes_are_refused(place, catalog_of):
    catalog = catalog_of(IMAGES, layout="{product}/**")
    write_episodes(sample_episodes(catalog, "p", 1, seeds=range(4)), place / "others")
    succeed("evaluate", "sharp", "episodes", "--classifiers", "knn", "--json", "a.json")
    succeed("evaluate", "blurry", "others", "--classifiers", "knn", "--json", "b.json")
    said = refuse("compare", "a.json", "b.json")
    assert said == "b: p at 1 shot: has the seeds 0 to 3, and a 0, 1, 2; evaluate both on the same episodes"


def test_sides_have_short_names_that_differ():
    paths = [Path("x/new/results.json"), Path("x/old/results.json"), Path("y/old/results.json")]
    assert side_names(paths) == ["x/new/results", "x/old/results", "y/old/results"]
    assert side_names([Path("a/bank"), Path("b/bank"), Path("b/bank")]) == ["a/bank", "b/bank", "b/bank (2)"]
    assert side_names([Path("a.json"), Path("a.json")]) == ["a", "a (2)"]
