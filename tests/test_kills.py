"""Writing commands are killed at some of their file operations; ``kill_everywhere.py`` by hand does it at each."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("kill_everywhere.py")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the script forks")
@pytest.mark.parametrize(
    ("every", "options"),
    [
        (40, ("--only", "encode more", "fit data", "learn", "review", "sample", "synth", "import masks")),
        (25, ("--without-exchange", "--only", "encode more")),
    ],
    ids=["names exchanged", "names renamed"],
)
def test_what_is_killed_leaves_the_old_or_the_new_and_can_be_run_again(every, options):
    done = subprocess.run(
        [sys.executable, SCRIPT, "--every", str(every), *options],
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert " kills, 0 problems" in done.stdout
