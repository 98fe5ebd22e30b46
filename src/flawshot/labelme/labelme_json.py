"""A Labelme file's JSON: read within a size limit, decoded, and checked to be an object with shapes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from flawshot.base.errors import AnnotationError, FlawshotError, Problem
from flawshot.base.store.json_documents import ANNOTATION_BYTES, DEEPEST, check_depth, file_bytes

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["annotation_bytes", "check_object", "file_error", "labelme_object"]

HALF_A_PAIR = "contains half a surrogate pair, which is not a character"


def annotation_bytes(path: Path, name: str) -> bytes:
    """The content of an annotation file.

    Args:
        path: The file.
        name: Its name for problems.

    Raises:
        AnnotationError: If it cannot be read, is not an ordinary file, or is larger than any with an embedded image.
    """
    try:
        return file_bytes(path, ANNOTATION_BYTES)
    except FlawshotError as error:
        raise file_error(name, "unreadable", error.marked.removeprefix(f"{path}: ")) from error


def labelme_object(data: bytes, name: str, problems: list[Problem]) -> dict[str, Any]:
    """A Labelme file's JSON object, its shapes and all else as they are.

    Args:
        data: UTF-8 JSON, with or without a byte order mark; GBK where it is not UTF-8.
        name: What to call the file in problems.
        problems: What is odd is added here.

    Raises:
        AnnotationError: If it is not one.
    """
    return _labelme(_load_json(_decode(data, name, problems), name), name)


def check_object(document: dict[str, Any], name: str) -> None:
    """Refuse an object that no Labelme file can contain, as :func:`labelme_object` refuses the file.

    Args:
        document: The object, as JSON has it.
        name: Its name for problems.

    Raises:
        AnnotationError: If it is not a Labelme object, is nested too deeply, or contains half a surrogate pair.
    """
    _labelme(document, name)
    level: list[Any] = [document]
    for _ in range(DEEPEST + 1):
        texts = [value for value in level if isinstance(value, str)]
        texts += [key for value in level if isinstance(value, dict) for key in value]
        if not all(map(_is_text, texts)):
            raise file_error(name, "encoding", HALF_A_PAIR)
        inner = [
            value.values() if isinstance(value, dict) else value for value in level if isinstance(value, dict | list)
        ]
        # Most of a document consists of lists of numbers.
        level = [each for part in inner for each in part if isinstance(each, dict | list | str)]
        if not inner:
            return
    raise file_error(name, "not-json", f"cannot be read as JSON (nested deeper than {DEEPEST} levels)")


def _is_text(value: str) -> bool:
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _labelme(document: Any, name: str) -> dict[str, Any]:
    if not isinstance(document, dict) or "shapes" not in document or not ({"imagePath", "imageData"} & set(document)):
        raise file_error(name, "not-labelme", "is not a Labelme file: expected an object with shapes and imagePath")
    made: dict[str, Any] = document
    return made


def file_error(name: str, kind: str, message: str) -> AnnotationError:
    """The error for a whole annotation file."""
    return AnnotationError(Problem(name, kind, message))


def _decode(data: bytes, name: str, problems: list[Problem]) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    try:
        text = data.decode("gbk")
    except UnicodeDecodeError:
        raise file_error(name, "encoding", "is neither UTF-8 nor GBK text; save it again as UTF-8") from None
    problems.append(Problem(name, "encoding", "is not UTF-8 and was read as GBK; save it again as UTF-8", "warning"))
    return text


def _load_json(text: str, name: str) -> Any:
    try:
        check_depth(text.encode(errors="surrogatepass"))
        document = json.loads(text)
        # An escaped half of a surrogate pair is valid JSON, but not text that can be written.
        if "\\" in text and "\\ud" in text.lower():
            json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise file_error(name, "encoding", HALF_A_PAIR) from None
    except json.JSONDecodeError as error:
        raise file_error(
            name, "not-json", f"is not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from error
    except FlawshotError as error:
        raise file_error(name, "not-json", error.marked) from error
    except RecursionError as error:
        raise file_error(name, "not-json", "cannot be read as JSON (nested too deeply)") from error
    except ValueError as error:  # Python limits the digits of integers
        raise file_error(name, "not-json", "cannot be read as JSON (a number has too many digits)") from error
    return document
