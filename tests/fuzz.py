"""Damaged and hostile files for every reader: each must be read, or refused in one short line.

    python tests/fuzz.py [--inputs 5000] [--seed 0] [--reader NAME …]

An input is a valid file, made on the spot, that is changed in one to three places; its number and the seed say how. A
finding is an error other than flawshot's own, a line that is too long, not one line or not printable, a warning, or
an input that takes more than the limits of time or memory. ``--reader NAME --first N --inputs 1 --keep FOLDER`` makes
one input again. In the suite ``test_fuzz.py`` does the same with a few inputs.
"""

# ruff: noqa: T201

from __future__ import annotations

import argparse
import json
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

import flawshot
from fuzz_readers import READERS, fresh_copy
from mutations import mutated

LONGEST = 500
SECONDS = 20
MEMORY = 3 * 2**30
# Python itself does not show these.
ALLOWED = DeprecationWarning | ResourceWarning


class TooLong(BaseException):
    """An input that takes too long; no reader may catch it."""


@dataclass(frozen=True)
class Finding:
    """What is wrong with how an input is answered."""

    reader: str
    number: int
    what: str
    where: str

    def __str__(self):
        return f"{self.reader} {self.number}: {self.what} at {self.where}"


@contextmanager
def limits(seconds: float):
    """No more time and memory than an input needs."""

    def stop(_signal, _frame):
        raise TooLong

    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    old = signal.signal(signal.SIGALRM, stop)
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, before[1]))
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, before)
        signal.signal(signal.SIGALRM, old)


def wrong_line(text: str) -> str | None:
    """What is wrong with a line for users."""
    if len(text) >= LONGEST:
        return f"a line of {len(text)} characters"
    if not text.isprintable():
        return f"a line with {next(c for c in text if not c.isprintable())!r}"
    return "an object's address" if re.search(r"\bat 0x[0-9a-f]+", text) else None


def answer(reader, work: Path, out: Path, seconds: float) -> tuple[str, str] | None:
    """What is wrong with how the files are read, and where."""
    try:
        with warnings.catch_warnings(record=True) as told, limits(seconds):
            warnings.simplefilter("always")
            made = reader.read(work, out)
            problems = made if isinstance(made, list | tuple) else ()
            lines = [str(problem) for problem in problems if isinstance(problem, flawshot.Problem)]
    except flawshot.FlawshotError as error:
        lines = [str(error)]
    except (Exception, TooLong) as error:  # noqa: BLE001 - what escapes is what is looked for
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if "/flawshot/" in frame.filename] or frames
        text = " ".join(str(error).split())[:150]
        return f"{type(error).__name__}: {text}", f"{Path(own[-1].filename).name}:{own[-1].lineno}"
    odd = [each for each in told if not issubclass(each.category, ALLOWED)]
    if odd:
        return (
            f"{odd[0].category.__name__}: {str(odd[0].message)[:150]}",
            f"{Path(odd[0].filename).name}:{odd[0].lineno}",
        )
    return next(((wrong, line[:100]) for line in lines if (wrong := wrong_line(line))), None)


def fuzz(name: str, place: Path, *, inputs: int, seed: int = 0, first: int = 0, seconds: float = SECONDS, begin=None):
    """Findings among some inputs of one reader.

    Args:
        name: The reader.
        place: An empty folder to work in.
        inputs: How many.
        seed: Of all inputs.
        first: Number of the first one.
        seconds: What one may take.
        begin: Called with each input's number before it is read.
    """
    reader = READERS[name]
    pristine, work, out = place / "pristine", place / "work", place / "out"
    pristine.mkdir()
    reader.make(pristine)
    files = sorted({path for pattern in reader.files for path in pristine.glob(pattern) if path.is_file()})
    assert files, f"{name}: there is no file to damage"
    fresh_copy(pristine, work)
    out.mkdir()
    assert (found := answer(reader, work, out, 60)) is None, f"{name}: valid files are refused: {found}"
    for number in range(first, first + inputs):
        rng = Random(f"{seed} {name} {number}")
        fresh_copy(pristine, work)
        shutil.rmtree(out)
        out.mkdir()
        target = rng.choice(files)
        (work / target.relative_to(pristine)).write_bytes(mutated(target.read_bytes(), target.name, rng))
        if begin is not None:
            begin(number)
        if (found := answer(reader, work, out, seconds)) is not None:
            yield Finding(name, number, *found)


def _one_reader(options) -> None:
    """Fuzz one reader in this process; the last line that was printed tells how far it came."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(options.keep or folder)
        counts = {"inputs": options.inputs, "seed": options.seed, "first": options.first}
        for finding in fuzz(options.reader[0], place, **counts, begin=partial(print, flush=True)):
            print(json.dumps([finding.number, finding.what, finding.where]), flush=True)


def _watched(name: str, options) -> tuple[int, dict[tuple[str, str], list[Finding]]]:
    """Fuzz one reader in processes of its own, a new one after each that died."""
    found: dict[tuple[str, str], list[Finding]] = {}
    first, last = options.first, options.first + options.inputs
    while first < last:
        command = [sys.executable, __file__, "--work", "--reader", name, "--seed", str(options.seed)]
        command += ["--first", str(first), "--inputs", str(last - first)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        at = first - 1
        for line in done.stdout.splitlines():
            entry = json.loads(line)
            if isinstance(entry, int):
                at = entry
            else:
                finding = Finding(name, *entry)
                found.setdefault((finding.what.partition(":")[0], finding.where), []).append(finding)
        if done.returncode == 0:
            break
        if at < first:
            raise SystemExit(f"{name}: cannot begin\n{done.stderr}")
        died = Finding(name, at, f"the process died ({done.returncode}): {done.stderr.strip()[-200:]}", "?")
        found.setdefault(("died", str(done.returncode)), []).append(died)
        first = at + 1
    return options.inputs, found


def main() -> None:
    """Print every kind of finding, its first input, and how many there are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=500, help="of each reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--reader", action="append", choices=READERS)
    parser.add_argument("--keep", help="an empty folder in which the last input stays")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work or options.keep:
        _one_reader(options)
        return
    total = kinds = 0
    for name in options.reader or READERS:
        start = time.monotonic()
        count, found = _watched(name, options)
        total, kinds = total + count, kinds + len(found)
        print(f"{name}: {count} inputs in {time.monotonic() - start:.0f} s, {len(found)} kinds of findings", flush=True)
        for findings in found.values():
            print(f"  {len(findings)} x {findings[0]}", flush=True)
    print(f"{total} inputs, {kinds} kinds of findings")
    sys.exit(kinds > 0)


if __name__ == "__main__":
    main()
