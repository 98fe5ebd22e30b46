"""``flawshot demo``, as a user runs it, on few small images."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from flawshot import FlawshotError, draw_data_set, read_episodes
from flawshot.bank.features import FeatureBank
from flawshot.classifiers import shown_name
from flawshot.cli import app, demonstrating
from flawshot.cli.wording import option_words
from flawshot.evaluation.results import Results


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the demo in an empty folder: 3 categories, 12 images of 96 px, 2 seeds."""
    for name, value in (("CATEGORIES", 3), ("IMAGES", 12), ("SIDE", 96), ("SEEDS", 2), ("SHOTS", (1, 2))):
        monkeypatch.setattr(demonstrating, name, value)
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        result = CliRunner().invoke(app, ["demo", *map(str, arguments)])
        if isinstance(result.exception, Exception) and not isinstance(result.exception, FlawshotError):
            raise result.exception
        return result

    return call


@pytest.fixture
def parts(tmp_path):
    """One's own data: one product, two categories."""
    draw_data_set(tmp_path / "parts", categories=2, images=10, side=64, surface="wood", workers=1, seed=2)
    return tmp_path / "parts"


def test_the_whole_way_and_faster_the_second_time(run, tmp_path):
    first = run()
    assert first.exit_code == 0, first.output
    out = tmp_path / "flawshot-demo"
    assert "1. Images: drew 12 of " in first.stdout
    assert "14 encoded in " in first.stdout
    results = Results.load(out / "results.json")
    assert {run.classifier for run in results.runs} >= {
        *map(shown_name, demonstrating.CLASSIFIERS),
        "chance",
        "majority",
    }
    assert {run.shots for run in results.runs} == {1, 2}
    assert "<html" in (out / "report.html").read_text(encoding="utf-8")[:200]
    bank = FeatureBank.open(out / "bank")
    assert bank.manifest.encoder.name == "flawshot-tiny"
    files = sorted((out / "episodes").rglob("*.json"))
    assert len(files) == 2
    for file in files:
        assert len(read_episodes(file, bank.catalog).episodes) == 2

    second = run()
    assert second.exit_code == 0, second.output
    assert "1. Images: reused from the last run" in second.stdout
    assert "all reused from the last run" in second.stdout
    again = Results.load(out / "results.json")
    assert [run.accuracy for run in again.runs] == [run.accuracy for run in results.runs]


def test_ones_own_data_is_left_as_it_is(run, parts, tmp_path):
    before = {path: path.read_bytes() for path in parts.rglob("*") if path.is_file()}
    result = run("--data", "parts")
    assert result.exit_code == 0, result.output
    assert "1. Images: 10 of 1 product with 12 annotated instances in parts" in result.stdout
    assert (tmp_path / "flawshot-demo-parts" / "report.html").is_file()
    assert {path: path.read_bytes() for path in parts.rglob("*") if path.is_file()} == before
    for line in result.stdout.partition("Next:")[2].splitlines():
        assert "parts" in line or "evaluate bank" in line or not line.startswith("  flawshot")


def test_what_cannot_be_used_is_named_and_the_rest_is_done(run, parts):
    files = sorted(parts.rglob("*.json"))
    document = json.loads(files[0].read_text())
    document["shapes"][0]["label"] = "rare <b>"
    for shape in document["shapes"][1:]:
        shape["label"] = "rare <b>"
    files[0].write_text(json.dumps(document))
    files[1].with_suffix(".png").write_bytes(b"no image")
    result = run("--data", parts, "--out", "out")
    assert result.exit_code == 0, result.output
    assert "left out because all instances are in one image: rare <b> (" in result.stderr
    assert f"{files[1].stem}.png" in result.stderr
    assert set(FeatureBank.open("out/bank").catalog.column("annotation")).isdisjoint(
        path.relative_to(parts).as_posix() for path in files[:2]
    )


def test_changed_annotations_replace_only_what_the_demo_wrote(run, parts, tmp_path):
    assert run("--data", parts, "--group", r"(\d+)\.png").exit_code == 0
    removed = min(parts.rglob("*.json"))
    removed.unlink()
    result = run("--data", parts)
    assert result.exit_code == 0, result.output
    assert "all reused from the last run" in result.stdout
    report = tmp_path / "flawshot-demo-parts" / "report.html"
    report.write_text("with my notes")
    refused = run("--data", parts)
    assert "report.html: was changed" in str(refused.exception)
    assert report.read_text() == "with my notes"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--group", "x"], "--group: is for your own data; name it with --data"),
        (["--data", "parts", "--seed", 1], "--seed: is for drawn data"),
        (["--data", "parts", "--out", "parts/demo"], "--out parts/demo: is inside --data parts"),
        (["--data", "parts", "--group", "nothing"], "--group nothing: does not match"),
        (["--out", "parts"], "parts: exists and is not the demo's folder"),
        (["--data", "absent"], "absent: is neither a folder"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_user_gets_wrong_is_one_line(run, parts, arguments, message):
    result = run(*arguments)
    assert message in result.exception.worded(option_words)
    assert "\n" not in result.exception.worded(option_words)
