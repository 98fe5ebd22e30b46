"""The commands, run as a user runs them: what they print, what they write, how they refuse."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from commands import shell
from flawshot import Catalog, FeatureBank
from helpers import box_shape, labelme_document

IMAGES = {
    f"bracket/{split}/{c}{n}.json": [box_shape(c)]
    for split in ("train", "test")
    for c in ("dent", "[b]old")
    for n in range(4)
}


def succeed(*arguments, **options):
    done = shell(*arguments, **options)
    assert done.returncode == 0, done.stderr
    return done


def refuse(*arguments, **options):
    done = shell(*arguments, **options)
    assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("flawshot: ")
    return last


@pytest.fixture
def data(write_annotations):
    return write_annotations(IMAGES)


@pytest.fixture
def released(data, tmp_path):
    """Features in MVREC's format for the made-up annotations."""
    rng = np.random.default_rng(2)
    catalog = Catalog.open(data)
    means = {"[b]old": rng.normal(size=8), "dent": rng.normal(size=8)}
    folder = tmp_path / "released"
    folder.mkdir()
    for part, split in (("support", "train"), ("query", "test")):
        categories = [i.category for i in catalog if i.split == split]
        torch.save(
            [
                {
                    "y": torch.tensor(sorted(means).index(category)),
                    "mvrec": torch.from_numpy((means[category] + rng.normal(size=(27, 3, 8))).astype(np.float16)),
                }
                for category in categories
            ],
            folder / f"bracket_{part}.pt",
        )
    return folder


@pytest.mark.parametrize(
    "code", ["import flawshot", "import sys; sys.argv[1:] = ['--help']; from flawshot.cli import main"]
)
def test_neither_the_import_nor_help_loads_torch_or_qt_or_anything_heavy(code):
    heavy = (
        "torch",
        "open_clip",
        "labelme",
        "PyQt5",
        "PyQt6",
        "PySide6",
        "qtpy",
        "sklearn",
        "scipy",
        "pyarrow",
        "numpy",
    )
    run_main = "\ntry:\n    main()\nexcept SystemExit:\n    pass" if "main" in code else ""
    script = f"{code}{run_main}\nimport sys; print([name for name in {heavy} if name in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_the_way_from_annotations_to_a_table(data, released, tmp_path):
    stats = json.loads(succeed("stats", data, "--json", "-").stdout)
    counts = [tuple(row[key] for key in ("product", "split", "category", "images", "instances")) for row in stats]
    assert ("bracket", "train", None, 8, 8) in counts
    assert ("bracket", "test", "dent", 4, 4) in counts
    assert "[b]old" in succeed("stats", data).stdout

    done = succeed("sample", data, "--out", tmp_path / "episodes", "--shots", "1,3", "--seeds", 3)
    assert "2 files" in done.stdout
    episodes = json.loads((tmp_path / "episodes/disjoint/bracket-3shot.json").read_text())
    assert [episode["seed"] for episode in episodes["episodes"]] == [0, 1, 2]

    succeed("import", "mvrec-features", released, tmp_path / "bank", "--annotations", data, "--encoder", "made up")
    done = succeed(
        "evaluate", tmp_path / "bank", tmp_path / "episodes", "--json", tmp_path / "r.json", "--classifiers", "all"
    )
    for word in (
        "bracket",
        "default (evidence-ridge)",
        "whitened-ridge",
        "zip-adapter-f",
        "chance",
        "majority",
        "3-shot",
        "[b]old (4*)",
        "fewer than 10",
        ", of which zip-adapter-f ",
        "default-transductive †",
        "† sees all queries at once (transductive): default-transductive, soft-kmeans, transclip",
    ):
        assert word in done.stdout, word
    results = json.loads((tmp_path / "r.json").read_text())
    assert {(r["classifier"], r["shots"]) for r in results["runs"]} >= {("matched-prototype", 1), ("knn", 3)}
    first = results["runs"][0]
    assert f"{100 * first['accuracy']['mean']:.1f} [" in done.stdout
    assert results["provenance"]["encoder"]["name"] == "made up"
    assert results["comparisons"][0]["reference"] == "default (evidence-ridge)"

    printed = json.loads(
        succeed("evaluate", tmp_path / "bank", tmp_path / "episodes", "--json", "-", "--classifiers", "knn").stdout
    )
    assert printed["format"] == "flawshot-results"
    assert "exists" in refuse("evaluate", tmp_path / "bank", tmp_path / "episodes", "--json", tmp_path / "r.json")


