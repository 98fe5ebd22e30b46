"""Tables for other programs: their figures, and names that would be formulas or markup."""

from __future__ import annotations

import csv
import io

import pytest

from flawshot.report.tables import csv_table, latex_table, markdown_table


@pytest.fixture
def named(results):
    """The results with another name for their first product, and for one classifier."""

    def rename(name):
        runs = [
            run.model_copy(
                update={
                    "product": name if run.product == results.runs[0].product else run.product,
                    "classifier": name if run.classifier == "knn" else run.classifier,
                }
            )
            for run in results.runs
        ]
        return results.model_copy(update={"runs": tuple(runs), "means": ()})

    return rename


@pytest.mark.parametrize(
    "name",
    [
        "=cmd|' /C calc'!A0",
        "+1+1",
        "-2",
        "@SUM(A1)",
        "\t=1",
        "\n=1",
        "  =1+1",
        "＝1+1",  # full-width: some spreadsheets take it for the narrow one
        '=HYPERLINK("http://x","y")',
    ],
)
def test_no_cell_of_the_csv_is_a_formula(named, name):
    rows = list(csv.reader(io.StringIO(csv_table(named(name)), newline="")))
    assert rows[1][0] == f"'{name}"
    assert f"'{name}" in {row[1] for row in rows}
    assert not [cell for row in rows for cell in row if cell.lstrip()[:1] in set("=+-@＝") and not _is_number(cell)]


def test_a_carriage_return_ends_no_line_of_the_csv(named):
    text = csv_table(named("a\r=1+1"))
    assert text.splitlines()[1].startswith(r"a\r=1+1,")
    assert len(text.splitlines()) == 1 + len(named("a").to_arrow())


def _is_number(cell):
    try:
        float(cell)
    except ValueError:
        return False
    return True


def test_the_csv_has_the_results_figures(results):
    rows = list(csv.DictReader(io.StringIO(csv_table(results))))
    table = results.to_arrow()
    assert len(rows) == len(table)
    for row, known in zip(rows, table.to_pylist(), strict=True):
        for name, value in known.items():
            assert row[name].removeprefix("'") == ("" if value is None else str(value))


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a|b", r"a\|b"),
        ("<script>", r"\<script\>"),
        ("[x](javascript:y)", r"\[x\](javascript\:y)"),
        ("![x](y)", r"\!\[x\](y)"),
        ("`$x$` **b** _c_", r"\`\$x\$\` \*\*b\*\* \_c\_"),
        ("&lt; @all www.x.y", r"\&lt; \@all www\.x.y"),
        ("two\nlines", r"two\\nlines"),
    ],
)
def test_markdown_takes_names_as_text(named, name, shown):
    lines = markdown_table(named(name)).splitlines()
    assert lines[2].startswith(f"| {shown} |")
    assert len(lines) == 2 + 2  # no name begins another line


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("100 % & #1 _a_ {b} $c$", r"100 \% \& \#1 \_a\_ \{b\} \$c\$"),
        (r"\input{/etc/passwd}", r"\textbackslash{}input\{/etc/passwd\}"),
        ("a~b^c <d>", r"a\textasciitilde{}b\textasciicircum{}c \textless{}d\textgreater{}"),
        ("[1ex]", "[1ex]"),
        ("\u202ebidi", r"\textbackslash{}u202ebidi"),
    ],
)
def test_latex_takes_names_as_text(named, name, shown):
    lines = latex_table(named(name)).splitlines()
    (row,) = (line for line in lines if line.startswith(f"{{{shown}}} &"))
    assert row.endswith(r"\\")
    assert lines[0].startswith(r"\begin{tabular}")
