"""Small sources for imports."""

from __future__ import annotations

import json

import pytest
from PIL import Image


@pytest.fixture
def make_source(tmp_path):
    """Writes files (text, bytes, or what becomes JSON) and gray images of 40 x 30 px to a folder."""

    def make(files=(), images=(), name="src", size=(40, 30)):
        root = tmp_path / name
        root.mkdir(exist_ok=True)
        for place, content in dict(files).items():
            path = root / place
            path.parent.mkdir(parents=True, exist_ok=True)
            text = content if isinstance(content, str | bytes) else json.dumps(content)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        for place in images:
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", size).save(root / place)
        return root

    return make
