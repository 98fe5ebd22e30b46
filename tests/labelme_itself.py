"""Labelme's own reader, writer and masks, by whichever interface the installed version (5.5 to 7) has."""

from __future__ import annotations

import os
from importlib.metadata import version
from types import SimpleNamespace

import pytest

__all__ = ["MAJOR", "draw_mask", "draws_round_joints", "open_file", "require_labelme", "require_window", "save_file"]

MAJOR = int(version("labelme").partition(".")[0])


def require_labelme():
    """Skip a test where labelme cannot be imported, for Qt's system libraries are missing."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    try:
        import labelme._label_file
    except ModuleNotFoundError:
        try:
            import labelme.label_file  # noqa: F401 - 5.5 to 6.0
        except ImportError as error:
            pytest.skip(f"labelme cannot be imported here ({error})")
    except ImportError as error:
        pytest.skip(f"labelme cannot be imported here ({error})")


def require_window():
    """Skip a test where labelme's window cannot be opened, for Qt's system libraries are missing."""
    qt = "PySide6.QtWidgets" if MAJOR >= 7 else "PyQt5.QtWidgets"
    pytest.importorskip(qt, reason="Qt's libraries are not here", exc_type=ImportError)


def open_file(path):
    """A Labelme file as labelme reads it.

    Returns:
        An object with ``shapes`` (dictionaries), ``flags``, ``image_path``, ``image_data`` and ``other_data``.
    """
    require_labelme()
    if MAJOR >= 7:
        from labelme._label_file import read_label_file

        read = read_label_file(filename=str(path))
        return SimpleNamespace(
            shapes=[dict(shape) for shape in read.shapes],
            flags=read.flags,
            image_path=read.image_path,
            image_data=read.image_data,
            other_data=read.other_data,
        )
    read = _label_file_class()(str(path))
    return SimpleNamespace(
        shapes=read.shapes,
        flags=read.flags,
        image_path=read.image_path if hasattr(read, "image_path") else read.imagePath,
        image_data=read.image_data if hasattr(read, "image_data") else read.imageData,
        other_data=read.other_data if hasattr(read, "other_data") else read.otherData,
    )


def save_file(path, opened, height, width):
    """Save what :func:`open_file` returned as labelme does, without embedding the image."""
    if MAJOR >= 7:
        from labelme._label_file import Annotation, write_label_file

        annotation = Annotation(
            image_path=opened.image_path,
            image_data=opened.image_data,
            shapes=opened.shapes,
            flags=opened.flags,
            other_data=opened.other_data,
        )
        write_label_file(
            filename=str(path), annotation=annotation, image_height=height, image_width=width, save_image_data=False
        )
        return
    from labelme.utils import img_arr_to_b64

    # As its window does: keys that labelme does not know stand beside its own.
    shapes = [
        {key: value for key, value in shape.items() if key not in {"other_data", "mask"}}
        | shape["other_data"]
        | {"mask": None if shape["mask"] is None else img_arr_to_b64(shape["mask"].astype("uint8"))}
        for shape in opened.shapes
    ]
    _label_file_class()().save(
        str(path), shapes, opened.image_path, height, width, other_data=opened.other_data, flags=opened.flags
    )


def draw_mask(size, points, shape_type):
    """The pixels of a shape, bool ``[height, width]``, as labelme draws them.

    Args:
        size: (height, width) in px.
        points: ``[n, 2]`` as lists.
        shape_type: Its type.
    """
    require_labelme()
    if MAJOR >= 7:
        from labelme._utils import shape_to_mask
    else:
        from labelme.utils import shape_to_mask
    return shape_to_mask(size, points, shape_type=shape_type)


def draws_round_joints():
    """Whether the installed labelme rounds the corners of a strip of lines, as 7 does."""
    return MAJOR >= 7


def _label_file_class():
    try:
        from labelme._label_file import LabelFile
    except ImportError:
        from labelme.label_file import LabelFile
    return LabelFile
