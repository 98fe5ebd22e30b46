"""``flawshot warm``, as a user runs it."""

from __future__ import annotations

import flawshot
from commands import refuse, succeed


def test_the_command_prints_both_times(tmp_path):
    flawshot.draw_data_set(tmp_path / "parts", categories=2, images=8, side=96, surface="wood", workers=1, seed=3)
    model = flawshot.fit_model(flawshot.encode(tmp_path / "parts", tmp_path / "bank"), tmp_path / "model").path
    said = succeed("warm", model, "--device", "cpu").output
    assert said.startswith(f"{model}: first prediction ")
    assert said.endswith(" ms; on cpu\n")
    assert " s, with loading; the next " in said


def test_what_is_missing_is_said(tmp_path):
    assert refuse("warm", tmp_path / "none").startswith(f"{tmp_path / 'none'}")
