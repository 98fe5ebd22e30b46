"""What commands print: tables on standard output, remarks on standard error."""

from __future__ import annotations

import json
import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from flawshot.base.errors import FlawshotError, printable
from flawshot.base.store.files import write_bytes, write_json
from flawshot.base.wording import counted, plural
from flawshot.cli.voice import this_voice
from flawshot.cli.wording import option_words, stored_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.table import Table
    from rich.text import Text

    from flawshot.base.errors import Problem

__all__ = [
    "PIPE_WIDTH",
    "console_width",
    "new_table",
    "plain",
    "print_json",
    "print_line",
    "print_table",
    "progress_bar",
    "say",
    "say_left_out",
    "say_problems",
    "shown_of",
    "write_problems",
]

# Width of tables if standard output is not a terminal.
PIPE_WIDTH = 200
SHOWN_PER_KIND = 3
# Characters of a line on standard error; an error's own text leaves room for a prefix.
LONGEST_SAID = 499


def say(line: str, *, left_out: int = 0) -> None:
    """Print one line to standard error, with control characters in quoted names escaped; nothing if quiet.

    Args:
        line: The remark.
        left_out: How many things it says are left out, which are counted if it is not printed.
    """
    voice = this_voice()
    if voice.quiet:
        voice.left_out += left_out
    else:
        typer.echo(printable(line, LONGEST_SAID), err=True)


def say_left_out(reason: str, lost: int | None = None, what: str = "instance") -> None:
    """Report an image that could not be used, by the reason that a file of flawshot's stores.

    Args:
        reason: The reason.
        lost: How many of them are left out with it, if they are counted.
        what: What they are.
    """
    count = "" if lost is None else f" ({counted(lost, what)})"
    say(f"left out: {stored_words(reason)}{count}", left_out=1 if lost is None else lost)


def shown_of(number: int, most: int) -> int:
    """How many of a number of similar lines are printed: at most so many, or all if the command is verbose."""
    return number if this_voice().verbose else min(number, most)


def say_problems(problems: Sequence[Problem], data: Path, *, remedy: str | None = None) -> None:
    """Summarize problems: the first few of each kind, and how many more there are; all of them if verbose.

    Args:
        problems: What was found.
        data: What was read.
        remedy: How a user can see all of them; by default with ``flawshot check``.
    """
    remedy = remedy or f"flawshot check {data} lists all"
    shown: Counter[str] = Counter()
    totals = Counter(problem.kind for problem in problems)
    for problem in problems:
        shown[problem.kind] += 1
        left_out = problem.severity == "error"
        first = shown_of(totals[problem.kind], SHOWN_PER_KIND)
        if shown[problem.kind] <= first:
            say(f"{problem.severity}: {problem.worded(option_words)}", left_out=left_out)
        elif shown[problem.kind] == totals[problem.kind]:
            more = totals[problem.kind] - first
            say(
                left_out=more * left_out,
                line=f"{problem.severity}: and {more} more of this kind ({problem.kind}); {remedy}",
            )


def write_problems(problems: Sequence[Problem], path: Path, *, overwrite: bool) -> None:
    """Write all problems as text, one line each, worded as on standard error."""
    lines = [f"{problem.severity}: {problem.worded(option_words)}\n" for problem in problems]
    write_bytes(path, "".join(lines).encode(errors="backslashreplace"), overwrite=overwrite)
    say(f"{path}: {plural(len(problems), '1 problem', f'all {len(problems)} problems')}")


def console_width() -> int:
    """Columns that a table may take."""
    import shutil

    return shutil.get_terminal_size().columns if sys.stdout.isatty() else PIPE_WIDTH


def new_table(title: str, *columns: str, left: int = 1) -> Table:
    """An empty table, its first ``left`` columns aligned left, the others right."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), box=box.SIMPLE, title_justify="left", header_style="bold")
    for number, column in enumerate(columns):
        # Folded, since rich cuts by default what does not fit.
        fixed = number >= left
        table.add_column(Text(column), justify="right" if fixed else "left", no_wrap=fixed, overflow="fold")
    return table


def plain(text: str) -> Text:
    """Text that rich prints verbatim: labels are data, not markup or control characters."""
    from rich.text import Text

    return Text(printable(text))


def print_table(table: Table, width: int | None = None) -> None:
    """Print a table, as wide as the terminal allows, or at most ``width``; one line per cell if it is too narrow."""
    from rich.console import Console

    from flawshot.cli.narrow import fitted, records

    room = width or console_width()
    console = Console(width=room, highlight=False)
    if fitted(table, room):
        console.print(table)
    else:
        console.print(records(table))


def print_line(line: str, width: int | None = None) -> None:
    """Print plain text to standard output, in as many lines as the width requires; by default the terminal's."""
    from rich.console import Console

    Console(width=width or console_width(), highlight=False).print(plain(line))


def print_json(value: Any, place: str, *, overwrite: bool) -> None:
    """Write JSON to a file, or to standard output if the place is ``-``."""
    if place == "-":
        try:
            text = json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False)
        except ValueError as error:
            raise FlawshotError("--json -: a number is not finite, which JSON cannot represent") from error
        typer.echo(text)
    else:
        write_json(Path(place), value, overwrite=overwrite)


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar on a terminal, and none in a pipe or if the command is quiet."""
    if this_voice().quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn, Task
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text("" if task.speed is None else f"{task.speed:.1f} {label} per second")

    columns = (*Progress.get_default_columns(), Rate())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
