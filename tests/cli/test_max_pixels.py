"""How large an image may be: one limit, for every command, ours and not Pillow's."""

from __future__ import annotations

import base64
import io
import json
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
import typer
from PIL import Image

from commands import run, succeed
from flawshot import FlawshotError
from flawshot.cli import app
from flawshot.cli.wording import option_words
from helpers import box_shape, labelme_document

AREA = 100 * 120


@pytest.fixture
def data(tmp_path):
    """Four annotated images of 120 x 100 px; one of them is embedded."""
    for number in range(4):
        image = Image.fromarray(np.random.default_rng(number).integers(0, 255, (100, 120, 3), np.uint8))
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        place = tmp_path / f"data/bolt/{number}"
        place.parent.mkdir(parents=True, exist_ok=True)
        embedded = base64.b64encode(buffer.getvalue()).decode() if number == 3 else None
        if number < 3:
            place.with_suffix(".png").write_bytes(buffer.getvalue())
        changes = {"imagePath": f"{number}.png", "imageData": embedded, "imageHeight": None, "imageWidth": None}
        place.with_suffix(".json").write_text(json.dumps(labelme_document([box_shape()], **changes)))
    return tmp_path / "data"


def commands(group):
    context = typer.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if hasattr(command, "commands"):
            yield from ((f"{name} {own}", each) for own, each in commands(command))
        else:
            yield name, command


def test_every_command_has_the_option():
    found = dict(commands(typer.main.get_command(app)))
    assert {"check", "fit", "learn", "import coco", "import voc", "export masks"} <= set(found)
    assert found.pop("import mvrec-features")  # which opens no image
    for name, command in found.items():
        assert "--max-pixels" in {
            option for each in command.get_params(typer.Context(command)) for option in each.opts
        }, name


@pytest.mark.parametrize(
    "command",
    [
        ("check",),
        ("check", "--fast"),
        ("stats",),
        ("crops", "--out", "s"),
        ("encode", "--out", "bank", "--device", "cpu"),
    ],
    ids=" ".join,
)
def test_images_over_the_limit_are_told_with_the_option(data, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    result = run(command[0], data, *command[1:], "--max-pixels", AREA - 1)
    said = result.output
    if isinstance(result.exception, FlawshotError):
        said += result.exception.worded(option_words)
    assert "--max-pixels 12000" in said
    enough = run(command[0], data, *command[1:], "--max-pixels", AREA)
    assert "--max-pixels" not in f"{enough.output}{enough.exception or ''}"


def test_a_size_that_is_stated_counts_too(data):
    place = data / "bolt/0.json"
    place.write_text(
        json.dumps(labelme_document([box_shape()], imagePath="0.png", imageHeight=2**15, imageWidth=2**14))
    )
    line = (
        "the image has 16384 x 32768 px, more than the limit of 268435456 px; "
        "raise the limit with --max-pixels 536870912"
    )
    assert line in run("check", data, "--fast").output
    assert line not in run("check", data, "--fast", "--max-pixels", 2**29).output


def test_importers_keep_to_it_in_their_processes(tmp_path):
    """More images than one process takes."""
    for number in range(40):
        folder = tmp_path / "src/dent"
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("L", (30, 20), 90).save(folder / f"{number}.jpg")
        mask = np.zeros((20, 30), np.uint8)
        mask[3:9, 4:9] = 255
        Image.fromarray(mask).save(folder / f"{number}.png")
    refused = run("import", "masks", tmp_path / "src", tmp_path / "a", "--workers", 2, "--max-pixels", 599)
    assert "raise the limit with --max-pixels 600" in refused.exception.worded(option_words)
    succeed("import", "masks", tmp_path / "src", tmp_path / "b", "--workers", 2, "--max-pixels", 600)
    assert len(list((tmp_path / "b").rglob("*.json"))) == 40


@pytest.mark.parametrize("value", ["0", "-1", "many", "300M", ""])
def test_what_is_no_number_of_pixels_is_refused(data, value):
    result = run("check", data, "--max-pixels", value)
    assert result.exit_code == 2


def line_scan(width, height):
    """A gray PNG of zeros, made without its pixels in memory."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    packer = zlib.compressobj(1)
    rows = b"".join(packer.compress(bytes(width + 1)) for _ in range(height)) + packer.flush()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("width", "height", "command"),
    [
        pytest.param(16384, 11000, ("check", "--fast"), id="Pillow refuses"),
        pytest.param(9600, 9400, ("crops", "--out", "sheets"), id="Pillow warns"),
    ],
)
def test_line_scans_are_read_without_a_word(tmp_path, width, height, command):
    (tmp_path / "data/line").mkdir(parents=True)
    (tmp_path / "data/line/a.png").write_bytes(line_scan(width, height))
    whole = box_shape("streak", shape_type="rectangle", points=[[0, 0], [width - 1, height - 1]])
    document = labelme_document([box_shape(), whole], imageHeight=height, imageWidth=width)
    (tmp_path / "data/line/a.json").write_text(json.dumps(document))
    done = subprocess.run(
        [sys.executable, "-m", "flawshot", command[0], "data", *command[1:]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode in {0, 1}, said
    assert "unreadable-image" not in said
    assert "limit" not in said
    assert "arning:" not in done.stderr
    assert command[0] == "check" or len(list((tmp_path / "sheets").rglob("*.png"))) == 2
