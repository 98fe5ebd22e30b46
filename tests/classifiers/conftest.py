"""What the tests of the field's methods share."""

from __future__ import annotations

import pytest

from text_task import draw_task


@pytest.fixture
def text_task():
    return draw_task()
