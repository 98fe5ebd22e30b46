"""Files that belong together are all there, or none is."""

from __future__ import annotations

import os

import pytest

from flawshot import FlawshotError
from flawshot.base.store.places import hidden
from flawshot.base.store.together import undo_half, write_together


@pytest.fixture
def pair(tmp_path):
    return {tmp_path / "a.json": b"{}", tmp_path / "pages" / "b.html": b"<html>"}


def files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_both_are_written(pair, tmp_path):
    write_together(pair)
    assert files(tmp_path) == {"a.json": b"{}", "pages/b.html": b"<html>"}
    write_together(dict.fromkeys(pair, b"new"), overwrite=True)
    assert files(tmp_path) == {"a.json": b"new", "pages/b.html": b"new"}
    undo_half(list(pair))
    assert files(tmp_path) == {"a.json": b"new", "pages/b.html": b"new"}


@pytest.mark.parametrize("taken", ["a.json", "pages/b.html"])
def test_where_one_place_is_taken_neither_is(pair, tmp_path, taken):
    (tmp_path / "pages").mkdir()
    (tmp_path / taken).write_text("mine")
    with pytest.raises(FlawshotError, match=rf"{taken}: exists; name another file"):
        write_together(pair)
    assert files(tmp_path) == {taken: b"mine"}


def test_half_of_a_killed_run_is_taken_back_and_a_users_own_file_is_not(pair, tmp_path):
    first, second = pair
    hidden(first, "tmp").write_bytes(b"{}")
    os.link(hidden(first, "tmp"), first)  # as far as the killed run came
    undo_half([first, second])
    assert files(tmp_path) == {}
    first.write_text("mine")
    hidden(first, "tmp").write_bytes(b"{}")  # it was killed before it came so far
    undo_half([first, second])
    assert files(tmp_path) == {"a.json": b"mine"}


def test_a_run_that_was_killed_when_all_was_there_stays(pair, tmp_path):
    for path, data in pair.items():
        path.parent.mkdir(exist_ok=True)
        hidden(path, "tmp").write_bytes(data)
        os.link(hidden(path, "tmp"), path)
    undo_half(list(pair))
    assert files(tmp_path) == {"a.json": b"{}", "pages/b.html": b"<html>"}


def test_file_systems_without_links(pair, tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    write_together(pair)
    assert files(tmp_path) == {"a.json": b"{}", "pages/b.html": b"<html>"}
    with pytest.raises(FlawshotError, match=r"a\.json: exists"):
        write_together(pair)
