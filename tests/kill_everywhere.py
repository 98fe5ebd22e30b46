"""Kill every writing command at every file operation, run it again, and compare with a run that nothing disturbed.

Each command runs in a forked process that kills itself (SIGKILL: no ``finally`` is run, no buffer is written) just
before its N-th operation on files. After that, what is at the command's places must be what was there before or what
an undisturbed run makes; and the same command, run again, must succeed, make the same, and leave nothing else behind.

``python tests/kill_everywhere.py`` does all of it; ``--every 9`` kills at every ninth operation only,
``--only NAME …`` takes some commands, and ``--without-exchange`` plays a system that cannot exchange two names at once.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

import flawshot
from flawshot.base.store import places
from flawshot.cli import app, demonstrating
from flawshot.models.review_folder import ReviewFolder, listed

CHANGES = frozenset(
    {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.utime"}
)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
# What differs from run to run, or says so by a hash.
TIMES = frozenset({"when", "seal", "started", "seconds", "command", "fit_seconds", "predict_seconds"})
LEFT = re.compile(r"\.[0-9a-f]{16}\.(tmp|old|lock)$")
DEADLINE_SECONDS = 120


class Command(NamedTuple):
    """A command to be killed.

    Attributes:
        name: What it is called here.
        call: Runs it, in a folder of its own.
        before: Folders and files of the prepared ones that lie in that folder before.
        whole: What must be the old or the new at any time: names in that folder.
        readers: Commands that open what it writes, and so remove what a killed one left.
    """

    name: str
    call: object
    before: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()
    readers: tuple[tuple[str, ...], ...] = ()


class Killer:
    """An audit hook that kills this process just before an operation on a folder's files.

    Args:
        folder: The folder.
        at: Which operation, from 1; 0 only counts.
    """

    def __init__(self, folder, at=0):
        self.folder, self.at, self.count, self.seen = str(folder), at, 0, []
        sys.addaudithook(self.see)

    def see(self, event, arguments):
        if str(Path.cwd() / self.changed(event, arguments)).startswith(self.folder):
            self.count += 1
            self.seen.append((event, str(arguments[0])))
            if self.count == self.at:
                os.kill(os.getpid(), signal.SIGKILL)

    def changed(self, event, arguments):
        """What an operation changes; the root of all folders where it changes nothing."""
        path = arguments[0] if arguments else "/"
        if event == "ctypes.dlsym" and arguments[1] in {"renameat2", "renamex_np"}:
            return self.folder  # the exchange of two names comes next
        if event in {"os.remove", "os.rmdir"} and arguments[-1] >= 0:
            return self.folder  # relative to an open folder, as shutil.rmtree removes files
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING
        if not (event in CHANGES or writes) or not isinstance(path, (str, bytes, os.PathLike)):
            return "/"
        return os.fsdecode(path)


def command_line(*arguments):
    """A call of a command with these arguments."""

    def call():
        app([str(each) for each in arguments], standalone_mode=False)

    return call


def demo():
    """The demo, with few small images."""
    for name, value in (("CATEGORIES", 2), ("IMAGES", 6), ("SIDE", 64), ("SEEDS", 2), ("SHOTS", (1,))):
        setattr(demonstrating, name, value)
    command_line("demo", "--out", "demo")()


def review(data):
    """A review in which one label is changed, by hands that work as Labelme does: they save in the copy."""
    folder = ReviewFolder(Path("named"))
    try:
        header, _ = flawshot.models.prediction_folder.read_predictions(Path("named"))
        folder.fill(listed(Path("named"), []), data, header.categories, [])
        for copy in sorted(folder.place.glob("*-*000.json")):
            document = json.loads(copy.read_text(encoding="utf-8"))
            document["shapes"][0]["label"] = "seen"
            copy.write_text(json.dumps(document), encoding="utf-8")
        folder.carry_back()
        folder.carry_back(last=True)
    finally:
        folder.close()


def forked(call, folder, at=0, *, exchange=True):
    """Run a call in a process of its own: its exit status (negative: the signal), and how many operations it made."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 70
        try:
            os.close(reading)
            log = os.open(folder.parent / "log.txt", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
            for stream in (1, 2):
                os.dup2(log, stream)
            os.chdir(folder)
            if not exchange:
                places._exchange = lambda *_: False
            signal.alarm(DEADLINE_SECONDS)
            killer = Killer(folder, at)
            try:
                call()
                status = 0
            except flawshot.FlawshotError as error:
                os.write(2, f"refused: {error}\n".encode())
                status = 2
            os.write(writing, str(killer.count).encode())
            if os.environ.get("SHOW_OPERATIONS"):
                for number, each in enumerate(killer.seen, start=1):
                    os.write(2, f"{number} {each}\n".encode())
        except BaseException:  # noqa: BLE001 - whatever it is, the child must not go on as its parent
            import traceback

            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as opened:
        count = opened.read()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), int(count or 0)


