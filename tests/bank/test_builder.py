"""Encoding into a bank: the right numbers, resumed after any interruption, and only what is new."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

import tiny_clip
from flawshot import Catalog, FeatureBank, FeatureBankError, FlawshotError, import_mvtec_fs
from flawshot.bank import blocks
from flawshot.bank.builder import encode_catalog
from flawshot.bank.encoding import encode_rows
from flawshot.encoders.flawshot_tiny import TinyEncoder
from flawshot.encoders.open_clip import OpenClipEncoder
from flawshot.labelme.images import read_image
from flawshot.regions.crops import crop_views
from flawshot.regions.views import extent_of, make_scheme

SCHEME = make_scheme("centre3")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    tiny_clip.register(folder)
    path = folder / "tiny.pt"
    torch.save(tiny_clip.make("tiny-vit").state_dict(), path)
    return path


@pytest.fixture(scope="module")
def encoder(weights):
    return OpenClipEncoder("tiny-vit", str(weights), patch_tokens=1, device="cpu")


@pytest.fixture
def data(pytestconfig, tmp_path):
    import_mvtec_fs(pytestconfig.rootpath / "tests/data/bracket", tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def counted(encoder, monkeypatch):
    """How many crops pass the encoder."""
    seen = []
    encode = encoder.encode
    monkeypatch.setattr(encoder, "encode", lambda images, masks: (seen.append(len(images)), encode(images, masks))[1])
    return seen


@pytest.mark.parametrize(("batch_size", "workers"), [(1, 1), (7, 2), (64, 3), (1000, 1)])
def test_every_row_has_the_features_of_its_own_views(data, encoder, tmp_path, batch_size, workers):
    """Batches cross the borders of instances; each row must still be what its own crops give alone."""
    catalog = Catalog.open(data)
    report = encode_catalog(catalog, encoder, SCHEME, tmp_path / "bank", batch_size=batch_size, workers=workers)
    assert (report.encoded, report.kept, report.left_out) == (48, 0, ())
    assert report.bank.manifest.shape == (48, 3, 2, 16)
    for row in (0, 5, 24, 47):
        instance = catalog[row]
        crops = crop_views(
            read_image(data / instance.image, ""), instance.region(), SCHEME, encoder.side, extent=extent_of(instance)
        )
        alone = encoder.encode(torch.from_numpy(crops.images), torch.from_numpy(crops.masks)).numpy()
        for token in (0, 1):
            got = report.bank.features([instance.id], token=token)[0]
            np.testing.assert_allclose(got, alone[:, token], atol=4e-3)  # float16
    assert not list(tmp_path.glob(".*"))


def test_rows_come_out_in_order_each_with_its_own_features(data, encoder):
    """Where only some are asked for, and where an image in between cannot be used."""
    (data / "bracket/testing/crack/003.jpg").unlink()
    catalog = Catalog.open(data)
    asked = range(1, len(catalog), 2)
    parts = list(encode_rows(catalog, asked, encoder, SCHEME, batch_size=7, workers=2))
    assert sorted(row for part in parts for row in part.rows) == list(asked)
    done = [part for part in parts if part.features is not None]
    rows = [row for part in done for row in part.rows]
    assert rows == [row for row in asked if row != 3]
    for row, part in zip(rows[::5], done[::5], strict=True):
        instance = catalog[row]
        crops = crop_views(
            read_image(data / instance.image, ""), instance.region(), SCHEME, encoder.side, extent=extent_of(instance)
        )
        alone = encoder.encode(torch.from_numpy(crops.images), torch.from_numpy(crops.masks)).numpy()
        np.testing.assert_allclose(part.features[0], alone, atol=4e-3)  # float16


@pytest.mark.parametrize("batch_size", [0, 1, 5])
def test_what_several_threads_encode_side_by_side_is_what_one_does(data, encoder, tmp_path, batch_size):
    catalog, before = Catalog.open(data), torch.get_num_threads()
    rows = {}
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            bank = encode_catalog(catalog, encoder, SCHEME, tmp_path / str(threads), batch_size=batch_size).bank
            rows[threads] = bank.rows(range(len(catalog))).astype(np.float32)
            with ThreadPoolExecutor(1) as later:
                in_new_thread = later.submit(torch.get_num_threads).result()
            assert in_new_thread == torch.get_num_threads() == threads  # the process's own number is as it was
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(rows[3], rows[1])


def test_a_second_call_encodes_nothing_and_a_change_encodes_only_itself(data, encoder, counted, tmp_path):
    out = tmp_path / "bank"
    before = encode_catalog(Catalog.open(data), encoder, SCHEME, out).bank
    old = before.rows(range(48)).copy()
    counted.clear()
    report = encode_catalog(Catalog.open(data), encoder, SCHEME, out)
    assert (report.encoded, report.kept, sum(counted)) == (0, 48, 0)

    path = data / "bracket/training/dent/001.json"
    document = json.loads(path.read_text())
    document["shapes"][0]["points"][0][0] += 30
    document["shapes"].append(document["shapes"][0] | {"label": "stain"})
    path.write_text(json.dumps(document))
    report = encode_catalog(Catalog.open(data), encoder, SCHEME, out)
    assert (report.encoded, report.kept, sum(counted)) == (2, 47, 6)
    ids = before.catalog.column("id")
    for row, identifier in enumerate(ids):
        same = np.array_equal(report.bank.rows([report.bank.catalog.row_of[identifier]])[0], old[row])
        assert same == (identifier != "bracket/training/dent/001.json#0")

    counted.clear()
    image = data / "bracket/testing/crack/000.jpg"
    Image.fromarray(255 - np.asarray(Image.open(image))).save(image)
    assert encode_catalog(Catalog.open(data), encoder, SCHEME, out).encoded == 1  # another picture of the same name
    path.unlink()
    report = encode_catalog(Catalog.open(data), encoder, SCHEME, out)
    assert (report.encoded, report.kept) == (0, 47)


def test_a_bank_of_other_numbers_is_never_mixed_in(data, encoder, weights, tmp_path):
    out = tmp_path / "bank"
    encode_catalog(Catalog.open(data), encoder, SCHEME, out)
    with pytest.raises(FeatureBankError, match=r"views\.scheme: is 'centre3', not 'none'"):
        encode_catalog(Catalog.open(data), encoder, make_scheme("none"), out)
    with pytest.raises(FeatureBankError, match=r"views\.border: is 'zero', not 'reflect'"):
        encode_catalog(Catalog.open(data), encoder, make_scheme("centre3", border="reflect"), out)
    trunk = OpenClipEncoder("tiny-vit", str(weights), layer="trunk", patch_tokens=1, device="cpu")
    with pytest.raises(
        FeatureBankError, match=r"encoder\.options\.layer: is 'projection', not 'trunk'; name another folder"
    ):
        encode_catalog(Catalog.open(data), trunk, SCHEME, out)
    report = encode_catalog(Catalog.open(data), trunk, SCHEME, out, overwrite=True)
    assert (report.encoded, report.bank.manifest.shape[-1]) == (48, 64)


def test_an_image_that_cannot_be_used_is_named_and_its_instances_left_out(data, encoder, counted, tmp_path):
    broken = data / "bracket/testing/crack/004.jpg"  # two instances
    broken.write_bytes(broken.read_bytes()[:500])
    (data / "bracket/training/dent/000.jpg").unlink()
    Image.new("L", (9, 9)).save(data / "bracket/training/stain/002.jpg")  # not of the size that its annotation states
    out = tmp_path / "bank"
    report = encode_catalog(Catalog.open(data), encoder, SCHEME, out)
    assert report.encoded == len(report.bank.catalog) == 44
    reasons = {entry.image: (entry.reason, len(entry.instances)) for entry in report.left_out}
    names = ("testing/crack/004", "training/dent/000", "training/stain/002")
    assert set(reasons) == {f"bracket/{name}.jpg" for name in names}
    assert reasons["bracket/testing/crack/004.jpg"][1] == 2
    assert "is missing" in reasons["bracket/training/dent/000.jpg"][0]
    assert "is 9 x 9 px" in reasons["bracket/training/stain/002.jpg"][0]
    assert report.bank.manifest.left_out == report.left_out
    counted.clear()
    again = encode_catalog(Catalog.open(data), encoder, SCHEME, out)
    assert (again.encoded, sum(counted), again.left_out) == (0, 0, report.left_out)
    with pytest.raises(FlawshotError, match=r"(crack/004|dent/000|stain/002)\.jpg"):
        encode_catalog(Catalog.open(data), encoder, SCHEME, tmp_path / "strict", strict=True)
    assert not (tmp_path / "strict").exists()


def test_an_embedded_image_is_encoded_too(data, encoder, tmp_path):
    import base64

    path = data / "bracket/training/dent/000.json"
    image = path.with_suffix(".jpg")
    plain = encode_catalog(Catalog.open(data), encoder, SCHEME, tmp_path / "a").bank
    document = json.loads(path.read_text())
    document["imageData"] = base64.b64encode(image.read_bytes()).decode()
    path.write_text(json.dumps(document))
    image.unlink()
    embedded = encode_catalog(Catalog.open(data), encoder, SCHEME, tmp_path / "b").bank
    np.testing.assert_array_equal(embedded.rows(range(48)), plain.rows(range(48)))


SCRIPT = """
import sys, time
from flawshot import Catalog
from flawshot.bank import blocks, builder
from flawshot.base.store import unfinished
from flawshot.encoders.flawshot_tiny import TinyEncoder
from flawshot.regions.views import make_scheme
unfinished.CHECKPOINT_SECONDS = 0.05
blocks.CALLS_PER_BLOCK = 1
encoder = TinyEncoder(device="cpu")
encode = encoder.encode
def slowly(images, masks):
    time.sleep(float(sys.argv[3]))
    return encode(images, masks)
