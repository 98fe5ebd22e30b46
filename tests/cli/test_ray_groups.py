"""Options of Ray: which go together, and that what they refuse is one line."""

from __future__ import annotations

import pytest

from commands import refuse


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--actors", "2"], "--actors 2: needs --ray"),
        (["--cpus-per-actor", "2"], "--cpus-per-actor 2: needs --ray"),
        (["--gpus-per-actor", "0"], "--gpus-per-actor 0.0: needs --ray"),
        (["--ray", "local", "--compile"], "--compile: whether a compiled encoder is used is measured on each machine"),
    ],
)
def test_options_of_encode(tmp_path, options, said):
    assert refuse("encode", tmp_path, "--out", tmp_path / "bank", *options).startswith(said)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--actors", "2"], "--actors 2: needs --ray"),
        (["--ray", "auto", "--find"], "--ray auto: regions are found on this machine only"),
        (["--ray", "auto", "--whole-image"], "--ray auto: regions are found on this machine only"),
    ],
)
def test_options_of_predict(tmp_path, options, said):
    assert refuse("predict", tmp_path, tmp_path, "--out", tmp_path / "out", *options).startswith(said)


def test_an_address_where_nothing_is_is_one_line(tmp_path):
    pytest.importorskip("ray", reason="Ray is not installed")
    (tmp_path / "a.json").write_text(
        '{"shapes": [{"label": "a", "points": [[1, 1], [9, 1], [9, 9]], "shape_type": "polygon"}], "imagePath": '
        '"a.png", "imageHeight": 20, "imageWidth": 20}'
    )
    said = refuse("encode", tmp_path, "--out", tmp_path.with_name("bank"), "--ray", "127.0.0.1:9", "--device", "cpu")
    assert said.startswith("--ray 127.0.0.1:9: cannot be connected to")