def contents(folder, names=None):
    """What is in a folder, or of some names in it: hashes by path, without times and what depends on them."""
    found = {}
    tops = sorted(folder.iterdir()) if names is None else [folder / name for name in names]
    for top in tops:
        for path in [top, *sorted(top.rglob("*"))] if top.exists() else []:
            name = path.relative_to(folder).as_posix()
            if path.is_dir():
                found[name] = "folder"
                continue
            data = path.read_bytes()
            if path.name in {"demo.json", "report.html"}:  # with hashes of times, or drawn of them
                data = b"" if data.rstrip().endswith((b"}", b"</html>")) else data
            elif path.name == "images.json":  # sizes and times of images, here of drawn ones
                data = json.dumps({image: stamp[0] for image, stamp in json.loads(data).items()}).encode()
            elif path.suffix == ".json":
                data = json.dumps(_timeless(json.loads(data))).encode()
            found[name] = hashlib.sha256(data).hexdigest()
    return found


def _timeless(value):
    if isinstance(value, dict):
        return {name: _timeless(each) for name, each in value.items() if name not in TIMES}
    return [_timeless(each) for each in value] if isinstance(value, list) else value


def prepare(root):
    """What the commands work on: read-only data, and folders that they find at their places."""
    data, base = root / "data", root / "base"
    base.mkdir()
    draw = partial(flawshot.draw_data_set, side=64, surface="wood", workers=1, seed=3, categories=2)
    draw(data / "parts", images=6)
    draw(data / "more", images=8)
    mine = partial(run, base)
    mine("encode", data / "parts", "--out", "bank", "--device", "cpu")
    mine("fit", "bank", "--out", "model", "--device", "cpu")
    mine("fit", data / "more", "--out", "model-b", "--device", "cpu")
    mine("predict", "model", data / "more", "--out", "named", "--device", "cpu")
    mine("sample", data / "parts", "--out", "episodes", "--shots", "1", "--seeds", "2")
    mine("evaluate", "bank", "episodes", "--classifiers", "prototype", "--json", "results.json")
    mine("export", "masks", data / "parts", "masks")
    mine("export", "coco", data / "parts", "coco")
    mine("export", "detailed", data / "parts", "mpdd_detailed_annotations.json")
    shutil.copytree(base / "named", base / "corrected")
    for path in sorted((base / "corrected/wood").glob("*.json"))[:4]:
        document = json.loads(path.read_text(encoding="utf-8"))
        for shape in document["shapes"]:
            shape["flags"]["predicted"] = False
        path.write_text(json.dumps(document), encoding="utf-8")
    _foreign_formats(data)
    return data, base


def _foreign_formats(data):
    pixels = np.zeros((20, 30), np.uint8)
    for name in (
        "coco",
        "voc",
        "mvtec/image/nut/training/bent",
        "mvtec/image/nut/testing/bent",
        "masks/ground_truth/bent",
        "masks/test/bent",
    ):
        (data / name).mkdir(parents=True)
    images, annotations = [], []
    for number in (1, 2):
        Image.fromarray(pixels).save(data / f"coco/{number}.png")
        Image.fromarray(pixels).save(data / f"voc/{number}.png")
        split = "training" if number == 1 else "testing"
        Image.fromarray(pixels).save(data / f"mvtec/image/nut/{split}/bent/{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": 30, "height": 20})
        annotations.append({"id": number, "image_id": number, "category_id": 1, "bbox": [2, 3, 9, 8], "area": 72})
        (data / f"voc/{number}.xml").write_text(
            f"<annotation><filename>{number}.png</filename><size><width>30</width><height>20</height></size><object>"
            "<name>bent</name><bndbox><xmin>2</xmin><ymin>3</ymin><xmax>9</xmax><ymax>8</ymax></bndbox></object>"
            "</annotation>"
        )
        mask = pixels.copy()
        mask[3:9, 4:12] = 255
        Image.fromarray(mask).save(data / f"masks/ground_truth/bent/{number}_mask.png")
        Image.fromarray(pixels).save(data / f"masks/test/bent/{number}.png")
    document = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "bent"}]}
    (data / "coco/instances.json").write_text(json.dumps(document))
    (data / "mvtec/CONFIG/nut_config1").mkdir(parents=True)
    head = "imageName,imageData,imageHeight,imageWidth,img_id,part,id,img_rel_path,x1,x2,y1,y2,label,rank,points"
    rows = [
        f'{number}.png,,20,30,1,nut,1,{split}/bent/{number}.png,,,,,bent,-1,"[[1, 1], [9, 1], [9, 9.5]]"'
        for number, split in ((1, "training"), (2, "testing"))
    ]
    for name, own in (("train", rows[:1]), ("valid", rows[1:])):
        (data / f"mvtec/CONFIG/nut_config1/{name}.csv").write_text("\n".join([head, *own]) + "\n")


