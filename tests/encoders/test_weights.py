"""Weights files: whatever is wrong with one is said in one line, and nothing in it is run."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import struct
import zipfile

import pytest
import torch
from safetensors.torch import save

from flawshot.base.errors import FlawshotError
from flawshot.encoders.weights import read_weights

# Of each kind of file; the suite tries few, and FLAWSHOT_MUTATIONS=1000 many.
MUTATIONS = int(os.environ.get("FLAWSHOT_MUTATIONS", "60"))
STATE = {"visual.proj": torch.arange(12.0).reshape(3, 4), "bias": torch.zeros(2, dtype=torch.float16)}


def saved(value, **options):
    opened = io.BytesIO()
    torch.save(value, opened, **options)
    return opened.getvalue()


def archived(entries, compression=zipfile.ZIP_STORED):
    opened = io.BytesIO()
    with zipfile.ZipFile(opened, "w", compression) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return opened.getvalue()


PROMISES = json.dumps({"a": {"dtype": "F32", "shape": [10**9, 10**6], "data_offsets": [0, 4]}}).encode()
KINDS = {
    "zip.pt": saved(STATE),
    "legacy.pt": saved(STATE, _use_new_zipfile_serialization=False),
    "plain.pth": pickle.dumps({"a": [1, 2, 3]}),
    "tensors.safetensors": save(STATE),
}


def outcome(path):
    """The tensors, or the one line that says why there are none."""
    try:
        return read_weights(path)
    except FlawshotError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 500 + len(str(path))
        assert str(error).startswith("pretrained=")
        return str(error)


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_are_one_line(tmp_path, kind):
    draw, whole, path = random.Random(kind), KINDS[kind], tmp_path / kind
    for _ in range(MUTATIONS):
        data = bytearray(whole)
        match draw.randrange(4):
            case 0:
                del data[draw.randrange(len(data)) :]
            case 1:
                place = draw.randrange(len(data))
                data[place : place + draw.randrange(40)] = draw.randbytes(draw.randrange(40))
            case _:
                ends = (0, len(data)) if draw.random() < 0.5 else (max(0, len(data) - 400), len(data))
                for _ in range(draw.randrange(1, 6)):
                    data[draw.randrange(*ends) % len(data)] = draw.randrange(256)
        path.write_bytes(data)
        outcome(path)


NO_WEIGHTS = [
    ("empty.pt", b"", "cannot be read"),
    ("text.pt", b"Git LFS" * 9, "cannot be read"),
    ("empty.safetensors", b"", "is not a whole safetensors file"),
    ("long.safetensors", struct.pack("<Q", 2**62) + b"{}", "is not a whole safetensors file"),
    (
        "promises.safetensors",
        struct.pack("<Q", len(PROMISES)) + PROMISES,
        "is not a whole safetensors file",
    ),
    ("script.pt", archived({"a/code/x.py": b"", "a/constants.pkl": b""}), "TorchScript archive"),
    ("bomb.pt", archived({"a/data.pkl": bytes(10**7)}, zipfile.ZIP_DEFLATED), "declares more than it contains"),
    ("wide.pt", saved({"a": torch.zeros(1).expand(10**6, 10**3)}), "declares more numbers than the file contains"),
    ("nan.pt", saved({"a": torch.tensor([1, float("nan")])}), "not finite"),
    ("nan.safetensors", save({"a": torch.tensor([1, float("inf")])}), "not finite"),
    ("meta.pt", saved({"a": torch.zeros(3, device="meta")}), "plain tensor"),
    ("sparse.pt", saved({"a": torch.eye(3).to_sparse()}), "plain tensor"),
    ("nothing.pt", saved({}), "must contain a state dictionary"),
    ("numbers.pt", saved({"a": 3}), "must contain a state dictionary"),
]


# Named, because some of the bytes differ from one process to the next.
@pytest.mark.parametrize(("name", "data", "said"), NO_WEIGHTS, ids=[row[0] for row in NO_WEIGHTS])
def test_what_is_no_weights_is_said(tmp_path, name, data, said):
    (tmp_path / name).write_bytes(data)
    assert said in outcome(tmp_path / name)


def test_places_that_are_no_files_are_said(tmp_path):
    assert "no such file" in outcome(tmp_path)
    assert "no such file" in outcome(tmp_path / "none.pt")
    assert "cannot be read" in outcome(tmp_path / ("long" * 100))


def test_weights_saved_in_any_of_the_forms_are_the_same(tmp_path):
    forms = {
        **{name: data for name, data in KINDS.items() if name != "plain.pth"},
        "inside.pt": saved({"state_dict": {f"module.{name}": value for name, value in STATE.items()}, "epoch": 3}),
    }
    for name, data in forms.items():
        (tmp_path / name).write_bytes(data)
        found = read_weights(tmp_path / name)
        assert {key: value.tolist() for key, value in found.items()} == {k: v.tolist() for k, v in STATE.items()}
