"""What ``flawshot fit --find`` prints of a locator's threshold."""

from __future__ import annotations

import pytest

from flawshot.cli.locator_groups import needed_units, print_expected
from flawshot.encoders.flawshot_tiny import TinyEncoder
from flawshot.locating.fitting import peaks_threshold
from flawshot.locating.record import LocatorRecord


@pytest.mark.parametrize("alarms", [0.5, 0.4, 0.35, 0.3, 0.25, 0.2, 0.15, 0.12, 0.1, 0.07, 0.05, 0.03, 0.01, 0.001])
def test_so_many_good_images_would_do_and_not_one_fewer(alarms):
    needed = needed_units(alarms)
    peaks = [(str(number), True, float(number)) for number in range(needed)]
    assert peaks_threshold(peaks, alarms).promised <= alarms + 1e-9
    assert needed == 1 or peaks_threshold(peaks[1:], alarms).promised > alarms


def said(capsys, **values):
    record = LocatorRecord.model_construct(
        encoder=TinyEncoder(device="cpu").record, categories=("a",), labeled=3, expected={}, **values
    )
    print_expected(record)
    return capsys.readouterr().out


def test_groups_are_said_to_be_groups(capsys):
    own = {"good": 12, "alarms": 0.3, "source": "good", "images": 12}
    assert "from 12 good images that were held out; about 8% of good images will" in said(
        capsys, **own, units=12, promised=1 / 13
    )
    text = said(capsys, **own, units=2, promised=1 / 3)
    assert "the highest peak on 2 groups of good images; about 33% of groups of good images will be alarmed" in text
    assert "more than the 30% asked for; 3 groups of good images would do" in text
    text = said(capsys, **(own | {"source": "background", "good": 0, "images": 5}), units=2, promised=1 / 3)
    assert "the highest peak on the backgrounds of 2 groups" in text
