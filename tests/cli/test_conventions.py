"""What users of other programs expect: covers ``voice``, ``environment``, ``failing`` and ``narrow``, too."""

from __future__ import annotations

import contextlib
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

import flawshot
from commands import refuse, shell, succeed
from flawshot.cli.console import new_table, plain, print_table
from flawshot.cli.environment import VARIABLES
from flawshot.cli.failing import Failures
from flawshot.cli.voice import Voice, speaking
from helpers import box_shape

COMMANDS = re.compile(r"^  ([a-z-]+)(?: {2,}|$)", re.MULTILINE)
PAIRS = {f"{product}/{c}{n}.json": [box_shape(c)] for product in ("nut", "bolt") for c in "ab" for n in range(3)}


def commands():
    """All commands, and those of ``import`` and ``export``."""
    top = COMMANDS.findall(succeed("--help").stdout.partition("Commands:")[2].partition("Environment")[0])
    for name in top:
        if name in {"import", "export"}:
            yield from (
                [name, each] for each in COMMANDS.findall(succeed(name, "--help").stdout.partition("Commands:")[2])
            )
        else:
            yield [name]


def plainly(arguments, cwd, **environment):
    """A command in a process of its own, with these variables."""
    return subprocess.run(
        [sys.executable, "-m", "flawshot", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )


def test_every_command_has_the_usual_short_options():
    names = list(commands())
    assert len(names) > 30
    for name in names:
        said = succeed(*name, "-h").stdout
        assert said == succeed(*name, "--help").stdout
        for option in ("-h, --help", "-q, --quiet", "-v, --verbose"):
            assert option in said, (name, option)
        assert ("--out " in said) == ("-o, --out " in said), name
    assert succeed("-V").stdout == succeed("--version").stdout


def test_quiet_leaves_results_and_a_total(write_annotations):
    root = write_annotations(PAIRS | {"nut/bad.json": [box_shape(points=[])]})
    loud, quiet = shell("stats", root), shell("stats", root, "-q")
    assert quiet.stdout == loud.stdout
    assert len(loud.stderr.splitlines()) == 5
    assert quiet.stderr == "14 items are left out or unusable; without --quiet, the reasons are listed\n"
    assert shell("--quiet", "stats", root).stderr == quiet.stderr
    refused = shell("-q", "stats", root, "--product", "screw")
    assert (refused.returncode, refused.stderr.splitlines()[-1][:25]) == (2, "flawshot: --product screw")


def test_verbose_lists_every_problem(write_annotations):
    root = write_annotations(PAIRS)
    said = shell("stats", root, "-v").stderr.splitlines()
    assert len(said) == len(PAIRS)
    assert shell("-v", "stats", root).stderr.splitlines() == said
    assert "--quiet and --verbose: give one of them" in shell("-q", "stats", root, "-v").stderr


def test_a_bug_is_one_line_and_verbose_tells_where(write_annotations, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError("made up")

    monkeypatch.setattr("flawshot.catalog.Catalog.open", broken)
    done = shell("stats", write_annotations(PAIRS))
    assert done.returncode == 70
    assert re.fullmatch(r"flawshot: internal error: ZeroDivisionError: made up \(.*, line \d+\); .*\n", done.stderr)
    done = shell("stats", "x", "--verbose")
    assert (done.returncode, "Traceback" in done.stderr) == (70, True)


def test_shells_complete_commands_and_options(tmp_path):
    for typed, expected in (
        ("flawshot ev", "evaluate"),
        ("flawshot import y", "yolo"),
        ("flawshot crops --vi", "--views"),
    ):
        asked = {"_FLAWSHOT_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
        script = "import sys; sys.argv = ['flawshot']; from flawshot.cli import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=False, env=os.environ | asked
        )
        assert expected in done.stdout.split(), done
    done = plainly(["--show-completion"], tmp_path, SHELL="/bin/bash")
    assert "_COMPLETE=complete_" in done.stdout or "not supported" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("variable", "value", "arguments"),
    [
        ("FLAWSHOT_DEVICE", "abacus", ["encode", "DATA", "-o", "bank"]),
        ("FLAWSHOT_WORKERS", "many", ["encode", "DATA", "-o", "bank"]),
        ("FLAWSHOT_WORKERS", "-1", ["synth", "new"]),
        ("FLAWSHOT_WORKERS", "many", ["evaluate", "bank", "episodes"]),
        ("FLAWSHOT_CACHE", __file__, ["stats", "DATA"]),
    ],
)
def test_a_bad_value_of_a_variable_is_one_line_that_names_it(
    write_annotations, tmp_path, monkeypatch, variable, value, arguments
):
    monkeypatch.setenv(variable, value)
    root = write_annotations(PAIRS)
    done = shell(*(root if word == "DATA" else word for word in arguments), cwd=tmp_path)
    assert done.returncode == 2
    said = done.stderr.splitlines()[-1]
    assert said.startswith("flawshot: ")
    assert variable in said


def test_an_option_that_is_given_wins(tmp_path, monkeypatch):
    monkeypatch.setenv("FLAWSHOT_WORKERS", "many")
    succeed("synth", tmp_path / "parts", "--images", 2, "--categories", 1, "--side", 64, "--workers", 1)
    monkeypatch.setenv("FLAWSHOT_DEVICE", "abacus")
    monkeypatch.setenv("FLAWSHOT_WORKERS", "1")
    succeed("encode", tmp_path / "parts", "-o", tmp_path / "bank", "--device", "cpu")
    assert "--device xpu9" in refuse("encode", tmp_path / "parts", "-o", tmp_path / "new", "--device", "xpu9")


def test_weights_come_from_the_folder_that_the_variable_names(tmp_path):
    timm = pytest.importorskip("timm")
    from safetensors.torch import save_file

    succeed("synth", tmp_path / "parts", "--images", 2, "--categories", 1, "--side", 64)
    hub = tmp_path / "cache/models--timm--test_vit.r160_in1k"  # as Hugging Face's hub keeps it
    (hub / "refs").mkdir(parents=True)
    (hub / "refs/main").write_text("0" * 40)
    (hub / "snapshots" / ("0" * 40)).mkdir(parents=True)
    weights = timm.create_model("test_vit.r160_in1k", pretrained=False).state_dict()
    save_file(weights, hub / "snapshots" / ("0" * 40) / "model.safetensors")
    model = ["--model", "timm/test_vit", "--pretrained", "r160_in1k", "--device", "cpu"]
    offline = {"HF_HUB_OFFLINE": "1"}
    done = plainly(["encode", "parts", "-o", "bank", *model], tmp_path, FLAWSHOT_CACHE="cache", **offline)
    assert done.returncode == 0, done.stderr
    done = plainly(
        ["--cache", "empty", "encode", "parts", "-o", "new", *model], tmp_path, FLAWSHOT_CACHE="cache", **offline
    )
    assert (done.returncode, "cannot be downloaded" in done.stderr) == (2, True)


def test_the_variables_are_listed_in_the_help_and_in_the_docs(pytestconfig):
    page = (pytestconfig.rootpath / "docs/command-line.md").read_text(encoding="utf-8")
    said = succeed("--help").stdout
    source = "".join(path.read_text(encoding="utf-8") for path in Path(flawshot.__file__).parent.rglob("*.py"))
    assert set(re.findall(r"\bFLAWSHOT_[A-Z]+\b", source)) == set(VARIABLES)
    for name in VARIABLES:
        assert name in said
        assert f"`{name}`" in page


def test_sample_tells_of_every_product_that_fails_and_writes_nothing(write_annotations, tmp_path):
    enough = {f"screw/{c}{n}.json": [box_shape(c)] for c in "ab" for n in range(6)}
    done = shell("sample", write_annotations(PAIRS | enough), "-o", tmp_path / "e", "--shots", "1,4,5")
    assert done.returncode == 2
    told = [line for line in done.stderr.splitlines() if line.startswith("flawshot: ")]
    assert [line.split(": ")[1] for line in told] == ["bolt", "nut"]
    assert all("category 'a' has 3 instances to draw support from, fewer than 4" in line for line in told)
    assert not (tmp_path / "e").exists()


def test_evaluate_tells_of_every_product_that_fails_and_writes_nothing(tmp_path):
    for name, seed in (("nut", 1), ("bolt", 2)):
        succeed("synth", tmp_path / "drawn", "--images", 12, "--categories", 2, "--side", 96, "--seed", seed)
        (next((tmp_path / "drawn").iterdir())).rename(tmp_path / name)
        (tmp_path / "drawn").rmdir()
        (tmp_path / "parts").mkdir(exist_ok=True)
        (tmp_path / name).rename(tmp_path / "parts" / name)
    succeed("encode", tmp_path / "parts", "-o", tmp_path / "bank", "--device", "cpu")
    succeed("sample", tmp_path / "bank", "-o", tmp_path / "episodes", "--shots", "1,2", "--seeds", 2)
    for path in (tmp_path / "episodes/disjoint").glob("*-1shot.json"):
        text = path.read_text(encoding="utf-8")
        path.write_text(re.sub(r'"fingerprint": "\w+"', '"fingerprint": "0"', text), encoding="utf-8")
    done = shell(
        "evaluate", tmp_path / "bank", tmp_path / "episodes", "--csv", tmp_path / "r.csv", "--classifiers", "knn"
    )
    told = [line for line in done.stderr.splitlines() if line.startswith("flawshot: ")]
    assert (done.returncode, len(told)) == (2, 2), done.stderr
    assert all(name in line for name, line in zip(("bolt", "nut"), told, strict=True))
    assert not (tmp_path / "r.csv").exists()
    done = shell("evaluate", tmp_path / "bank", tmp_path / "episodes", "--product", "x", "--product", "y")
    assert [line.partition(": ")[2].partition(":")[0] for line in done.stderr.splitlines()] == [
        "--product x",
        "--product y",
    ]


def test_failures_keep_the_first_error_of_each_product():
    failures = Failures()
    failures.refuse()
    for message in ("first", "second"):
        with failures.of("nut"):
            raise flawshot.FlawshotError(message)
    with pytest.raises(flawshot.FlawshotError, match="first"):
        failures.refuse()
    with pytest.raises(KeyError), failures.of("bolt"):
        raise KeyError("a bug is none of them")


def test_crops_shows_what_encode_encodes_and_says_so(tmp_path):
    succeed("synth", tmp_path / "parts", "--images", 1, "--categories", 1, "--side", 64)
    for number, options in enumerate(([], ["--model", "ViT-B-32"], ["--views", "ms", "--view-size", "64px"])):
        said = succeed("crops", tmp_path / "parts", "-o", tmp_path / f"sheets{number}", *options).stdout
        expected = (
            " of 3 views: centre3 of 1.5x,2x,3x, those of flawshot-tiny",
            " of 27 views: mso of 256px,384px,512px, those of ViT-B-32",
            " of 1 view: ms of 64px, as given",
        )[number]
        assert said.strip().endswith(expected)
    succeed("encode", tmp_path / "parts", "-o", tmp_path / "bank", "--device", "cpu")
    record = flawshot.FeatureBank.open(tmp_path / "bank").manifest.views
    assert (record.scheme, list(record.sizes), len(record.views)) == ("centre3", ["1.5x", "2x", "3x"], 3)


@pytest.mark.parametrize("columns", [20, 40, 50, 60, 100])
def test_tables_lose_nothing_however_narrow(columns, capsys):
    heads = ("90th percentile, ms", "regions/s of the folder", "difference")
    cells = ("123.4 [100.1, 140.9]", "3.1", "-0.5 [-1.0, 0.0]")
    table = new_table("Timings", "runtime", "kind", *heads, left=2)
    table.add_row(plain("a-runtime-with-a-very-long-name-indeed"), plain("[bold]x"), *cells)
    print_table(table, columns)
    said = capsys.readouterr().out
    assert "…" not in said
    assert all(len(line) <= columns for line in said.splitlines())
    squeezed = re.sub(r"\s", "", said)
    for text in ("[bold]x", *(cells if columns > 20 else ())):
        assert text.replace(" ", "") in squeezed
    letters = sorted(re.sub(r"[\s:─]", "", "".join(("Timings", "runtime", "kind", *heads, *cells))))
    assert not [each for each in set(letters) if said.count(each) < letters.count(each)]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_without_color_there_is_none(write_annotations):
    import fcntl
    import pty
    import termios

    root, shown = write_annotations(PAIRS), {}
    for no_color in ("", "1"):
        child, terminal = pty.fork()
        if child == 0:
            os.environ.update(NO_COLOR=no_color, TERM="xterm-256color")
            os.execv(sys.executable, [sys.executable, "-m", "flawshot", "stats", str(root)])  # noqa: S606
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 45, 0, 0))
        said = b""
        with contextlib.suppress(OSError):  # the end, on Linux
            while part := os.read(terminal, 65536):
                said += part
        os.close(terminal)
        assert os.waitpid(child, 0)[1] == 0
        shown[no_color] = said.decode()
    colored = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-7]|9[0-7]|38;5;\d+)m")
    assert colored.search(shown[""])
    assert not colored.search(shown["1"])
    assert "…" not in shown["1"]


def test_a_quiet_command_shows_no_progress(monkeypatch):
    from flawshot.cli.console import progress_bar

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with speaking(Voice(quiet=True)), progress_bar("files") as progress:
        assert progress is None
    with progress_bar("files") as progress:
        assert progress is not None
