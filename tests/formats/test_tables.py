"""The tables of formats, and those of other people's packages, found by their entry points."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from PIL import Image

from commands import refuse, run, succeed
from flawshot import FlawshotError
from flawshot.cli import app
from flawshot.formats import EXPORTERS, IMPORTERS, Importer, Option, exporters, importers, load_function, options_of
from helpers import leave_package

MODULE = '''
from pathlib import Path

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError, Problem
from flawshot.formats import Option
from flawshot.formats.importing import begin_import
from flawshot.labelme.labelme_file import parse_labelme_document

OPTIONS = {
    "source": Option("A folder of names."),
    "side": Option("How large.", "PX", 2, name="--box"),
    "kind": (Option("One of two.", name="--as"), Option("Anything.", "TEXT", name="--by")),
}


def import_names(
    source: Path, out: Path, *, side: int, kind: "str | None" = None, scale: float = 1.5, far: bool = False,
    table: Path | None = None, overwrite: bool = False, progress=None,
):
    """Names become boxes.

    More of it.
    """
    root, names, folder = begin_import(source, ".names", out, images=None, overwrite=overwrite)
    if kind == "bad":
        own = argument("side", side)
        raise FlawshotError(f"{argument('kind', kind)}: is none, as {own} is; see {argument('kind')}")
    for number, name in enumerate(names, start=1):
        progress and progress(number, len(names))
        label = f"{(root / name).read_text()} {kind} {scale} {far} {table}"
        points = [[0, 0], [side, side]]
        shape = {"label": label, "shape_type": "rectangle", "points": points}
        file, _ = parse_labelme_document({"imagePath": "a.png", "shapes": [shape]}, name)
        message = f"more by {argument('kind', 'x')} and {argument('side')}"
        folder.problems.append(Problem(name, "odd", message, "warning"))
        image = root / "a.png"
        folder.add(["p"], name.removesuffix(".names"), file, image if image.is_file() else None, name)
    return folder.done(source)


def export_names(catalog, out, *, suffix: str = ".txt", overwrite=False):
    """Write the categories' names."""
    out.with_suffix(suffix).write_text(",".join(catalog.column("category")))
    return len(catalog)


NUMBER = 3


def odd(source, out, *, option: list, overwrite=False, progress=None):
    pass
