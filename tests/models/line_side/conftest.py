"""An exported model, and the programs that come with it."""

from __future__ import annotations

import importlib
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from flawshot.models.line_side.exporting import export_onnx

STAND_ALONE = Path(str(files("flawshot.models.line_side").joinpath("stand-alone")))


@pytest.fixture(scope="session")
def exported(model, parts, tmp_path_factory):
    """What an export of the model of the drawn parts says of itself; never written to."""
    return export_onnx(model.path, tmp_path_factory.mktemp("exported") / "line", data=parts)


@pytest.fixture(scope="session")
def programs():
    """The modules ``line_side`` and ``line_side_regions``, from where they are packaged."""
    sys.path.insert(0, str(STAND_ALONE))
    try:
        return importlib.import_module("line_side"), importlib.import_module("line_side_regions")
    finally:
        sys.path.remove(str(STAND_ALONE))
