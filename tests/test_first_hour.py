"""The notebook in docs runs from top to bottom, and each value that a cell ends with can be displayed."""

from __future__ import annotations

import ast
import json

import pytest

import flawshot


@pytest.fixture(scope="module")
def notebook(pytestconfig):
    return json.loads((pytestconfig.rootpath / "docs/first-hour.ipynb").read_text(encoding="utf-8"))


def run(source, names):
    """Run a cell, and return the value of its last line, which a notebook displays."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<cell>", "exec"), names)  # noqa: S102
    return None if last is None else eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)  # noqa: S307


def test_it_has_the_form_of_a_notebook_without_outputs(notebook):
    # The required keys of https://nbformat.readthedocs.io/en/latest/format_description.html
    assert set(notebook) == {"cells", "metadata", "nbformat", "nbformat_minor"}
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    for cell in notebook["cells"]:
        code = {"execution_count", "outputs"} if cell["cell_type"] == "code" else set()
        assert set(cell) == {"cell_type", "id", "metadata", "source"} | code
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
        assert all(line.endswith("\n") for line in cell["source"][:-1])
    identifiers = [cell["id"] for cell in notebook["cells"]]
    assert len(identifiers) == len(set(identifiers))


def test_its_cells_run_in_order(notebook, tmp_path, monkeypatch):
    import matplotlib.pyplot as plt

    monkeypatch.chdir(tmp_path)
    plt.switch_backend("agg")
    names = {"__name__": "__main__"}
    shown = [run("".join(cell["source"]), names) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    plt.close("all")
    for kind in ("Catalog", "FeatureBank", "EpisodeSet", "Results", "Model"):
        (value,) = [value for value in shown if type(value).__name__ == kind]
        assert "<table>" in value._repr_html_()
    boxed, masked, category = shown[-1]
    assert isinstance(boxed, flawshot.Prediction)
    assert masked.label == category  # an example of the model itself
    assert (tmp_path / "first-hour/report.html").is_file()