encoder.encode = slowly
scheme = make_scheme("centre3")
report = builder.encode_catalog(Catalog.open(sys.argv[1]), encoder, scheme, sys.argv[2], batch_size=5)
print(report.encoded, report.kept)
"""


def start(data, out, pause, **options):
    command = [sys.executable, "-c", SCRIPT, *map(str, (data, out, pause))]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def stored(out):
    state = out.with_name(f".{out.name}.unfinished") / "state.json"
    return json.loads(state.read_text())["stored"] if state.is_file() else 0


def test_killed_again_and_again_it_goes_on_where_it_was(data, tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "CALLS_PER_BLOCK", 1)
    out = tmp_path / "bank"
    reached = [0]
    for _ in range(4):
        process = start(data, out, 0.12)
        deadline = time.monotonic() + 60
        while stored(out) < min(48, reached[-1] + 6) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert not out.exists()  # never a bank that reads as whole but is not
        reached.append(stored(out))
    assert reached == sorted(reached)
    assert reached[-1] >= 20
    done = start(data, out, 0)
    output, errors = done.communicate()
    assert done.returncode == 0, errors
    encoded, kept = map(int, output.split())
    assert (encoded + kept, kept >= reached[-1]) == (48, True)
    encoder = TinyEncoder(device="cpu")
    whole = encode_catalog(Catalog.open(data), encoder, SCHEME, tmp_path / "whole", batch_size=5).bank
    np.testing.assert_array_equal(FeatureBank.open(out).rows(range(48)), whole.rows(range(48)))
    assert not out.with_name(".bank.unfinished").exists()


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no limit on file sizes here")
def test_a_full_disk_is_one_line_and_the_next_call_goes_on(data, tmp_path):
    out = tmp_path / "bank"

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))

    full = start(data, out, 0.06, preexec_fn=limit)
    _, errors = full.communicate()
    assert full.returncode != 0
    last = errors.strip().splitlines()[-1]
    assert "cannot be written" in last, errors
    assert "run the same command again" in last or "features" in last
    assert not out.exists()
    done = start(data, out, 0)
    output, errors = done.communicate()
    assert done.returncode == 0, errors
    assert sum(map(int, output.split())) == 48
    FeatureBank.open(out)


def test_a_foreign_unfinished_folder_is_begun_anew(data, encoder, tmp_path):
    folder = tmp_path / ".bank.unfinished"
    folder.mkdir()
    (folder / "features.raw").write_bytes(os.urandom(5000))
    (folder / "state.json").write_text("{")
    report = encode_catalog(Catalog.open(data), encoder, SCHEME, tmp_path / "bank")
    assert report.encoded == 48


def test_what_is_no_bank_is_never_replaced(data, encoder, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "only.jpg").write_bytes(b"x")
    for overwrite in (False, True):
        with pytest.raises(FeatureBankError, match=r"only\.jpg"):
            encode_catalog(Catalog.open(data), encoder, SCHEME, photos, overwrite=overwrite)
    assert (photos / "only.jpg").read_bytes() == b"x"


def test_a_left_out_image_that_gains_a_shape_or_is_mended_brings_no_wrong_features(data, encoder, tmp_path):
    out, broken = tmp_path / "bank", data / "bracket/training/dent/000.jpg"
    whole = broken.read_bytes()
    broken.write_bytes(b"junk")
    assert encode_catalog(Catalog.open(data), encoder, SCHEME, out).left_out[0].instances == (
        "bracket/training/dent/000.json#0",
    )
    for name in ("crack/000", "dent/000"):
        path = data / f"bracket/training/{name}.json"
        document = json.loads(path.read_text())
        document["shapes"].append(document["shapes"][0])
        path.write_text(json.dumps(document))
    report = encode_catalog(Catalog.open(data), encoder, SCHEME, out)
    assert (report.encoded, len(report.bank.catalog)) == (1, 48)
    assert len(report.left_out[0].instances) == 2
    with pytest.raises(FlawshotError, match="dent/000"):
        encode_catalog(Catalog.open(data), encoder, SCHEME, out, strict=True)
    broken.write_bytes(whole)
    mended = encode_catalog(Catalog.open(data), encoder, SCHEME, out)
    assert (mended.encoded, mended.left_out, len(mended.bank.catalog)) == (2, (), 50)
    anew = encode_catalog(Catalog.open(data), encoder, SCHEME, tmp_path / "anew").bank
    np.testing.assert_allclose(mended.bank.rows(range(50)), anew.rows(range(50)), atol=4e-3)


def test_the_activation_is_part_of_what_a_bank_is(data, weights, tmp_path):
    gelu, quick = (OpenClipEncoder("tiny-vit", str(weights), activation=a, device="cpu") for a in ("gelu", "quickgelu"))
    encode_catalog(Catalog.open(data), gelu, SCHEME, tmp_path / "bank")
    with pytest.raises(FeatureBankError, match=r"encoder\.options\.activation: is 'gelu', not 'quickgelu'"):
        encode_catalog(Catalog.open(data), quick, SCHEME, tmp_path / "bank")


def test_two_encoders_of_one_name_are_told_apart_and_one_of_two_names_is_not(data, weights, tmp_path):
    """The name and the file's name say nothing: family, options, hash and tokens do."""
    out, renamed = tmp_path / "bank", tmp_path / "renamed.pt"
    renamed.write_bytes(weights.read_bytes())
    first, same, other = (OpenClipEncoder("tiny-vit", str(path), device="cpu") for path in (weights, renamed, weights))
    encode_catalog(Catalog.open(data), first, SCHEME, out)
    same.record = same.record.model_copy(update={"name": "mine"})
    assert encode_catalog(Catalog.open(data), same, SCHEME, out).encoded == 0
    own = other.record
    for field, changed in {
        "options.side": {"options": own.options | {"side": 47}},
        "options.blur": {"options": own.options | {"blur": 0.5}},
        "family": {"family": "theirs"},
        "weights_hash": {"weights_hash": "0" * 64},
        "precision": {"precision": "float16"},
    }.items():
        other.record = own.model_copy(update=changed)
        with pytest.raises(
            FeatureBankError, match=rf"bank/manifest\.json: encoder\.{field}: is .*, not .*; name another"
        ):
            encode_catalog(Catalog.open(data), other, SCHEME, out)
