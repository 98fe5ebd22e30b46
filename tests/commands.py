"""Commands run in this process: what they say, and the one line with which they refuse."""

from __future__ import annotations

from typer.testing import CliRunner

from flawshot import FlawshotError
from flawshot.cli import app
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