def run(folder, *arguments):
    """Run a command in this process, which then has loaded what the forked ones need."""
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        command_line(*arguments)()


def commands(data, base):
    """All commands that write."""
    cpu, parts, more = ("--device", "cpu"), data / "parts", data / "more"
    scored = ("evaluate", base / "bank", base / "episodes", "--classifiers", "prototype")
    opens_bank = (("evaluate", "bank", base / "episodes", "--classifiers", "prototype"),)
    opens_model = (("predict", "model", parts, "--out", "p", *cpu),)
    line = command_line
    return [
        Command("encode", line("encode", parts, "--out", "bank", *cpu), (), ("bank",), opens_bank),
        Command("encode more", line("encode", more, "--out", "bank", *cpu), ("bank",), ("bank",), opens_bank),
        Command(
            "encode other views",
            line("encode", parts, "--out", "bank", "--views", "mso", "--overwrite", *cpu),
            ("bank",),
            ("bank",),
            opens_bank,
        ),
        Command("fit bank", line("fit", base / "bank", "--out", "model", *cpu), (), ("model",), opens_model),
        Command("fit data", line("fit", parts, "--out", "model", *cpu), (), ("model",), opens_model),
        Command(
            "fit data anew",
            line("fit", more, "--out", "model", "--overwrite", *cpu),
            ("model",),
            ("model",),
            opens_model,
        ),
        Command("predict", line("predict", base / "model", more, "--out", "named", *cpu), (), ("named",)),
        Command(
            "predict anew",
            line("predict", base / "model-b", more, "--out", "named", "--overwrite", *cpu),
            ("named",),
            ("named",),
            (("review", "named", "--print"),),
        ),
        Command(
            "learn", line("learn", "model", base / "corrected", *cpu), ("model",), ("model",), opens_model
        ),
        Command("learn beside", line("learn", base / "model", base / "corrected", "--out", "new", *cpu), (), ("new",)),
        Command("review", partial(review, more), ("named",)),
        Command("sample", line("sample", parts, "--out", "episodes", "--shots", "1,2", "--seeds", "2")),
        Command("evaluate", line(*scored, "--json", "r.json", "--report", "report.html"), ()),
        Command("evaluate anew", line(*scored, "--json", "results.json", "--overwrite"), ("results.json",)),
        Command(
            "report",
            line(
                "report", base / "results.json", "--out", "report.html", "--csv", "a.csv", "--markdown", "a.md",
                "--latex", "a.tex",
            ),
        ),
        Command("synth", line("synth", "drawn", "--images", "6", "--size", "64", "--categories", "2"), (), ("drawn",)),
        Command("demo", demo),
        Command("crops", line("crops", parts, "--out", "crops", "--views", "mso")),
        Command("plain crops", line("crops", parts, "--out", "crops", "--plain")),
        Command("same sample", line("check", parts, "--same-sample", "--out", "same")),
        Command("query", line("query", parts, "area > 0", "--crops", "crops", "--json", "rows.json")),
        Command(
            "stats",
            line("stats", parts, "--catalog", "a.parquet", "--plot", "a.svg", "--json", "a.json"),
        ),
        Command("import masks", line("import", "masks", data / "masks", "out")),
        Command("import coco", line("import", "coco", data / "coco/instances.json", "out")),
        Command("import voc", line("import", "voc", data / "voc", "out")),
        Command("import mvtec-fs", line("import", "mvtec-fs", data / "mvtec", "out")),
        Command(
            "import mpdd",
            line("import", "mpdd", base / "mpdd_detailed_annotations.json", "--images", parts, "out"),
        ),
        Command("export masks", line("export", "masks", parts, "out")),
        Command("export coco", line("export", "coco", parts, "coco"), (), ("coco",)),
        Command("export coco anew", line("export", "coco", more, "coco", "--overwrite"), ("coco",), ("coco",)),
        Command("export detailed", line("export", "detailed", parts, "out.json")),
        Command("export instruct", line("export", "instruct", parts, "talk")),
    ]  # fmt: skip


