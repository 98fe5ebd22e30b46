"""What ``import flawshot`` offers."""

from __future__ import annotations

import inspect

import pytest

import flawshot


def test_every_public_name_is_there_and_documented():
    assert sorted(flawshot.__all__) == sorted(set(flawshot.__all__))
    assert set(flawshot.__all__) == set(flawshot._HOMES) | {"__version__"}
    for name in flawshot.__all__:
        value = getattr(flawshot, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__doc__, name
    assert dir(flawshot) == sorted(flawshot.__all__)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = flawshot.nothing
