"""``flawshot review``."""

from __future__ import annotations

import importlib.util
import math
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flawshot.base.wording import counted
from flawshot.cli.options import MovedImagesOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flawshot.models.review_folder import ReviewFolder, ReviewItem

__all__ = ["labelme_command", "review", "why_not_started"]

CARRIED_EVERY_SECONDS = 1.0
CURSOR_LIBRARY = "libxcb-cursor0"


def review(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Made by flawshot predict, or by flawshot suggest.")],
    first: Annotated[int | None, typer.Option("--first", metavar="N", min=1, help="Only the first N files.")] = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DATA", help="Where the images are now, if they were moved.")
    ] = None,
    images: MovedImagesOption = None,
    dry_run: Annotated[
        bool, typer.Option("--print", help="Print the files in order and Labelme's command, without starting Labelme.")
    ] = False,
) -> None:
    """Review predictions in Labelme: suggested, unsure and unknown ones first; corrections are saved in OUT at once."""
    from flawshot.base.errors import FlawshotError, Problem
    from flawshot.cli.console import say, say_problems
    from flawshot.models.corrections import data_places
    from flawshot.models.prediction_folder import read_predictions
    from flawshot.models.review_folder import ReviewFolder, listed, review_place

    header, _ = read_predictions(out)
    root = data_places(out, header, data, images).image_root
    if dry_run:
        found: list[Problem] = []
        _print(listed(out, found)[:first], review_place(out))
        say_problems(found, out, remedy="they are not shown")
        return
    if importlib.util.find_spec("labelme") is None:
        raise FlawshotError("labelme: is not installed; run python -m pip install 'labelme>=5.5'")
    folder = ReviewFolder(out)
    try:
        if folder.carried:
            changed = "changed in an interrupted review"
            saved = counted(len(folder.carried), f"file that was {changed} is", f"files that were {changed} are")
            say(f"{saved} saved in {out}")
        problems: list[Problem] = []
        files = listed(out, problems)[:first]
        shown = folder.fill(files, root, header.categories, problems)
        say_problems(problems, out, remedy="they are not shown")
        if not shown:
            raise FlawshotError(f"{out}: contains no file to review, or none whose image exists")
        doubtful = sum(1 for each in files if each.doubtful)
        suggested = sum(1 for each in files if each.rank < math.inf)
        order = f"{suggested} as suggested" if suggested else f"{doubtful} with unsure or unknown regions"
        first_ones = f"{counted(shown, 'file')}, {order} first"
        say(f"{first_ones}; untick predicted to confirm a region,")
        say("tick all_confirmed to confirm all regions of a file, change a label to correct it")
        _run(labelme_command(folder.place), folder)
    finally:
        for path in folder.strange():
            say(f"{path}: was saved beside the copies; it is kept, but is not part of the predictions")
        folder.close()
    then = f"; flawshot learn MODEL {out}" if folder.carried else ""
    typer.echo(f"{out}: {counted(len(folder.carried), 'file')} changed{then}")


def labelme_command(place: Path) -> list[str]:
    """The command that opens a review folder in the installed Labelme, 5.5 to 7."""
    from flawshot.models.review_folder import FLAGS, LABELS, SHAPE_FLAGS

    # -P: do not run a labelme.py in the user's current folder.
    command = [sys.executable, "-P", "-m", "labelme", str(place)]
    for option, name in (("--labels", LABELS), ("--flags", FLAGS), (_shape_flags_option(), SHAPE_FLAGS)):
        command += [option, str(place / name)]
    return command


def _shape_flags_option() -> str:
    """Labelme's option for the flags of shapes; 7 warns about the name that earlier versions know."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        major = version("labelme").partition(".")[0]
    except PackageNotFoundError:  # another Python's, whose command is only printed
        return "--labelflags"
    return "--label-flags" if major.isdigit() and int(major) >= 7 else "--labelflags"


def _print(files: Sequence[ReviewItem], place: Path) -> None:
    from flawshot.base.errors import printable

    for each in files:
        rank = f"suggested {each.rank:.0f}: " if each.rank < math.inf else ""
        typer.echo(f"{rank}{each.doubtful} of {each.waiting} doubtful  {printable(each.annotation)}")
    typer.echo(shlex.join(labelme_command(place)))


def _run(command: Sequence[str], folder: ReviewFolder) -> None:
    """Run Labelme and carry changes back while it runs; report why if it cannot start."""
    from flawshot.base.errors import FlawshotError
    from flawshot.models.review_folder import LOG

    log = folder.place / LOG
    with log.open("wb") as stream:
        # Labelme holds the lock too: if this process is killed, nobody empties the folder under an open window.
        process = subprocess.Popen(  # noqa: S603
            command, stdout=stream, stderr=stream, stdin=subprocess.DEVNULL, pass_fds=folder.keep_lock()
        )
        try:
            while True:
                try:
                    status = process.wait(CARRIED_EVERY_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    folder.carry_back()
        except BaseException:
            process.terminate()
            process.wait()
            folder.carry_back(last=True)
            raise
    folder.carry_back(last=True)
    if status:
        raise FlawshotError(why_not_started(log.read_text(encoding="utf-8", errors="replace"), status))


def why_not_started(log: str, status: int) -> str:
    """Why Labelme could not start, or ended, in one line with a remedy.

    Args:
        log: What it wrote.
        status: Its exit status; negative: the signal that ended it.
    """
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    library = next(
        (line for line in lines if "cannot open shared object file" in line or "DLL load failed" in line), ""
    )
    if library:
        reason = library.rpartition("Error: ")[2]
        return (
            f"labelme: a system library of Qt is missing ({reason}); install it, on Debian: apt install libgl1 libegl1"
        )
    if "platform plugin" in log or "could not connect to display" in log:
        shown = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
        if shown and CURSOR_LIBRARY in log:  # Qt 6, of Labelme 7
            return (
                f"labelme: a system library of Qt is missing ({CURSOR_LIBRARY}); install it, on Debian: "
                f"apt install {CURSOR_LIBRARY}"
            )
        reason = f"the display {shown} cannot be used" if shown else "there is no display"
        return (
            f"labelme: cannot open a window, {reason} (or Qt's libxcb libraries are missing); run flawshot review "
            "where you have a desktop, or through ssh -X"
        )
    last = next((line for line in reversed(lines) if "Error" in line), lines[-1] if lines else "it printed nothing")
    return f"labelme: ended with status {status}: {last[:200]}"
