"""Package trained weights: ``python -m flawshot.synthetic.ship OUT --commit COMMIT``.

Copies ``flawshot-tiny.safetensors`` from a training's folder into the package, and writes the record beside it. The
weights must match the training's ``training.json``, and be small enough to be shipped.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import Any

from flawshot.base.errors import FlawshotError
from flawshot.base.store.files import Document, read_document, write_bytes, write_json
from flawshot.encoders.base import hash_weights
from flawshot.encoders.flawshot_tiny import FOLDER, TINY, TinyRecord
from flawshot.encoders.weights import read_weights

__all__ = ["LARGEST", "ship"]

# Bytes of weights that a package may carry.
LARGEST = 12_000_000


class _Training(Document):
    recipe: dict[str, int | float]
    weights_hash: str
    held_out: list[dict[str, Any]]


def ship(out: Path, commit: str, folder: Path = FOLDER) -> TinyRecord:
    """Copy a training's weights into the package and record their origin.

    Args:
        out: The training's folder.
        commit: The commit whose code trained them.
        folder: Where to copy them; existing files are replaced.

    Raises:
        FlawshotError: If the folder lacks the weights, or they are too large or not those that were trained.
    """
    path = out / f"{TINY}.safetensors"
    training = read_document(out / "training.json", _Training, "train with python -m flawshot.synthetic.train")
    if hash_weights(read_weights(path)) != training.weights_hash:
        raise FlawshotError(f"{path}: does not match training.json; train again")
    data = path.read_bytes()
    if len(data) > LARGEST:
        raise FlawshotError(f"{path}: has {len(data)} bytes; at most {LARGEST} are shipped")
    record = TinyRecord(
        format="flawshot-tiny",
        version=1,
        sha256=hashlib.sha256(data).hexdigest(),
        commit=commit,
        command="python -m flawshot.synthetic.train OUT",
        recipe=training.recipe,
    )
    write_bytes(folder / path.name, data, overwrite=True)
    write_json(folder / f"{TINY}.record.json", record.model_dump(), overwrite=True)
    return record


def main() -> None:
    """Package from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the training's folder")
    parser.add_argument("--commit", required=True, help="the commit whose code trained them")
    options = parser.parse_args()
    try:
        print(ship(options.out, options.commit).sha256)  # noqa: T201
    except FlawshotError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
