"""Valid files made invalid: flipped bits, lost and doubled pieces, and values that nobody expects where they stand."""

from __future__ import annotations

import json
import re

DEEP = 150
TOKENS = [
    b"NaN", b"-Infinity", b"1e999", b"-1", b"0", b"null", b"true", b"9" * 5000, b"1" * 25, b"99999999999", b"0.1",
    b"[" * 3000, b'{"a":' * 2000, b"\xff\xfe", b"\x00", b"\xef\xbb\xbf", b"\xe9", b"\xf0\x9f\x98\x80", b'"', b"\\",
    b"\\ud800", b",", b";", b"\t", b"\n", b"\r", b"'", b"--", b"<", b"&", b"../", b"/etc/passwd", b"C:\\", b"\x1b[31m",
    "\u202e".encode(), b"a" * 5000, b"(" * 500, b"%s{}",
]  # fmt: skip


def values():
    """What stands for any value of a JSON document."""
    deep = flat = None
    for _ in range(DEEP):
        deep, flat = [deep], {"a": flat}
    return [
        None, True, False, -1, 0, 1, 2, 2**31, 2**63, -(2**63) - 1, 10**30, 10**400, 0.5, -0.0, 1e308, 5e-324,
        float("nan"), float("inf"), "", " ", "\0", "a" * 100_000, "\ud800", "..", "../../x.png", "/etc/passwd", "C:\\x",
        "\x1b[31m\nred", "\u202eabc", "NaN", "1e999", "12", "é", "=1+1", ".", "a/b", "a\\b", [], {}, [[]],
        [None] * 1000, [[]] * 1000, deep, flat, {"": 0}, [0, 0], [[0, 0], [1, 1]], [1e308] * 4, {"id": 1}, ["a", "a"],
    ]  # fmt: skip


def mutated(data: bytes, name: str, rng) -> bytes:
    """One file's content, changed in one to three places."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if name.endswith((".json", ".jsonl")) and rng.random() < 0.7:
            data = _other_json(data, rng, lines=name.endswith(".jsonl"))
        elif name.endswith((".csv", ".xml", ".txt", ".sql")) and rng.random() < 0.7:
            data = _other_token(data, rng)
        else:
            data = rng.choice(BYTEWISE)(data, rng)
    return data


def _flipped(data, rng):
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8, 64)) if data else 0):
        changed[_place(data, rng)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _place(data, rng):
    """Anywhere, but more often where headers lie."""
    return rng.randrange(min(len(data), rng.choice((64, 512, len(data), len(data)))))


def _cut(data, rng):
    return data[: rng.randrange(len(data) + 1)]


def _piece(data, rng):
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + rng.choice((1, 2, 4, 16, 100, 5000)))


def _lost(data, rng):
    start, end = _piece(data, rng)
    return data[:start] + data[end:]


def _doubled(data, rng):
    start, end = _piece(data, rng)
    return data[:end] + data[start:end] * rng.choice((1, 1, 50)) + data[end:]


def _moved(data, rng):
    start, end = _piece(data, rng)
    rest, at = data[:start] + data[end:], rng.randrange(len(data) + 1)
    return rest[:at] + data[start:end] + rest[at:]


def _inserted(data, rng):
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(TOKENS) + data[at:]


def _overwritten(data, rng):
    start, end = _piece(data, rng)
    return data[:start] + bytes([rng.choice((0, 255, rng.randrange(256)))]) * (end - start) + data[end:]


BYTEWISE = [_flipped, _flipped, _cut, _lost, _doubled, _moved, _inserted, _overwritten]


def _other_token(data, rng):
    """A word or a number becomes another one of the file, or what nobody expects."""
    found = list(re.finditer(rb"[\w.]+|[^\w\s]", data))
    if not found:
        return _inserted(data, rng)
    one = rng.choice(found)
    new = rng.choice(TOKENS) if rng.random() < 0.7 else rng.choice(found)[0]
    return data[: one.start()] + new + data[one.end() :]


def _other_json(data, rng, *, lines):
    parts = data.splitlines(keepends=True) if lines else [data]
    number = rng.randrange(len(parts)) if parts else 0
    try:
        document = json.loads(parts[number])
    except (IndexError, ValueError, RecursionError):
        return rng.choice(BYTEWISE)(data, rng)
    document = _changed(document, rng)
    try:
        parts[number] = json.dumps(document, indent=None if lines else 1).encode() + (b"\n" if lines else b"")
    except (ValueError, RecursionError):
        return rng.choice(BYTEWISE)(data, rng)
    return b"".join(parts)


def _changed(document, rng):
    places = []  # every value, by what holds it
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict | list):
            keys = list(value) if isinstance(value, dict) else range(min(len(value), 50))
            places += [(value, key) for key in keys]
            waiting += [value[key] for key in keys]
    if not places or rng.random() < 0.02:
        return rng.choice(values())
    holder, key = rng.choice(places)
    how = rng.randrange(8)
    if how < 5:
        holder[key] = rng.choice(values())
    elif how == 5:
        del holder[key]
    elif how == 6:
        other, its = rng.choice(places)
        try:
            holder[key] = json.loads(json.dumps(other[its]))
        except (IndexError, KeyError):
            holder[key] = None
    elif isinstance(holder, dict):
        holder[rng.choice(("", "x", "\ud800", "a" * 1000, key.upper(), "a\nb"))] = holder.pop(key)
    else:
        holder.extend([holder[key]] * rng.choice((1, 3, 100)))
    return document