'''
POINTS = """[flawshot.importers]
names = tiny_formats:import_names
coco = tiny_formats:import_names
mvrec-features = tiny_formats:import_names
gone = tiny_formats:gone
odd = tiny_formats:odd
[flawshot.exporters]
names = tiny_formats:export_names
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package as pip leaves it: a module, and what its distribution says of itself."""
    site = tmp_path / "site"
    leave_package(site, "tiny-formats", {"tiny_formats.py": MODULE}, POINTS)
    monkeypatch.syspath_prepend(site)
    (tmp_path / "src").mkdir()
    (tmp_path / "src/a.names").write_text("dent", encoding="utf-8")
    yield tmp_path
    sys.modules.pop("tiny_formats", None)


@pytest.mark.parametrize(("name", "entry"), [*IMPORTERS.items(), *EXPORTERS.items()])
def test_each_entry_leads_to_a_function_that_keeps_to_the_contract(name, entry):
    function = load_function(name, entry)
    first, second, *others = inspect.signature(function).parameters.values()
    assert {each.kind for each in (first, second)} == {inspect.Parameter.POSITIONAL_OR_KEYWORD}
    assert {each.kind for each in others} == {inspect.Parameter.KEYWORD_ONLY}
    wanted = {"overwrite": False, "progress": None} if isinstance(entry, Importer) else {"overwrite": False}
    assert {each.name: each.default for each in others if each.name in wanted} == wanted
    own = options_of(function)
    shown = {each.name for each in others} - {"overwrite", "progress", "say"}
    assert shown | {second.name} <= set(own)
    assert all(isinstance(each, Option | tuple) for each in own.values())


def test_every_format_has_its_command():
    group = typer.main.get_command(app)
    for name, table in (("import", IMPORTERS), ("export", EXPORTERS)):
        own = group.get_command(typer.Context(group), name)
        assert own.list_commands(typer.Context(own))[: len(table)] == list(table)


def test_starting_loads_no_format():
    program = (
        "import sys\n"
        "from flawshot.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(*sorted({'numpy', 'PIL', 'pyarrow', 'scipy', 'flawshot.formats.coco'} & set(sys.modules)))"
    )
    for arguments in (["--version"], ["import", "--help"], ["export", "--help"]):
        done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "", arguments


def test_an_installed_package_brings_formats(installed):
    assert list(importers()) == [*IMPORTERS, "gone", "mvrec-features", "names", "odd"]
    assert list(exporters()) == [*EXPORTERS, "names"]
    assert importers()["coco"] == IMPORTERS["coco"]
    shown = succeed("import", "--help").stdout
    assert "names           Names become boxes." in shown
    assert "gone            format 'gone': tiny_formats:gone cannot be loaded" in shown
    assert "mvrec-features  Convert features that MVREC released" in shown
    Image.new("L", (9, 9)).save(installed / "src/a.png")
    done = succeed("import", "names", installed / "src", installed / "out", "--box", 7, "--far")
    assert done.stdout == f"{installed / 'out'}: 1 Labelme file with 1 instance, 1 image; products: p\n"
    assert "a.names: more by --by x and --box\n" in done.stderr
    assert "dent None 1.5 True None" in (installed / "out/p/a.json").read_text(encoding="utf-8")
    done = succeed("export", "names", installed / "out", installed / "names", "--suffix", ".csv")
    assert done.stdout == f"{installed / 'names'}: 1 file of 1 instance\n"
    assert (installed / "names.csv").read_text(encoding="utf-8") == "dent None 1.5 True None"


def test_options_are_those_of_the_signature(installed):
    lines = succeed("import", "names", "--help").stdout.splitlines()
    shown = " ".join(" ".join(lines).split())
    assert "Names become boxes." in shown
    assert "SRC <path> A folder of names. [required]" in shown
    assert "--box PX How large. [x>=2; required]" in shown
    assert "--by TEXT Anything." in shown
    assert "--scale" in shown
    assert "--table" in shown
    assert "--problems FILE" in shown
    assert "--max-pixels N" in shown
    assert "--progress" not in shown


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--as", "bad"], "--as bad: is none, as --box 7 is; see --as"),
        (["--by", "bad"], "--by bad: is none, as --box 7 is; see --by"),
        (["--by", "bad", "--as", "x"], "--as and --by: give one of them"),
    ],
)
def test_errors_name_the_option_that_was_given(installed, options, line):
    assert refuse("import", "names", installed / "src", installed / "out", "--box", 7, *options) == line


def test_what_is_no_importer_is_one_line(installed):
    with pytest.raises(FlawshotError, match="format 'x': tiny_formats:NUMBER is not a function"):
        load_function("x", Importer("tiny_formats:NUMBER"))
    with pytest.raises(FlawshotError, match="format 'x': tiny_formats:export_names must have the parameter progress"):
        load_function("x", Importer("tiny_formats:export_names"))


def test_what_cannot_be_a_command_is_said(installed):
    with pytest.raises(FlawshotError, match=r"format 'gone': tiny_formats:gone cannot be loaded"):
        load_function("gone", importers()["gone"])
    assert "format 'gone': tiny_formats:gone cannot be loaded" in refuse("import", "gone", "a", "b")
    with pytest.raises(TypeError, match="option: list: an option's type must be one of str, int, float, bool, Path"):
        run("import", "odd", "a", "b")


def test_a_format_can_be_added_while_it_runs(installed, monkeypatch):
    monkeypatch.setitem(IMPORTERS, "mine", Importer("tiny_formats:import_names", "Mine.", "names"))
    assert "mine            Mine." in succeed("import", "--help").stdout
    assert succeed("import", "mine", installed / "src", Path(installed / "out"), "--box", 3).exit_code == 0


def test_without_the_package_its_names_are_not_known():
    assert run("import", "names", "a", "b").exit_code == 2