class Trial:
    """One command, killed again and again.

    Args:
        command: The command.
        base: What lies at its places before.
        root: Where it works.
        exchange: Whether the system can exchange names.
    """

    def __init__(self, command, base, root, *, exchange):
        self.command, self.base, self.exchange = command, base, exchange
        self.work = root / "work" / "here"
        self.found = []
        self.fresh()
        self.old = contents(self.work)
        status, self.count = self.call()
        if status:
            raise SystemExit(f"{command.name}: {self.log()}")
        self.new = contents(self.work)

    def fresh(self):
        """The state before, anew."""
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)
        for name in self.command.before:
            copy = shutil.copytree if (self.base / name).is_dir() else shutil.copy2
            copy(self.base / name, self.work / name)

    def call(self, at=0):
        """Run it."""
        return forked(self.command.call, self.work, at, exchange=self.exchange)

    def log(self):
        return (self.work.parent / "log.txt").read_text(errors="replace")[-600:]

    def at_places(self, state):
        return {
            name: value
            for name, value in state.items()
            if any(name == place or name.startswith(f"{place}/") for place in self.command.whole)
        }

    def kill(self, at):
        """Kill it once, and look."""
        self.fresh()
        status, _ = self.call(at)
        if status != -signal.SIGKILL:
            self.found.append(f"operation {at}: was not killed ({status})")
            return
        self.look_at_places(at)
        killed = contents(self.work)
        if self.command.readers and killed != self.old:
            self.read(at)
            self.fresh()
            self.call(at)
        status, _ = self.call()
        now = contents(self.work)
        complete = status == 2 and "exists; name another" in self.log() and self.new == now
        if status and not complete:
            self.found.append(f"operation {at}: the next call ended with {status}: {self.log()}")
        elif now != self.new:
            different = sorted(name for name in now.keys() | self.new.keys() if now.get(name) != self.new.get(name))
            self.found.append(f"operation {at}: differs from an undisturbed run in {different[:5]}")

    def look_at_places(self, at):
        """What is at the places is the old or the new; without an exchange of names it may be set aside, whole."""
        there = self.at_places(contents(self.work))
        if there in (self.at_places(self.old), self.at_places(self.new)):
            return
        aside = [path for path in self.work.iterdir() if path.name.endswith(".old")]
        if self.exchange or there or not aside:
            self.found.append(f"operation {at}: neither the old nor the new is at its place")

    def read(self, at):
        """What opens the place puts it in order, where there is something to open."""
        for reader in self.command.readers:
            status, _ = forked(command_line(*reader), self.work)
            left = [path.name for path in self.work.iterdir() if LEFT.search(path.name)]
            if status not in (0, 2) or (left and any((self.work / place).exists() for place in self.command.whole)):
                self.found.append(f"operation {at}: {reader[0]} ended with {status} and left {left}: {self.log()}")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, metavar="N", help="kill at every N-th operation only")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only these commands")
    parser.add_argument(
        "--without-exchange", action="store_true", help="as where two names cannot be exchanged at once"
    )
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    kills, found = 0, []
    with tempfile.TemporaryDirectory(prefix="flawshot-kills-") as folder:
        root = Path(folder).resolve()
        data, base = prepare(root)
        for number, command in enumerate(commands(data, base)):
            if asked.only and command.name not in asked.only:
                continue
            start = time.monotonic()
            trial = Trial(command, base, root, exchange=not asked.without_exchange)
            if not trial.count:
                raise SystemExit(f"{command.name}: no operation on files was seen")
            # Another first one for each command, so that a few kills still are at different stages.
            own = range(1 + number % min(asked.every, trial.count), trial.count + 1, asked.every)
            for at in own:
                trial.kill(at)
            kills += len(own)
            found += [f"{command.name}: {each}" for each in trial.found]
            print(  # noqa: T201
                f"{command.name}: killed at {len(own)} of {trial.count} operations, {len(trial.found)} problems, "
                f"{time.monotonic() - start:.0f} s",
                flush=True,
            )
            for each in trial.found:
                print(f"  {each}", flush=True)  # noqa: T201
    print(f"{kills} kills, {len(found)} problems")  # noqa: T201
    return bool(found)


if __name__ == "__main__":
    # Threads do not come along into a forked process: libraries must not have begun any.
    if os.environ.get("OMP_NUM_THREADS") != "1":
        os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606
    sys.exit(main())
