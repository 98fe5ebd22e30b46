"""Reading within limits: what is refused before a parser sees it, and that nothing else is."""

from __future__ import annotations

import json
import os
import tracemalloc
from random import Random
from typing import Any

import pytest
from pydantic import Field, ValidationError

from flawshot import Catalog, FlawshotError, Results, read_image, read_labelme, read_prompts
from flawshot.base.store.json_documents import (
    DEEPEST,
    STEPS_AT_ONCE,
    Document,
    check_depth,
    file_bytes,
    file_lines,
    load_json,
    parse_document,
)
from flawshot.base.store.seals import sha256_of


def nested(depth, inner="0"):
    return "[" * depth + inner + "]" * depth


class Part(Document):
    name: str
    numbers: tuple[int, ...] = ()


class Whole(Document):
    parts: tuple[Part, ...] = ()
    named: dict[str, Part] = Field(default_factory=dict)
    one: Part | None = None
    anything: dict[str, Any] = Field(default_factory=dict)


@pytest.mark.parametrize(
    "text",
    [
        nested(DEEPEST),
        "[" + ",".join([nested(DEEPEST - 1)] * 50) + "]",
        json.dumps(["[" * 500, '"' + "{" * 500, "\\" * 7 + '"' + "[" * 500]),
        json.dumps({"[" * 300: "\\", "{": '\\"' * 300}),
        " " * STEPS_AT_ONCE + json.dumps([["a" * 9, [[]]]] * 500),
        '"' + "[" * (3 * STEPS_AT_ONCE) + '"',
        json.dumps([["x" * 7, "[", 1]] * (STEPS_AT_ONCE // 3)),
    ],
)
def test_what_is_not_too_deep_is_read_as_json_reads_it(text):
    assert load_json(text.encode()) == json.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        nested(DEEPEST + 1),
        "[" * 2_000_000,
        '{"a":' * 400_000,
        '["' + "]" * 200 + '",' + nested(DEEPEST) + "]",
        '["\\\\",' + nested(DEEPEST) + "]",
        '["\\"]",' + nested(DEEPEST, '{"a":0}') + "]",
        json.dumps([["x" * 7, "]", 1]] * (STEPS_AT_ONCE // 3))[:-1] + "," + nested(DEEPEST) + "]",
    ],
)
def test_what_is_too_deep_is_refused(text):
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
        with pytest.raises(FlawshotError, match="nested deeper than 100 levels"):
            load_json(text.encode(encoding))


def _depth(value):
    if isinstance(value, dict | list):
        return 1 + max(map(_depth, value.values() if isinstance(value, dict) else value), default=0)
    return 0


def test_the_depth_is_that_of_the_parsed_value():
    """Random documents with brackets, quotes and backslashes in their texts, against Python's parser."""
    rng = Random(0)

    def value(depth):
        kind = rng.randrange(3) if depth else 2
        if kind == 2:
            return "".join(rng.choice('[]{}"\\a') for _ in range(rng.randrange(9)))
        items = [value(depth - 1) for _ in range(rng.randrange(1, 4))]
        return items if kind else {f'"{n}\\[': item for n, item in enumerate(items)}

    for _ in range(200):
        made = value(5)
        wrapped = json.dumps([[] for _ in range(DEEPEST + 1)])  # enough brackets that they are looked at
        room = DEEPEST - 1 - _depth(made)
        check_depth(f"[{wrapped},{nested(room, json.dumps(made))}]".encode())
        with pytest.raises(FlawshotError, match="nested"):
            check_depth(f"[{wrapped},{nested(room + 1, json.dumps(made))}]".encode())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"a": }', "is not JSON: Expecting value at line 1, column 7"),
        (b"", "is not JSON"),
        (b'"\xff\xfe"', "is not UTF-8 text"),
        (b"[" + b"7" * 5000 + b"]", "a number has too many digits"),
        ('["\ud800"]'.encode("utf-16", "surrogatepass"), "is not"),
    ],
)
def test_what_is_no_json_is_said(data, message):
    with pytest.raises(FlawshotError, match=message):
        load_json(data)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
