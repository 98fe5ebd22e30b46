"""``flawshot review`` and ``flawshot learn``, as a user runs them; Labelme itself is run where Qt's libraries are."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import flawshot
from commands import refuse, succeed
from flawshot import FlawshotError
from flawshot.cli.reviewing import labelme_command, why_not_started
from flawshot.models.review_folder import ReviewFolder, listed
from labelme_itself import MAJOR, require_window

HANDS = Path(__file__).parent / "drive_labelme"


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    place = tmp_path_factory.mktemp("base")
    flawshot.draw_data_set(place / "parts", categories=2, images=16, side=96, surface="wood", workers=1, seed=5)
    (place / "few/wood").mkdir(parents=True)
    for path in sorted((place / "parts/wood").iterdir())[:20]:
        shutil.copy(path, place / "few/wood")
    succeed("fit", place / "few", "--out", place / "model", "--device", "cpu")
    succeed("predict", place / "model", place / "parts", "--out", place / "named", "--device", "cpu")
    # What is unsure depends on the encoder; what is said of it does not.
    for name, flag in (("009", "unsure"), ("012", "unknown")):
        path = place / f"named/wood/{name}.json"
        document = json.loads(path.read_text(encoding="utf-8"))
        document["shapes"][0]["flags"][flag] = True
        path.write_text(json.dumps(document), encoding="utf-8")
    return place


@pytest.fixture
def here(base, tmp_path):
    return shutil.copytree(base, tmp_path / "here")


def shapes_of(path):
    return json.loads(path.read_text(encoding="utf-8"))["shapes"]


# What says where windows are shown; other tests of this process may have set the last one.
NO_DISPLAY = frozenset({"DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"})


def review(here, label, **environment):
    """Run the command in a process of its own, with hands that work in Labelme."""
    (here / "home").mkdir(exist_ok=True)
    (here / "home/.labelmerc").write_text("auto_save: true\n", encoding="utf-8")
    path = os.pathsep.join([str(HANDS), *filter(None, sys.path)])
    own = {
        "QT_QPA_PLATFORM": "offscreen",
        "HOME": str(here / "home"),
        "PYTHONPATH": path,
        "FLAWSHOT_LABEL": label,
        "FLAWSHOT_SEEN": str(here / "seen.json"),
    }
    kept = {name: value for name, value in os.environ.items() if name not in NO_DISPLAY}
    return subprocess.run(
        [sys.executable, "-m", "flawshot", "review", "named"],
        cwd=here,
        env=kept | {name: value for name, value in (own | environment).items() if value is not None},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_doubtful_files_come_first_and_done_ones_last(here):
    path = here / "named/wood/003.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    for shape in document["shapes"]:
        shape["flags"]["predicted"] = False
    path.write_text(json.dumps(document), encoding="utf-8")
    problems = []
    found = listed(here / "named", problems)
    assert not problems
    doubtful = [each.annotation for each in found if each.doubtful]
    assert {"wood/009.json", "wood/012.json"} <= set(doubtful)
    assert [each.annotation for each in found[: len(doubtful)]] == doubtful
    assert found[-1].annotation == "wood/003.json"
    for group in (found[: len(doubtful)], found[len(doubtful) : -1]):
        assert [each.probability for each in group] == sorted(each.probability for each in group)
    told = succeed("review", here / "named", "--print", "--first", 2).stdout.splitlines()
    assert len(told) == 3
    assert told[0].endswith(found[0].annotation)
    assert not (here / ".named.review").exists()


def test_a_person_corrects_in_labelme_itself(here):
    """The real Labelme, offscreen: order, labels to choose from, what is saved, and what learn makes of it."""
    require_window()
    if MAJOR < 6:
        pytest.skip("the hands know Labelme 6 and 7 only")
    before = {path: path.read_bytes() for path in (here / "parts").rglob("*") if path.is_file()}
    order = [here / "named" / each.annotation for each in listed(here / "named", [])]
    documents = [json.loads(path.read_text(encoding="utf-8")) for path in order]
    done = review(here, "dent-new")
    assert done.returncode == 0, done.stderr
    assert "named: 3 files changed; flawshot learn MODEL named" in done.stdout
    assert "16 files, " in done.stderr
    assert {path: path.read_bytes() for path in (here / "parts").rglob("*") if path.is_file()} == before
    assert not (here / ".named.review").exists()

    seen = json.loads((here / "seen.json").read_text(encoding="utf-8"))
    assert [name.partition("-")[2] for name in seen["files"]] == [f"wood_{path.stem}.png" for path in order]
    assert seen["labelme"] == version("labelme")
    assert seen["labels"] == list(flawshot.load_model(here / "model").categories)

    first, second, third, *others = [json.loads(path.read_text(encoding="utf-8")) for path in order]
    assert first["shapes"][0]["label"] == "dent-new"
    assert first["shapes"][0]["flags"]["predicted"] is True  # flags outlive another label
    assert first["shapes"][0]["flawshot"] == documents[0]["shapes"][0]["flawshot"]
    assert second["shapes"][0]["flags"]["predicted"] is False
    assert second["shapes"][0]["label"] == documents[1]["shapes"][0]["label"]
    assert third["flags"] == {"all_confirmed": True}
    assert others == documents[3:]
    for document, old in zip((first, second, third), documents, strict=False):
        assert {key: document[key] for key in document if key not in {"shapes", "flags"}} == {
            key: old[key] for key in old if key not in {"shapes", "flags"}
        }
    said = succeed("learn", here / "model", here / "named", "--device", "cpu")
    assert "1 corrected" in said.stdout
    assert "confirmed" in said.stdout
    assert "dent-new: a new category" in said.stderr


def test_a_region_that_is_locked_there_stays_locked(here):
    """Labelme 7 locks shapes, and writes that into the file."""
    require_window()
    if MAJOR < 7:
        pytest.skip("Labelme locks shapes from 7 on")
    order = [here / "named" / each.annotation for each in listed(here / "named", [])]
    done = review(here, "dent-new", FLAWSHOT_LOCK="1")
    assert done.returncode == 0, done.stderr
    assert "named: 4 files changed; flawshot learn MODEL named" in done.stdout
    assert shapes_of(order[3])[0]["locked"] is True
    assert all("locked" not in shape for path in order[:3] for shape in shapes_of(path))
    assert flawshot.read_labelme(order[3]).shapes[0].other["locked"] is True
    # Nobody has said what it is; and it does not stand in the way of what was said of the others.
    assert "1 corrected" in succeed("learn", here / "model", here / "named", "--device", "cpu").stdout


def test_where_there_is_no_display_it_is_said(here):
    require_window()
    if sys.platform != "linux":
        pytest.skip("other systems have a display")
    done = review(here, "x", QT_QPA_PLATFORM=None)
    assert done.returncode == 2
    assert "flawshot: labelme: cannot open a window, there is no display" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (here / ".named.review").exists()


def test_where_labelme_is_not_installed_it_is_said(here, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert "labelme: is not installed; run python -m pip install" in refuse("review", here / "named")


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (
            "Traceback\nImportError: libGL.so.1: cannot open shared object file: No such file or directory\n",
            "a system library of Qt is missing (libGL.so.1: cannot open shared object file",
        ),
        ('qt.qpa.plugin: Could not load the Qt platform plugin "xcb" in "" even though it was found.', "open a window"),
        ("qt.qpa.xcb: could not connect to display :7", "cannot open a window"),
        (
            "From 6.5.0, xcb-cursor0 or libxcb-cursor0 is needed to load the Qt xcb platform plugin.",
            "a system library of Qt is missing (libxcb-cursor0); install it, on Debian: apt install libxcb-cursor0",
        ),
        ("loguru noise\nValueError: Unexpected key in config: color\n", "Unexpected key in config: color"),
        ("", "ended with status 3: it printed nothing"),
    ],
)
def test_why_labelme_did_not_start(log, said, monkeypatch):
    monkeypatch.setenv("DISPLAY", ":7")
    line = why_not_started(log, 3)
    assert said in line
    assert "\n" not in line


def test_a_folder_without_a_file_to_look_at_is_said(here):
    (here / "empty").mkdir()
    shutil.copy(here / "named/predictions.jsonl", here / "empty")
    said = refuse("review", here / "empty", "--data", here / "parts")
    assert "contains no file to review" in said
    assert not (here / ".empty.review").exists()


def test_the_command_is_labelmes(here):
    command = labelme_command(here / "x")
    assert command[1:4] == ["-P", "-m", "labelme"]
    named = "--label-flags" if MAJOR >= 7 else "--labelflags"
    assert [each for each in command if each.startswith("--")] == ["--labels", "--flags", named]


def fill(here, **options):
    folder = ReviewFolder(here / "named")
    entries = listed(here / "named", [])
    problems = []
    folder.fill(entries, here / "parts", flawshot.load_model(here / "model").categories, problems)
    return folder, entries, problems


def edit(path, **changes):
    document = json.loads(path.read_text(encoding="utf-8"))
    document["shapes"][0] |= changes
    path.write_text(json.dumps(document, indent=2), encoding="utf-8")


def test_an_interrupted_review_is_carried_back_by_the_next(here):
    folder, entries, _ = fill(here)
    edit(min(folder.place.glob("00001-*.json")), label="late")
    folder._lock.close()  # killed
    again = ReviewFolder(here / "named")
    assert again.carried == [entries[0].annotation]
    assert shapes_of(here / "named" / entries[0].annotation)[0]["label"] == "late"
    again.close()
    assert not again.place.exists()


def test_half_written_files_are_waited_for(here):
    folder, entries, _ = fill(here)
    copy = min(folder.place.glob("00001-*.json"))
    whole = copy.read_text(encoding="utf-8")
    copy.write_text(whole[:50], encoding="utf-8")
    folder.carry_back()
    assert folder.carried == []
    with pytest.raises(FlawshotError, match="is not a Labelme file; save what you need"):
        folder.carry_back(last=True)
    folder.close()
    assert copy.exists()
    assert shapes_of(here / "named" / entries[0].annotation)


def test_what_was_changed_in_both_places_is_not_replaced(here):
    folder, entries, _ = fill(here)
    edit(here / "named" / entries[0].annotation, label="mine")
    edit(min(folder.place.glob("00001-*.json")), label="yours")
    with pytest.raises(FlawshotError, match=r"was changed, and so was its copy .* is not replaced"):
        folder.carry_back(last=True)
    folder.close()
    assert folder.place.exists()
    assert shapes_of(here / "named" / entries[0].annotation)[0]["label"] == "mine"


def test_one_review_at_a_time(here):
    folder, _, _ = fill(here)
    with pytest.raises(FlawshotError, match="another flawshot process is working there"):
        ReviewFolder(here / "named")
    folder.close()


def test_an_embedded_image_is_shown_and_stays_embedded(here):
    import base64

    path = here / "named/wood/009.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    image = here / "parts/wood/009.png"
    document["imageData"] = base64.b64encode(image.read_bytes()).decode()
    path.write_text(json.dumps(document), encoding="utf-8")
    image.unlink()
    folder, _, problems = fill(here)
    assert not problems
    (copy,) = folder.place.glob("*009.json")
    assert copy.with_suffix(".png").read_bytes() == base64.b64decode(document["imageData"])
    edit(copy, label="seen")
    folder.carry_back(last=True)
    folder.close()
    after = json.loads(path.read_text(encoding="utf-8"))
    assert (after["imageData"], after["imagePath"]) == (document["imageData"], document["imagePath"])
    assert after["shapes"][0]["label"] == "seen"


def test_an_image_that_is_gone_is_said_and_the_rest_shown(here):
    (here / "parts/wood/009.png").unlink()
    folder, entries, problems = fill(here)
    folder.close()
    assert [problem.kind for problem in problems] == ["missing-image"]
    assert len(folder._files) == len(entries) - 1


def test_learn_says_what_changed(here):
    edit(here / "named/wood/011.json", label="scratch-new")
    edit(here / "named/wood/013.json", flags={"predicted": False})
    known = flawshot.load_model(here / "model").record.instances
    said = succeed("learn", here / "model", here / "named", "--device", "cpu")
    regions = len(flawshot.Catalog.open(here / "parts"))
    assert f"named: {regions} regions: 1 corrected, 1 confirmed, {regions - 2} not looked at" in said.stdout
    assert "before: " in said.stdout
    assert "examples in both, " in said.stdout
    assert f"model: 2 regions learned, 0 of them in place of earlier examples; {known + 2} examples" in said.stdout
    assert "scratch-new: a new category" in said.stderr
    again = succeed("learn", here / "model", here / "named", "--device", "cpu")
    assert "model: unchanged; all 2 regions are examples already" in again.stdout
    # What was predicted before is still of this model's past, and can be predicted anew.
    assert "another model" not in again.stderr
    succeed("predict", here / "model", here / "parts", "--out", here / "again", "--device", "cpu")
    assert shapes_of(here / "again/wood/011.json")[0]["label"] in flawshot.load_model(here / "model").categories


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["review", "{parts}"], "predictions.jsonl: cannot be read"),
        (["review", "{new}"], "predictions.jsonl: cannot be read"),
        (["review", "{named}", "--data", "{new}"], "are not there; name their folder with --data"),
        (["learn", "{model}", "{parts}"], "predictions.jsonl: cannot be read"),
        (["learn", "{parts}", "{named}"], "model.json: cannot be read"),
        (["learn", "{model}", "{named}"], "nobody has named a region"),
        (["learn", "{model}", "{named}", "--out", "{parts}"], "parts: exists; name another folder"),
        (["learn", "{model}", "{named}", "--pretrained", "x"], "flawshot-tiny has its own"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(base, tmp_path, arguments, said):
    places = {name: base / name for name in ("parts", "model", "named")} | {"new": tmp_path / "new"}
    assert said in refuse(*(argument.format(**places) for argument in arguments))
    assert not list(base.glob(".*"))
