"""Parallel work: results, and errors, in the order of the tasks; one thread; and nothing goes on after the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info

from flawshot import FlawshotError
from flawshot.base.arguments import argument
from flawshot.base.parallel import WhenLong, in_order, one_thread

# Does what its tasks say, and is interrupted in the middle.
LONG_WORK = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored if the tests run in the background
import sys, time
from pathlib import Path
from flawshot.base.parallel import in_order

def work(folder):
    import os
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(600)

try:
    list(in_order(work, [(sys.argv[1],)] * 4, 2))
except KeyboardInterrupt:
    sys.exit(130)
"""


class UnsendableError(Exception):
    def __init__(self, number, text):
        super().__init__(f"{number}: {text}")


def work(number, seconds=0.0):
    time.sleep(seconds)
    if number < 0:
        raise FlawshotError(f"{argument('number', number)}: is below 0")
    if number == 7:
        raise UnsendableError(number, "is bad luck")
    if number == 8:
        os.kill(os.getpid(), signal.SIGKILL)
    return number, os.getpid()


@pytest.mark.parametrize("workers", [1, 2])
def test_the_first_error_in_order_is_raised_and_not_the_first_in_time(workers):
    with closing(in_order(work, [(1,), (-1, 0.5), (-2,)], workers)) as done:
        assert next(done)[0] == 1
        with pytest.raises(FlawshotError, match="number=-1: is below 0"):
            next(done)


def test_an_error_that_cannot_be_sent_is_told_in_its_words():
    with pytest.raises(RuntimeError, match="UnsendableError: 7: is bad luck") as caught:
        list(in_order(work, [(7,), (1,)], 2))
    assert "in work" in caught.value.__notes__[0]  # where it was raised


def test_a_killed_process_is_one_line():
    with pytest.raises(FlawshotError, match="was killed") as caught:
        list(in_order(work, [(8,), (1,)], 2))
    assert "\n" not in str(caught.value)
    assert [each for each, _ in in_order(work, [(1,), (2,)], 2)] == [1, 2]  # and work goes on


def test_only_long_work_leaves_this_process():
    own = os.getpid()
    tasks = [(number, 0.05) for number in range(10, 14)]
    short = list(WhenLong(2, seconds=60)(work, tasks))
    assert short == [(number, own) for number, _ in tasks]
    mapper = WhenLong(2, seconds=0.01)
    numbers, places = zip(*mapper(work, tasks), strict=True)
    assert numbers == (10, 11, 12, 13)
    assert places[0] == own
    assert own not in places[1:]
    assert own not in {place for _, place in mapper(work, tasks)}  # once spread, from the start
    assert list(WhenLong(1, seconds=0)(work, tasks)) == short


def test_one_thread_computes_and_afterwards_as_many_as_before():
    def threads():
        np.ones((4, 4)) @ np.ones((4, 4))
        return {each["filepath"]: each["num_threads"] for each in threadpool_info()}, torch.get_num_threads()

    before = threads()
    inside = []

    def failing():
        with one_thread():
            inside.append(threads())
            raise KeyError

    with pytest.raises(KeyError):
        failing()
    ((libraries, own),) = inside
    assert {*libraries.values(), own} == {1}
    assert threads() == before


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
@pytest.mark.parametrize("end", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_no_process_stays_when_the_first_one_ends(tmp_path, end):
    """Ctrl-C reaches all processes, and a kill only the first."""
    command = [sys.executable, "-c", LONG_WORK, tmp_path]
    started = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 120
    while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    workers = [int(path.name) for path in tmp_path.iterdir()]
    assert len(workers) == 2
    if end == "SIGINT":
        os.killpg(started.pid, signal.SIGINT)
    else:
        os.kill(started.pid, getattr(signal, end))
    said = started.communicate(timeout=60)[1]
    while any(map(running, workers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(running, workers))
    if end == "SIGINT":
        assert (started.returncode, said) == (130, "")


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="signals cannot be blocked here")
def test_an_interruption_while_processes_start_is_not_lost(tmp_path):
    script = LONG_WORK.replace(
        "try:",
        """
def tasks():
    import os, signal
    os.kill(os.getpid(), signal.SIGINT)  # while the first tasks are sent, and processes are started for them
    yield from [(sys.argv[1],)] * 4

try:""",
    ).replace("[(sys.argv[1],)] * 4, 2", "tasks(), 2")
    ended = subprocess.run([sys.executable, "-c", script, tmp_path], capture_output=True, timeout=120, check=False)
    assert (ended.returncode, ended.stderr) == (130, b"")


def running(process):
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