def test_text_of_every_encoding_that_json_has_is_read(encoding):
    data = '{"parts": [{"name": "划痕 é"}]}'.encode(encoding)
    assert load_json(data) == {"parts": [{"name": "划痕 é"}]}
    assert parse_document(data, Whole, "a.json", "fix it").parts[0].name == "划痕 é"


@pytest.mark.parametrize(
    ("text", "field"),
    [
        pytest.param('{"parts": [' + "[]," * 500_000 + "[]]}", "parts.0", id="wrong items"),
        pytest.param(
            '{"named": {' + ",".join(f'"{n}":[]' for n in range(200_000)) + "}}", "named.0", id="wrong values"
        ),
        pytest.param("{" + ",".join(f'"k{n}":0' for n in range(200_000)) + "}", "k0", id="unknown keys"),
        pytest.param(
            '{"one": {"name": "a", ' + ",".join(f'"k{n}":0' for n in range(200_000)) + "}}", "one.k0", id="below"
        ),
        pytest.param(
            '{"named": {"a": {' + ",".join(f'"k{n}":0' for n in range(200_000)) + "}}}", "named.k0", id="in an object"
        ),
        pytest.param('{"anything": {"a": ' + "[" * 1_000_000 + "}}", "nested deeper", id="deep"),
    ],
)
def test_a_million_mistakes_are_one(text, field):
    tracemalloc.start()
    with pytest.raises(FlawshotError) as caught:
        parse_document(text.encode(), Whole, "a.json", "fix it")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert str(caught.value).startswith(f"a.json: {field}") or field in str(caught.value)
    assert str(caught.value).endswith("fix it")
    assert peak < 40 * len(text)


def test_many_right_keys_are_right():
    named = {str(number): {"name": "a", "numbers": [1, 2]} for number in range(20_000)}
    document = parse_document(json.dumps({"named": named, "anything": {"x": {"y": 1}}}).encode(), Whole, "a", "b")
    assert len(document.named) == 20_000


def test_documents_are_still_checked_when_made_in_python():
    with pytest.raises(ValidationError):
        Whole(parts=({"name": 3},))


def test_files_that_have_no_end_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    os.mkfifo(tmp_path / "catalog.parquet")
    (tmp_path / "folder.json").mkdir()
    for path, message in (
        (tmp_path / "pipe.json", "is not an ordinary file"),
        (tmp_path / "folder.json", "is a folder"),
        (tmp_path / "none.json", "cannot be read"),
        ("/dev/zero", "is not an ordinary file"),
    ):
        for read in (read_prompts, Results.load):
            with pytest.raises(FlawshotError, match=message):
                read(path)


def test_pipes_are_neither_hashed_nor_decoded(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(OSError, match="not an ordinary file"):
        sha256_of(tmp_path / "a.png")
    with pytest.raises(FlawshotError, match=r"a\.png: .*it is not an ordinary file"):
        read_image(tmp_path / "a.png", "a.png")
    with pytest.raises(FlawshotError, match="is not an ordinary file"):
        Catalog.open((tmp_path / "a.png").rename(tmp_path / "a.parquet"))
    with pytest.raises(FlawshotError, match="is not an ordinary file"):
        read_labelme((tmp_path / "a.parquet").rename(tmp_path / "a.json"))


def test_a_file_is_read_up_to_its_limit(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b"a" * 2**20)
    assert len(file_bytes(path, 2**20)) == 2**20
    path.write_bytes(b"a" * (2**20 + 1))
    with pytest.raises(FlawshotError, match=r"a.json: is larger than 1 MiB, the limit"):
        file_bytes(path, 2**20)


def test_lines_are_read_up_to_their_limit(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"one\n" + b"a" * 2**20 + b"\nlast")
    assert list(file_lines(path)) == [b"one\n", b"a" * 2**20 + b"\n", b"last"]
    lines = file_lines(path, 2**20)
    assert next(lines) == b"one\n"
    with pytest.raises(FlawshotError, match="line 2: is longer than 1 MiB"):
        next(lines)
