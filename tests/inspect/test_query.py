"""Questions to a catalog: what conditions find, and what they cannot reach."""

from __future__ import annotations

import pytest

from flawshot import Catalog, FlawshotError, query_catalog
from flawshot.inspect.query import COLUMNS, Condition
from helpers import box_shape

WIDE = [[2, 50], [90, 50], [90, 55], [2, 55]]


@pytest.fixture
def catalog(write_annotations):
    shapes = [
        box_shape("scratch", points=WIDE, flags={"sure": True}),
        box_shape("dent", at=(20, 20), size=20),
        box_shape("it's", at=(5, 5), group_id=1),
        box_shape("it's", at=(40, 5), group_id=1),
        box_shape("划痕 100%"),
    ]
    return Catalog.open(write_annotations({"bolt/test/a.json": shapes, "nut/b.json": [box_shape("dent")]}))


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("area > 400 and product = 'bolt'", ["scratch", "dent"]),
        ("category like 'scratch%' and width > 3*height", ["scratch"]),
        ("width = 21 and height = 21", ["dent"]),
        ("split is null", ["dent"]),
        ("split in ('train', 'test') and not area between 50 and 100", ["scratch", "dent", "it's"]),
        ("category = 'it''s'", ["it's"]),
        ("category = '划痕 100%' -- a comment", ["划痕 100%"]),
        ("/* a comment */ len(geometry) > 1", ["it's"]),
        ("flags->>'sure' = 'true'", ["scratch"]),
        ("area::double / (image_width * image_height) > 0.04", ["scratch"]),
        ("case when product = 'nut' then true else x1 > 80 end", ["scratch", "dent"]),
        ("upper(category) ilike 'D_NT' and x0 + y0 <= 20", ["dent"]),
        ("instances.area < 0", []),
        ("category = '; drop table instances'", []),
        ("true", ["scratch", "dent", "it's", "划痕 100%", "dent"]),
    ],
)
def test_conditions_find_what_they_say(catalog, condition, found):
    hits = query_catalog(catalog, condition)
    assert hits.column("category") == found
    assert [hit.id for hit in hits] == hits.column("id")
    assert hits.root == catalog.root


def test_a_limit_takes_the_first_ones(catalog):
    assert query_catalog(catalog, "area > 0", limit=2).column("category") == ["scratch", "dent"]


HOSTILE = [
    ("", "is empty"),
    ("  \n ", "is empty"),
    ("'; drop table instances; --", "cannot be read"),
    ("1=1; drop table instances", "cannot be read"),
    ("1=1); drop table instances; select (1", ""),
    ("1=1); select * from instances where (true", "more than one condition"),
    ("1) union select 1 --", "cannot be read"),
    ("1=1) union all select row from (select 1 as row", "more than one condition"),
    ("true) limit (1", "more than one condition"),
    ("true) group by (row", "more than one condition"),
    ("true) qualify (true", "more than one condition"),
    ("true order by area", "cannot be read"),
    ("exists (select * from read_csv('/etc/passwd'))", "a subquery is not allowed"),
    ("exists (from '/etc/passwd')", "a subquery is not allowed"),
    ("read_csv('/etc/passwd')", "the function read_csv is not allowed"),
    ("read_text('/etc/passwd') is null", "the function read_text is not allowed"),
    ("category in (select file from glob('../../*'))", "a subquery is not allowed"),
    ("area > (select max(area) from instances)", "a subquery is not allowed"),
    ("exists (select * from catalog)", "a subquery is not allowed"),  # a Python variable
    ("exists (from duckdb_settings())", "a subquery is not allowed"),
    ("exists (copy instances to '../../x')", "cannot be read"),
    ("install httpfs", "cannot be read"),
    ("load httpfs", "cannot be read"),
    ("attach '../../x'", "Type with name attach does not exist"),
    ("set enable_external_access = true", "cannot be read"),
    ("pragma version", "cannot be read"),
    ("../../x", "cannot be read"),
    ("getenv('HOME') = 'x'", "the function getenv is not allowed"),
    ("system.main.getenv('HOME') = 'x'", "the function getenv is not allowed"),
    ("GETENV('HOME') = 'x'", "the function getenv is not allowed"),
    ("\"getenv\"('HOME') = 'x'", "the function getenv is not allowed"),
    ("lower(getenv('HOME')) = 'x'", "the function getenv is not allowed"),
    ("area between 1 and length(getenv('HOME'))", "the function getenv is not allowed"),
    ("case when getenv('HOME') = 'x' then true end", "the function getenv is not allowed"),
    ("current_setting('threads') = 1", "the function current_setting is not allowed"),
    ("repeat(category, 1000000000) = 'x'", "the function repeat is not allowed"),
    ("list_transform([1], lambda x: x) = [1]", "not allowed"),
    ("row_number() over () = 1", "a window is not allowed"),
    ("count(*) > 1", "not allowed"),
    ("random() > 0.5", "the function random is not allowed"),
    ("columns(*) is null", "a star is not allowed"),
    ("*", "a star is not allowed"),
    ("area > $1", ""),
    ("area > ?", ""),
    ("row > 0", "there is no column row"),
    ("sise > 5", "there is no column sise"),
    ("main.instances.area > 5", "there is no column main"),
    ("current_user = 'x'", "there is no column current_user"),
    ("category > 5", "cannot be evaluated"),
    ("category::integer > 5", "cannot be evaluated"),
    ("area::nothing is null", ""),
    ("geometry.x = 1", "cannot be evaluated"),
    ("area + ", "cannot be read"),
    ("area = 1\0", "an invalid character"),
    ("category = '\udcff'", "an invalid character"),
    ("x" * 20_000, "longer than"),
    ("not " * 2000 + "true", ""),
    ("area > " + "+".join(["1"] * 4000), ""),
]