def test_released_features_of_annotations_whose_images_are_elsewhere(data, released, tmp_path):
    first, *others = (file.relative_to(data) for file in sorted(data.rglob("*.json")))
    for file in others:
        document = json.loads((data / file).read_text())
        (tmp_path / "elsewhere" / file.parent).mkdir(parents=True, exist_ok=True)
        size = (document["imageWidth"], document["imageHeight"])
        Image.new("L", size).save((tmp_path / "elsewhere" / file).with_suffix(".png"))
    given = ["import", "mvrec-features", released, tmp_path / "bank", "--annotations", data]
    images = ["--images", tmp_path / "elsewhere"]
    (line,) = succeed(*given, *images).stderr.splitlines()
    assert str(first) in line
    assert set(FeatureBank.open(tmp_path / "bank").catalog.column("id")) == set(Catalog.open(data).column("id"))
    (data / "CONFIG/bracket_config1").mkdir(parents=True)
    assert "--images: is for Labelme files" in refuse(*given, *images, "--overwrite")


def test_products_that_bank_and_episodes_do_not_share_are_named(data, released, tmp_path, write_annotations):
    more = {path.replace("bracket", "bolt"): shapes for path, shapes in IMAGES.items()}
    write_annotations(more)
    succeed("sample", data, "--out", tmp_path / "episodes", "--shots", "1")
    succeed("import", "mvrec-features", released, tmp_path / "bank", "--annotations", data)
    done = succeed("evaluate", tmp_path / "bank", tmp_path / "episodes", "--classifiers", "knn")
    assert "left out because they are not in the bank: bolt" in done.stderr
    message = refuse("evaluate", tmp_path / "bank", tmp_path / "episodes", "--product", "bolt")
    assert "has no episodes of a product in the bank (bracket)" in message


def test_import_mvtec_fs(tmp_path):
    folder = tmp_path / "src/CONFIG/nut_config1"
    folder.mkdir(parents=True)
    for name in ("train", "valid"):
        rows = [
            'training/a/0.png,9,9,a,"[[1, 1], [5, 1], [5, 5]]"'.replace(
                "training", {"train": "training"}.get(name, "testing")
            )
        ]
        (folder / f"{name}.csv").write_text("\n".join(["img_rel_path,imageHeight,imageWidth,label,points", *rows]))
    assert "2 Labelme files, 0 images" in succeed("import", "mvtec-fs", tmp_path / "src", tmp_path / "out").stdout
    assert (tmp_path / "out/nut/testing/a/0.json").is_file()


def test_check_lists_findings_by_kind_and_exits_with_1(write_annotations, tmp_path):
    mixed = [box_shape("dent", group_id=1), box_shape("scratch", group_id=1)]
    root = write_annotations({"a.json": mixed, "b.json": [box_shape(), box_shape(points=[])]})
    (root / "old.json").write_bytes(json.dumps(labelme_document([box_shape("划")]), ensure_ascii=False).encode("gbk"))
    done = shell("check", root)
    assert done.returncode == 1
    for line in (
        "mixed-group (1)",
        "  warning: a.json: shape 0: group 1 has several labels (dent, scratch); its shapes are not joined",
        "encoding (1)",
        "  error: b.json: shape 1: points must be a list of [x, y] pairs",
        "missing-image (3)",
    ):
        assert line in done.stdout.splitlines()
    findings = json.loads(shell("check", root, "--json", "-").stdout)
    assert {"file", "kind", "message", "severity", "shape"} == set(findings[0])
    assert len(findings) == 9
    assert [f["kind"] for f in findings].count("small-category") == 3


