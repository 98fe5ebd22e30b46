"""The demo's folder: only what the demo wrote is replaced."""

from __future__ import annotations

import pytest

from flawshot import FlawshotError
from flawshot.base.store.places import hidden, put
from flawshot.synthetic.demo_folder import DemoFolder, _hashes


@pytest.fixture
def folder(tmp_path):
    """A folder with two images and a report that the demo wrote."""
    made = DemoFolder(tmp_path / "demo", "drawn, seed 0")
    for name in ("images/wood/000.png", "images/wood/000.json", "report.html"):
        (made.path / name).parent.mkdir(parents=True, exist_ok=True)
        (made.path / name).write_text(name)
    made.note("images", "report.html")
    return made


def again(folder, source="drawn, seed 0"):
    return DemoFolder(folder.path, source)


def test_what_was_written_is_known_again(folder):
    later = again(folder)
    assert later.holds("images")
    assert not later.holds("bank")
    assert later.is_own("report.html")
    with later.making("report.html", "images") as made:
        (made / "report.html").write_text("another")
        (made / "images").mkdir()
        (made / "images" / "1.png").write_text("another")
    assert {path.name for path in folder.path.rglob("*") if path.is_file()} == {"demo.json", "report.html", "1.png"}
    assert again(folder).holds("images")
    assert again(folder).is_own("report.html")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda images: (images / "000.json").write_text("mine"), "000.json: has changed since the demo wrote it"),
        (lambda images: (images / "000.png").unlink(), "000.png: is missing"),
        (lambda images: (images / "001.png").write_text("mine"), "001.png: is not from the demo"),
    ],
    ids=["changed", "gone", "another's"],
)
def test_changed_images_are_refused_with_the_way_to_use_them(folder, change, message):
    images = folder.path / "images" / "wood"
    change(images)
    before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    with pytest.raises(FlawshotError, match="give data=") as caught:
        again(folder).holds("images")
    assert message in str(caught.value)
    assert before == {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}


def test_hidden_files_of_a_desktop_do_not_matter(folder):
    (folder.path / "images" / ".DS_Store").write_text("")
    assert again(folder).holds("images")


def test_a_changed_report_stays(folder):
    (folder.path / "report.html").write_text("with my notes")
    later = again(folder)
    with (
        pytest.raises(FlawshotError, match=r"report\.html: was changed, or is not from the demo; move it away"),
        later.making("report.html") as made,
    ):
        (made / "report.html").write_text("another")
    assert (folder.path / "report.html").read_text() == "with my notes"


def test_other_peoples_folders_are_refused(tmp_path, folder):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.txt").write_text("mine")
    for place in (tmp_path / "mine", tmp_path / "mine" / "a.txt"):
        with pytest.raises(FlawshotError, match="exists and is not the demo's folder; name another out"):
            DemoFolder(place, "drawn, seed 0")
    with pytest.raises(FlawshotError, match=r"demo\.json: source: is drawn, seed 0, not drawn, seed 1; name another"):
        again(folder, "drawn, seed 1")
    (folder.path / "demo.json").write_text("{}")
    with pytest.raises(FlawshotError, match=r"demo\.json: format: .*; name another out"):
        again(folder)
    (tmp_path / "empty").mkdir()
    assert DemoFolder(tmp_path / "empty", "x").path.is_dir()


def test_a_demo_that_was_killed_in_its_first_instants_is_begun_again(tmp_path):
    (tmp_path / "demo").mkdir()
    hidden(tmp_path / "demo" / "demo.json", "tmp").write_text("{")
    DemoFolder(tmp_path / "demo", "drawn, seed 0")
    assert [path.name for path in (tmp_path / "demo").iterdir()] == ["demo.json"]


@pytest.mark.parametrize("arrived", ["report.html", "images/wood", None])
def test_what_was_on_its_way_when_the_demo_was_killed_is_its_own(folder, arrived):
    with pytest.raises(KeyError), folder.making("images", "report.html") as made:
        make_killed(folder, made, arrived)
    later = again(folder)
    assert later.holds("images")
    assert later.is_own("report.html")
    with later.making("images", "report.html") as made:
        (made / "images").mkdir()
        (made / "report.html").write_text("the last")
    assert (folder.path / "report.html").read_text() == "the last"


def make_killed(folder, made, arrived):
    """Make other images and another report, and end before all of them are in their places."""
    for name in ("images/wood/000.png", "images/wood/000.json", "report.html"):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text(f"another {name}")
    coming = {name: value for top in ("images", "report.html") for name, value in _hashes(made, top).items()}
    folder._record = folder._record.model_copy(update={"coming": coming})
    folder._save()
    if arrived is not None:
        put(made / arrived, folder.path / arrived)
    raise KeyError
