"""The command ``flawshot``: all subcommands, with each error reported in one line."""

from __future__ import annotations

import errno
import io
import os
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from flawshot.base.errors import FlawshotError
from flawshot.cli.annotations import stats
from flawshot.cli.asking import ask
from flawshot.cli.benchmarking import bench
from flawshot.cli.checking import check
from flawshot.cli.comparing import compare
from flawshot.cli.demonstrating import demo
from flawshot.cli.encoding import crops, encode
from flawshot.cli.environment import VARIABLES, CacheOption, caching
from flawshot.cli.evaluating import evaluate
from flawshot.cli.evaluating_answers import evaluate_answers
from flawshot.cli.evaluating_finding import evaluate_find
from flawshot.cli.exports import exports
from flawshot.cli.failing import refusal
from flawshot.cli.fitting import fit
from flawshot.cli.groups import with_groups
from flawshot.cli.imports import imports
from flawshot.cli.learning import learn
from flawshot.cli.options import with_shared_options
from flawshot.cli.predicting import predict
from flawshot.cli.querying import query
from flawshot.cli.relabeling import relabel
from flawshot.cli.reporting import report
from flawshot.cli.reviewing import review
from flawshot.cli.sampling import sample
from flawshot.cli.suggesting import suggest
from flawshot.cli.synthesising import synth
from flawshot.cli.voice import QuietOption, VerboseOption, Voice, speaking
from flawshot.cli.warming import warm

__all__ = ["app", "main"]

BUG = 70  # the exit status of an internal error, as sysexits.h has it; 1 is a problem that was found
INTERRUPTED = 130  # the exit status that a shell gives a command ended by Ctrl-C

# Errors of a full disk, a quota, and a limit on file size.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

app = typer.Typer(
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Few-shot classification of defects: from Labelme annotations to accuracy with honest intervals.",
    epilog=f"Environment variables: {'; '.join(f'{name}: {what}' for name, what in VARIABLES.items())}.",
)
app.add_typer(imports, name="import")
app.add_typer(exports, name="export")
COMMANDS = (
    demo,
    synth,
    check,
    stats,
    query,
    ask,
    relabel,
    crops,
    sample,
    encode,
    evaluate,
    compare,
    evaluate_find,
    evaluate_answers,
    report,
    fit,
    warm,
    predict,
    suggest,
    review,
    learn,
    bench,
)
for command in COMMANDS:
    app.command()(with_shared_options(with_groups(command)))


def _version(wanted: bool) -> None:
    if wanted:
        import flawshot

        typer.echo(f"flawshot {flawshot.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    ctx: typer.Context,
    version: Annotated[  # noqa: ARG001 - its callback prints it
        bool, typer.Option("-V", "--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    cache: CacheOption = None,
) -> None:
    voice = ctx.obj if isinstance(ctx.obj, Voice) else Voice()
    ctx.with_resource(speaking(voice))
    voice.set(quiet=quiet, verbose=verbose)
    if cache is not None:
        ctx.with_resource(caching(cache))


def main() -> None:
    """Run the command line.

    A user's mistake is reported in one line on standard error, with exit status 2; a problem that a command looked
    for and found gives exit status 1.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a label that the terminal cannot show must not stop a command
            stream.reconfigure(errors="backslashreplace")
    voice = Voice()
    try:
        status = app(standalone_mode=False, obj=voice)
        sys.stdout.flush()
        if status == INTERRUPTED:  # newer versions of typer return it silently
            status = _refuse("interrupted", INTERRUPTED)
    except FlawshotError as error:
        status = _refuse(error.worded(voice.words))
    except BrokenPipeError:  # the reader of a pipe closed it, as head does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    except (KeyboardInterrupt, typer.Abort):
        status = _refuse("interrupted", INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - a bug is one line, too, unless more is asked for
        status = _unforeseen(error, verbose=voice.verbose)
    sys.exit(status if isinstance(status, int) else 0)


def _unforeseen(error: Exception, *, verbose: bool) -> int:
    """Report an unforeseen error in one line and return its exit status; with the traceback if it is a bug."""
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        remedy = "; free space, and run the same command again" if error.errno in FULL else ""
        return _refuse(f"{place}{error.strerror or error}{remedy}")
    # Typer's usage errors, whatever module the installed version keeps them in.
    if not hasattr(error, "format_message"):
        return _bug(error, verbose=verbose)
    message = error.format_message()
    return _refuse(message) if message else 2


def _bug(error: Exception, *, verbose: bool) -> int:
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(last.filename).name}, line {last.lineno}"
    if verbose:
        traceback.print_exception(error)
    more = "" if verbose else " with what --verbose prints"
    return _refuse(f"internal error: {type(error).__name__}: {error} ({where}); please report it{more}", BUG)


def _refuse(message: str, status: int = 2) -> int:
    typer.echo(refusal(message), err=True)
    return status
