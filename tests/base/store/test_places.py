"""Places of files and folders: the old or the new, whole; what killed processes left is settled. Locks are in it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from flawshot import FlawshotError
from flawshot.base.store import places
from flawshot.base.store.files import write_bytes
from flawshot.base.store.places import discard, hidden, hold, new_folder, put, scratch, settle, steadily
from flawshot.labelme.data_folder import annotation_files

EXCHANGES = [
    pytest.param(True, id="names exchanged", marks=pytest.mark.skipif(sys.platform != "linux", reason="of Linux")),
    pytest.param(False, id="names renamed"),
]


@pytest.fixture
def exchange(request, monkeypatch):
    """Whether the system can exchange two names at once."""
    if not request.param:
        monkeypatch.setattr(places, "_exchange", lambda *_: False)
    return request.param


def folder(path, **files):
    path.mkdir(parents=True)
    for name, text in files.items():
        (path / name).write_text(text)
    return path


def names(path):
    return sorted(each.name for each in path.iterdir())


@contextmanager
def another_process(code, path):
    """A process that runs some code on a path, says so, and stays until it is killed."""
    imports = "import sys; from pathlib import Path; from flawshot.base.store.places import *"
    program = f"{imports}; path = Path(sys.argv[1])\n{code}"
    process = subprocess.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "there\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


STAY = "print('there', flush=True); import time; time.sleep(600)"
HOLDS = f"with hold(path): {STAY}"
MAKES = f"with new_folder(path) as made:\n    (made / 'half').touch(); {STAY}"
WRITES = f"with claimed_file(path) as made: {STAY}"


@pytest.mark.parametrize("exchange", EXCHANGES, indirect=True)
def test_a_new_folder_takes_the_place_of_the_old_one_whole(tmp_path, exchange):
    place = tmp_path / "bank"
    for text in ("one", "two", "three"):
        with new_folder(place) as made:
            (made / text).write_text(text)
        assert names(place) == [text]
        assert names(tmp_path) == ["bank"]


@pytest.mark.parametrize("exchange", EXCHANGES, indirect=True)
def test_an_error_leaves_the_old_one_and_nothing_else(tmp_path, exchange):
    place = folder(tmp_path / "bank", old="old")
    with pytest.raises(FlawshotError, match="is a folder; name a file"), new_folder(place) as made:
        write_bytes(made, b"new")
    assert names(place) == ["old"]
    with pytest.raises(OSError, match="No such file"):
        put(tmp_path / "nothing", place)
    assert names(place) == ["old"]
    assert names(tmp_path) == ["bank"]


@pytest.mark.parametrize("exchange", EXCHANGES, indirect=True)
def test_where_a_link_leads_is_replaced_and_the_link_stays(tmp_path, exchange):
    folder(tmp_path / "disk" / "bank", old="old")
    (tmp_path / "bank").symlink_to(tmp_path / "disk" / "bank")
    with new_folder(tmp_path / "bank") as made:
        (made / "new").write_text("new")
    assert (tmp_path / "bank").is_symlink()
    assert names(tmp_path / "disk" / "bank") == ["new"]


def test_what_is_spent_is_gone_before_the_new_one_is_there(tmp_path):
    spent = folder(tmp_path / ".model.bank", features="1")
    with new_folder(tmp_path / "model", spent=[spent, tmp_path / "none"]):
        assert spent.exists()
    assert names(tmp_path) == ["model"]


@pytest.mark.parametrize("name", ["bank", "größe", "a" * 230, "ü" * 110, ".hidden", "a b$"])
def test_what_a_killed_process_was_making_is_removed(tmp_path, name):
    place = tmp_path / name
    with another_process(MAKES, place) as process:
        (made,) = tmp_path.iterdir()
        settle(place)
        assert made.exists(), "a running process holds it"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert made.exists()
    settle(place)
    assert names(tmp_path) == []


def test_files_that_a_user_may_have_are_left_alone(tmp_path):
    settled = tmp_path / "bank"
    mine = [
        ".bank.tmp", ".bank.old", ".bank.backup.tmp", ".bank.0123456789abcde.tmp", ".bank.0123456789abcdeg.tmp",
        "bank.0123456789abcdef.tmp", ".bank.0123456789abcdef.tmp.bak", ".bank2.0123456789abcdef.tmp",
        ".bank.0123456789ABCDEF.tmp", ".bank.0123456789abcdef", ".xbank.0123456789abcdef.old",
    ]  # fmt: skip
    for number, name in enumerate(mine):
        (folder(tmp_path / name) / "a").write_text(name) if number % 2 else (tmp_path / name).write_text(name)
    (tmp_path / ".bank.00000000deadbeef.tmp").symlink_to(tmp_path / mine[0])
    settle(settled)
    with new_folder(settled):
        pass
    assert names(tmp_path) == sorted([*mine, "bank", ".bank.00000000deadbeef.tmp"])


@pytest.mark.parametrize("old", ["ours", "of version 0.1"])
def test_what_was_set_aside_comes_back_where_its_place_is_empty(tmp_path, old):
    place = tmp_path / "model"
    for text in ("earlier", "latest"):  # renamed in this order
        folder(tmp_path / text, record=text)
    (tmp_path / "earlier").rename(tmp_path / ".model.ffffffffffffffff.old")
    latest = hidden(place, "old") if old == "ours" else tmp_path / ".model.0123456789abcdef.old"
    (tmp_path / "latest").rename(latest)
    folder(tmp_path / ".model.00000000deadbeef.tmp", record="half")
    settle(place)
    assert (place / "record").read_text() == "latest"
    assert names(tmp_path) == ["model"]


def test_what_was_set_aside_is_removed_where_the_new_one_is_there(tmp_path):
    place = folder(tmp_path / "model", record="new")
    folder(hidden(place, "old"), record="old")
    settle(place)
    assert (place / "record").read_text() == "new"
    assert names(tmp_path) == ["model"]


def test_a_reader_awaits_the_end_of_a_replacement_that_is_under_way(tmp_path):
    place = folder(tmp_path / "bank", record="old")
    replaces = (
        "from flawshot.base.store.locks import *; import time; file = open_to_lock(path); locked(file)\n"
        "aside = hidden(path, 'old')\n"
        "path.rename(aside); print('there', flush=True); time.sleep(0.5)\n"
        "path.mkdir(); (path / 'record').write_text('new'); time.sleep(600)"
    )
    with another_process(replaces, place):
        assert steadily(place, "record", (place / "record").read_text) == "new"


@pytest.mark.parametrize("notices", [True, False], ids=["what does not fit is noticed", "it is not"])
def test_what_is_replaced_while_it_is_read_is_read_again(tmp_path, notices):
    place = folder(tmp_path / "bank", record="old", rest="old")
    seen = []

    def read():
        record = (place / "record").read_text()
        if not seen:
            with new_folder(place) as made:
                (made / "record").write_text("newer")
                (made / "rest").write_text("newer")
        seen.append(record)
        rest = (place / "rest").read_text()
        if notices and rest != record:
            raise FlawshotError("they do not fit each other")
        return record, rest

    assert steadily(place, "record", read) == ("newer", "newer")
    assert seen == ["old", "newer"]
    (place / "rest").write_text("damaged")
    if notices:
        with pytest.raises(FlawshotError, match="do not fit"):
            steadily(place, "record", read)


def test_a_second_process_is_told_and_harms_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "PATIENCE_SECONDS", 0.1)
    place = tmp_path / "bank"
    for code, work in ((HOLDS, hold), (MAKES, new_folder), (MAKES, scratch), (WRITES, places.claimed_file)):
        with another_process(code, place):
            before = names(tmp_path)
            with (
                pytest.raises(
                    FlawshotError, match=r"/bank: another flawshot process is working there; wait for it to finish$"
                ),
                work(place),
            ):
                pass
            assert names(tmp_path) == before
        with work(place) as made:  # it was killed
            if made is not None:
                assert made.exists()
        if place.exists():
            place.rmdir()
        assert names(tmp_path) == []


def test_one_process_may_hold_a_place_twice(tmp_path):
    with hold(tmp_path / "a"), hold(tmp_path / "a"), hold(tmp_path / "b"):
        pass
    assert names(tmp_path) == []


def test_a_file_that_was_being_written_is_written_again_or_removed_by_who_reads_the_folder(tmp_path):
    for name in ("a.json", "a.png"):
        with another_process(WRITES, tmp_path / name):
            write_bytes(tmp_path / "b.json", b"{}")
    assert len(names(tmp_path)) == 3
    write_bytes(tmp_path / "a.json", b"[]")
    assert names(tmp_path) == [hidden(tmp_path / "a.png", "tmp").name, "a.json", "b.json"]
    (tmp_path / ".a.png.0123456789abcdef.tmp").write_text("not of ours: the digits are not those of the name")
    assert annotation_files(tmp_path, []) == ["a.json", "b.json"]
    assert names(tmp_path) == [".a.png.0123456789abcdef.tmp", "a.json", "b.json"]
    with another_process(WRITES, tmp_path / "a.png"):
        annotation_files(tmp_path, [])
        assert len(names(tmp_path)) == 4, "a running process holds it"


def test_a_folder_that_cannot_be_written_to_can_be_read(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    place = folder(tmp_path / "bank", record="1")
    left = folder(hidden(place, "tmp"), a="1")
    tmp_path.chmod(0o500)
    try:
        assert steadily(place, "record", (place / "record").read_text) == "1"
        with hold(place):
            pass
    finally:
        tmp_path.chmod(0o700)
    assert left.exists()


def test_where_there_are_no_locks_nothing_is_removed_and_all_else_works(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "locked", lambda _: None)
    place = tmp_path / "bank"
    left = folder(hidden(place, "tmp"), half="1")
    for text in ("one", "two"):
        with hold(place), new_folder(place) as made:
            (made / text).write_text(text)
        assert names(place) == [text]
        write_bytes(tmp_path / "a.txt", text.encode(), overwrite=True)
    assert names(tmp_path) == sorted([left.name, "a.txt", "bank"])


def test_what_is_discarded_is_gone(tmp_path):
    discard(folder(tmp_path / ".bank.unfinished", a="1"), tmp_path / "bank")
    discard(tmp_path / ".bank.unfinished", tmp_path / "bank")
    assert names(tmp_path) == []