@pytest.mark.parametrize(("condition", "reason"), HOSTILE, ids=range(len(HOSTILE)))
def test_a_wrong_or_hostile_condition_is_one_line_and_reaches_nothing(catalog, condition, reason):
    with pytest.raises(FlawshotError) as caught:
        query_catalog(catalog, condition)
    text = str(caught.value)
    assert text.startswith("condition=")
    assert reason in text
    assert "\n" not in text
    assert text.endswith(f"the columns are {', '.join(COLUMNS)}")
    assert "root:" not in text
    assert len(query_catalog(catalog, "true")) == 5


def test_what_the_parser_would_let_through_the_database_does_not_reach(catalog, tmp_path):
    """The second wall, tried without the first."""
    import duckdb

    from flawshot.inspect.database import locked_database

    (tmp_path / "secret.csv").write_text("a\n1\n")
    place = tmp_path.as_posix()
    variable = catalog.table  # what DuckDB's Python API finds unless it is told not to
    for sql in (
        f"FROM read_csv('{place}/secret.csv')",
        f"FROM '{place}/secret.csv'",
        f"FROM read_text('{place}/secret.csv')",
        f"COPY instances TO '{place}/out.csv'",
        f"ATTACH '{place}/out.db'",
        f"EXPORT DATABASE '{place}/out'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SELECT * FROM read_csv('http://localhost:1/x.csv')",
        "SELECT * FROM variable",
        "SET enable_external_access = true",
        "SET python_enable_replacements = true",
        "SET lock_configuration = false",
        "RESET enable_external_access",
    ):
        with locked_database(variable) as database, pytest.raises(duckdb.Error):
            database.execute(sql).fetchall()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "secret.csv"]


def test_a_catalog_without_geometry_answers_all_but_questions_of_geometry(catalog, tmp_path):
    catalog.save(tmp_path / "c.parquet")
    light = Catalog.open(tmp_path / "c.parquet", geometry=False)
    assert "geometry" not in light.table.column_names
    assert query_catalog(light, "area > 400").column("id") == query_catalog(catalog, "area > 400").column("id")
    with pytest.raises(FlawshotError, match="read without geometry"):
        query_catalog(light, "len(geometry) > 1")


def test_a_condition_knows_the_columns_it_names():
    assert Condition.parse("width > 3 * HEIGHT and instances.area > 1").columns == {"width", "height", "area"}