def test_problems_are_summed_up_and_strict_stops(data):
    done = succeed("stats", data)
    assert "and 13 more of this kind (missing-image)" in done.stderr
    assert len(done.stderr.splitlines()) == 4
    assert "imagePath" in refuse("stats", data, "--strict")


def test_remarks_are_one_line_each(write_annotations, tmp_path):
    tested = {path.replace("/train/", "/test/x"): shapes for path, shapes in IMAGES.items()}
    root = write_annotations({**tested, "lonely/a.json": [box_shape("dent")]})
    done = succeed("sample", root, "--out", tmp_path / "e", "--shots", "1")
    lines = [line for line in done.stderr.splitlines() if "lack their images" not in line and "missing" not in line]
    assert lines == [
        "lonely: left out because it has a single category (dent)",
        "bracket: its own split is ignored: its train part has no [b]old, dent",
    ]
    done = succeed("stats", root, "--product", "lonely")
    assert "hint: only one category found in lonely; if these folders are categories" in done.stderr
    flat = succeed("stats", root, "--layout", "**", "--json", "-")
    assert {row["product"] for row in json.loads(flat.stdout)} == {"data"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["stats", "nowhere"], "nowhere: is neither a folder"),
        (["stats"], "Missing argument"),
        (["stats", "DATA", "--product", "nope"], "--product nope: is not in the data, which has bracket"),
        (["stats", "DATA", "--layout", "{x}"], "--layout '{x}'"),
        (["stats", "DATA", "--no-such"], "No such option"),
        (["no-such"], "No such command"),
        (["check", "nowhere"], "is not a folder"),
        (["sample", "DATA"], "Missing option"),
        (["sample", "DATA", "--out", "e", "--shots", "1,x"], "--shots 1,x: must be whole numbers"),
        (["sample", "DATA", "--out", "e", "--shots", "0"], "--shots 0"),
        (["sample", "DATA", "--out", "e", "--shots", "9"], "category '[b]old' has 4 instances"),
        (["sample", "DATA", "--out", "e", "--seeds", "0"], "--seeds"),
        (["sample", "DATA", "--out", "e", "--protocol", "x"], "--protocol"),
        (["sample", "DATA", "--out", "e", "--group", "("], "is not a regular expression"),
        (["sample", "DATA", "--out", "e", "--group", "none.csv"], "none.csv: cannot be read"),
        (["sample", "DATA", "--out", "e", "--protocol", "mvrec", "--group", "x|png"], "does not support groups"),
        (["evaluate", "nowhere", "e"], "nowhere: is not a feature bank's folder"),
        (["evaluate", "DATA", "e"], "manifest.json: cannot be read"),
        (["import", "mvtec-fs", "DATA", "out"], "is not MVTec-FS"),
        (["import", "mvrec-features", "DATA", "out", "--annotations", "DATA"], "contains no <product>_support.pt"),
        (["import", "nothing"], "No such command"),
        (["stats", "DATA", "--json", ""], "is not a file name"),
        (["stats", "DATA", "--json", "."], "is not a file name"),
        (["stats", "x" * 5000], "cannot be read"),
        (["sample", "DATA", "--out", "e", "--shots", "9" * 5000], "must be whole numbers"),
        (["check", "DATA", "--product", "nope"], "--product nope"),
        (["check", "DATA", "--shots", "many"], "--shots many"),
        (["check", "DATA", "--same-sample"], "--same-sample: needs --out DIR"),
        (["check", "DATA", "--out", "e"], "--out: is for --same-sample"),
    ],
)
def test_what_a_user_gets_wrong_is_one_line_and_status_2(data, tmp_path, arguments, message):
    arguments = [str(data) if argument == "DATA" else argument for argument in arguments]
    line = refuse(*arguments, cwd=tmp_path)
    assert message in line
    assert len(line) < 600
    assert not (tmp_path / "e").exists()


