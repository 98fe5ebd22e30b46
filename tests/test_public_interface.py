"""What ``import flawshot`` offers."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import flawshot


def test_every_public_name_is_there_and_documented():
    assert sorted(flawshot.__all__) == sorted(set(flawshot.__all__))
    for name in flawshot.__all__:
        value = getattr(flawshot, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__doc__, name
    assert dir(flawshot) == sorted(flawshot.__all__)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = flawshot.nothing


def test_type_checkers_read_the_same_names():
    source = Path(flawshot.__file__).read_text(encoding="utf-8")
    block = source[source.index("if TYPE_CHECKING:") : source.index("def __dir__")]
    for_types = [f"    from flawshot.{home} import {name} as {name}" for name, home in flawshot._HOMES.items()]
    renamed = [f"    {old} = {new}" for old, new in flawshot._RENAMED.items()]
    assert block.split("\n")[1:-3] == [*sorted(for_types), "", "    __version__: str", "", *renamed]


def test_each_name_is_listed_once_with_the_module_that_defines_it():
    names = [name for names in flawshot._PUBLIC.values() for name in names.split()]
    assert len(names) == len(set(names))
    for name, home in flawshot._HOMES.items():
        value = getattr(flawshot, name)
        assert getattr(value, "__module__", "").startswith(f"flawshot.{home}") or isinstance(value, dict), name


@pytest.mark.parametrize("old", sorted(flawshot._RENAMED))
def test_old_names_still_work_and_say_the_new_one(old):
    new = flawshot._RENAMED[old]
    with pytest.warns(DeprecationWarning, match=f"flawshot.{old} is now called flawshot.{new}"):
        assert getattr(flawshot, old) is getattr(flawshot, new)
    assert old not in dir(flawshot)


def test_importing_it_loads_nothing_heavy():
    code = "import sys, flawshot; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"flawshot"} <= set(loaded)
    assert not {"torch", "numpy", "PIL", "pyarrow", "PySide6", "PyQt5", "pydantic"} & set(loaded)


def test_type_checkers_know_every_name_and_no_other(tmp_path):
    api = pytest.importorskip("mypy.api")
    known = [f"flawshot.{name}" for name in (*flawshot.__all__, *flawshot._RENAMED)]
    script = tmp_path / "script.py"
    script.write_text("import flawshot\n\n" + "\n".join(f"print({name})" for name in [*known, "flawshot.nothing"]))
    said, _, status = api.run(["--strict", "--cache-dir", str(tmp_path / "cache"), str(script)])
    assert status == 1
    assert 'Module has no attribute "nothing"' in said
    assert "Found 1 error" in said
