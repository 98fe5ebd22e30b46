"""Commands run in this process: what they say, and the one line with which they refuse."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from unittest import mock

from typer.testing import CliRunner

from flawshot import FlawshotError
from flawshot.cli import app, main
from flawshot.cli.wording import option_words


def run(*arguments):
    result = CliRunner().invoke(app, [*map(str, arguments)])
    if isinstance(result.exception, Exception) and not isinstance(result.exception, FlawshotError):
        raise result.exception
    return result


def succeed(*arguments):
    result = run(*arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result


def refuse(*arguments):
    result = run(*arguments)
    assert isinstance(result.exception, FlawshotError), result.output
    said = result.exception.worded(option_words)
    assert "\n" not in said
    return said


def shell(*arguments, cwd=None):
    """What a shell gets of a command: all of ``main``, without the seconds that a process of its own takes to start."""
    argv = ["flawshot", *map(str, arguments)]
    streams = [io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2)]
    place = contextlib.nullcontext() if cwd is None else contextlib.chdir(cwd)
    with (
        place,
        mock.patch.object(sys, "argv", argv),
        contextlib.redirect_stdout(streams[0]),
        contextlib.redirect_stderr(streams[1]),
    ):
        try:
            main()
        except SystemExit as end:
            status = end.code
    said = [stream.buffer.getvalue().decode() for stream in streams]
    return subprocess.CompletedProcess(argv, status, *said)