def test_episodes_that_differ_are_not_written_over(data, tmp_path):
    succeed("sample", data, "--out", tmp_path / "e", "--shots", "1")
    succeed("sample", data, "--out", tmp_path / "e", "--shots", "1")
    assert "exists with different content" in refuse(
        "sample", data, "--out", tmp_path / "e", "--shots", "1", "--seeds", 2
    )
    succeed("sample", data, "--out", tmp_path / "e", "--shots", "1", "--seeds", 2, "--overwrite")


def test_a_saved_catalog_serves_as_data(data, tmp_path):
    succeed("stats", data, "--catalog", tmp_path / "c.parquet")
    assert (
        succeed("stats", tmp_path / "c.parquet", "--json", "-").stdout == succeed("stats", data, "--json", "-").stdout
    )


def test_the_version_is_the_packages():
    from importlib.metadata import version

    assert succeed("--version").stdout.strip() == f"flawshot {version('flawshot')}"


def test_a_reader_that_goes_away_is_no_traceback(write_annotations):
    root = write_annotations({f"product{n:04}/a.json": [box_shape(f"category{n}")] for n in range(900)})
    command = [sys.executable, "-m", "flawshot", "stats", str(root), "--json", "-"]  # more than a pipe holds
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.readline()
    process.stdout.close()
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    process.wait()


@pytest.mark.parametrize("columns", [40, 50, 60, 80, 120])
def test_on_a_narrow_terminal_nothing_is_cut(data, released, tmp_path, monkeypatch, capsys, columns):
    from flawshot import FeatureBank, evaluate, sample_episodes
    from flawshot.cli import console, tables, wide_tables

    succeed("import", "mvrec-features", released, tmp_path / "bank", "--annotations", data)
    bank = FeatureBank.open(tmp_path / "bank")
    sets = [sample_episodes(bank.catalog, "bracket", shots) for shots in (1, 3)]
    results = evaluate(bank, sets, ["matched-prototype", "zip-adapter", "knn"])
    for module in (console, tables, wide_tables):
        monkeypatch.setattr(module, "console_width", lambda: columns)
    tables.print_results(results, per_category=True, wide=True)
    shown = capsys.readouterr().out
    assert "…" not in shown
    assert all(len(line) <= columns for line in shown.splitlines())
    for run in results.runs:
        assert f"{100 * run.accuracy.mean:.1f} [" in shown
    assert shown.count("bracket ") >= 3


def test_a_label_that_the_terminal_has_no_letters_for_is_no_reason_to_stop(write_annotations):
    root = write_annotations({"a.json": [box_shape("\u5212\u75d5")]})
    done = subprocess.run(
        [sys.executable, "-m", "flawshot", "stats", str(root)],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONIOENCODING": "ascii"},
    )
    assert "\\u5212" in done.stdout


def test_a_report_is_written_with_the_evaluation_and_again_from_its_results(data, released, tmp_path):
    succeed("sample", data, "--out", tmp_path / "episodes", "--shots", "1,3", "--seeds", 2)
    succeed("import", "mvrec-features", released, tmp_path / "bank", "--annotations", data, "--encoder", "made up")
    bank, episodes, results = tmp_path / "bank", tmp_path / "episodes", tmp_path / "r.json"
    page = tmp_path / "report.html"
    succeed("evaluate", bank, episodes, "--json", results, "--report", page, "--classifiers", "knn,prototype")
    text = page.read_text(encoding="utf-8")
    assert "default-src &#39;none&#39;" in text or "default-src 'none'" in text
    assert "[b]old" in text
    again = tmp_path / "again.html"
    tables = [tmp_path / f"table.{ending}" for ending in ("csv", "md", "tex")]
    options = zip(("--csv", "--markdown", "--latex"), tables, strict=True)
    succeed("report", results, "--out", again, *(word for pair in options for word in pair))
    assert "[b]old" in again.read_text(encoding="utf-8")
    for table in tables:
        assert "prototype" in table.read_text(encoding="utf-8")
    page.write_text("mine", encoding="utf-8")
    refused = refuse("report", results, "--out", page)
    assert "report.html" in str(refused)
    assert page.read_text(encoding="utf-8") == "mine"
