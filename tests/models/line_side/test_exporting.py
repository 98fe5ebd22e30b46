"""Exported folders: what is in them, how they are verified, what is refused, and that none is half written."""

from __future__ import annotations

import hashlib
import shutil
from importlib.resources import files

import numpy as np
import onnx
import pytest
from safetensors.torch import save_file

import flawshot
import tiny_clip
from flawshot import FlawshotError
from flawshot.classifiers.evidence_ridge import EvidenceRidge
from flawshot.classifiers.networks import LinearNetwork, Whitening
from flawshot.encoders.open_clip import OpenClipEncoder
from flawshot.models.fitting import fit_model
from flawshot.models.line_side.exporting import export_onnx, read_line_side
from flawshot.models.line_side.verifying import left_out_accuracy, open_session
from flawshot.models.record import read_record


@pytest.fixture(scope="module")
def vit(parts, tmp_path_factory):
    """A model with a tiny vision transformer, and its weights' file."""
    work = tmp_path_factory.mktemp("vit")
    (work / "configs").mkdir()
    tiny_clip.register(work / "configs")
    save_file(tiny_clip.make("tiny-vit").state_dict(), work / "vit.safetensors")
    encoder = OpenClipEncoder("tiny-vit", str(work / "vit.safetensors"), activation="gelu", device="cpu")
    scheme = flawshot.make_scheme("centre3", ["1.5x", "3x"], "reflect")
    bank = flawshot.encode_catalog(flawshot.Catalog.open(parts), encoder, scheme, work / "bank").bank
    return fit_model(bank, work / "model", source=str(work / "moved away")).path, str(work / "vit.safetensors")


def test_a_folder_says_where_it_comes_from_and_what_it_contains(model, exported, parts):
    record = read_line_side(exported.out)
    assert record == exported.record
    assert sorted(path.name for path in exported.out.iterdir()) == sorted([*record.files, "model.json"])
    for name, digest in record.files.items():
        assert hashlib.sha256((exported.out / name).read_bytes()).hexdigest() == digest
    for name in ("line_side.py", "line_side_regions.py"):
        packaged = files("flawshot.models.line_side").joinpath("stand-alone", name)
        assert (exported.out / name).read_bytes() == packaged.read_bytes()
    assert exported.size == sum(path.stat().st_size for path in exported.out.iterdir())
    assert record.model_hash == hashlib.sha256((model.path / "model.json").read_bytes()).hexdigest()
    fitted = read_record(model.path / "model.json")
    assert record.calibration == fitted.calibration
    assert record.categories == fitted.categories
    assert [(view.size, view.relative) for view in record.views] == [(1.5, True), (2.0, True), (3.0, True)]
    assert (record.side, record.interpolation, record.border, record.precision) == (96, "bicubic", "zero", "float32")
    assert record.verification.images == "support"
    assert record.verification.regions == record.verification.same_labels == len(flawshot.Catalog.open(parts))
    assert record.verification.largest_probability_difference < 1e-4
    assert onnx.load(exported.out / "model.onnx").opset_import[0].version >= 17


def test_without_the_images_noise_and_stored_features_are_compared(vit, tmp_path):
    path, weights = vit
    record = export_onnx(path, tmp_path / "line", pretrained=weights).record
    assert record.verification.images == "synthetic"
    assert record.verification.regions == record.verification.same_labels == 50 + record.calibration.instances
    assert record.border == "reflect"


@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_a_reduced_precision_is_smaller_and_says_what_it_costs(vit, parts, tmp_path, precision):
    path, weights = vit
    report = export_onnx(path, tmp_path / "line", data=parts, pretrained=weights, precision=precision, tolerance=0.2)
    cost = report.record.left_out
    assert report.record.precision == precision
    assert report.record.verification.limit is None
    assert report.record.verification.largest_feature_difference > 0
    assert cost.instances <= report.record.calibration.instances
    assert cost.reduced >= cost.float32 - cost.tolerance
    assert (tmp_path / "line/model.onnx").stat().st_size < 0.75 * cost.float32_bytes
    graph = onnx.load(tmp_path / "line/model.onnx").graph
    kinds = {onnx.TensorProto.DataType.Name(tensor.data_type) for tensor in graph.initializer}
    assert ("FLOAT16" if precision == "float16" else "INT8") in kinds
    # The classifier's matrices are as they were.
    dim = report.record.calibration and graph.output[2].type.tensor_type.shape.dim[2].dim_value
    whole = [list(tensor.dims) for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT]
    assert whole.count([dim, dim]) >= 2
    assert not [name for name in (tmp_path / "line").iterdir() if name.is_dir()]


def test_accuracy_lost_beyond_the_tolerance_is_refused(model, exported, parts, tmp_path):
    spoilt = onnx.load(exported.out / "model.onnx")
    rng = np.random.default_rng(0)
    for tensor in spoilt.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.ndim == 4:
            noise = rng.normal(size=values.shape).astype(np.float32) * values.std()
            tensor.CopyFrom(onnx.numpy_helper.from_array(noise, tensor.name))
    onnx.save(spoilt, tmp_path / "spoilt.onnx")
    with pytest.raises(
        FlawshotError, match=r"precision: lowers the leave-one-out accuracy on 28 examples from \d"
    ) as e:
        left_out_accuracy(model, exported.out / "model.onnx", tmp_path / "spoilt.onnx", parts, tolerance=0.01)
    assert "by more than the tolerance=0.01; use float32" in str(e.value)


def test_images_that_are_not_those_of_the_examples_are_refused(model, exported, parts, tmp_path):
    shutil.copytree(parts, tmp_path / "parts")
    for number, path in enumerate(sorted(tmp_path.rglob("*.png"))):
        from PIL import Image

        Image.fromarray(np.random.default_rng(number).integers(0, 256, (96, 96, 3), dtype=np.uint8)).save(path)
    graph = exported.out / "model.onnx"
    with pytest.raises(FlawshotError, match="its images are not those that the model was fitted to"):
        left_out_accuracy(model, graph, graph, tmp_path / "parts", tolerance=0.01)


class Forgetful(EvidenceRidge):
    """A network that forgets the temperature."""

    def _network(self):
        return LinearNetwork(self.mean_weights_, entry=Whitening(self.whitener_, self.view_centers_.mean(axis=0)))


def test_a_graph_that_answers_differently_is_an_error_and_nothing_is_left(model, parts, tmp_path, monkeypatch):
    monkeypatch.setattr(EvidenceRidge, "_network", Forgetful._network)
    with pytest.raises(FlawshotError, match=r"onnxruntime's probabilities differ from torch's by up to 0\.\d+, more"):
        export_onnx(model.path, tmp_path / "line", data=parts)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"precision": "float8"}, "precision='float8': must be one of float32, float16, int8"),
        ({"tolerance": -0.1}, "tolerance=-0.1: must be a share"),
        ({"tolerance": float("nan")}, "tolerance=nan: must be a share"),
        ({"data": "nowhere"}, "data='nowhere': is not a folder; name the folder of the images"),
        ({"data": "."}, r"data='.': wood/000.png: the image is missing; name the folder"),
        ({"pretrained": "x"}, "pretrained='x': flawshot-tiny has its own weights"),
    ],
)
def test_a_mistake_is_one_line_before_any_work(model, tmp_path, monkeypatch, options, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FlawshotError, match=said.replace("(", r"\(")):
        export_onnx(model.path, tmp_path / "line", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_reduced_precision_needs_the_images(vit, tmp_path):
    path, weights = vit
    with pytest.raises(
        FlawshotError, match="precision='float16': its effect on the accuracy is measured on the images"
    ):
        export_onnx(path, tmp_path / "line", pretrained=weights, precision="float16")


def test_convolutions_alone_are_not_quantized(model, parts, tmp_path):
    with pytest.raises(
        FlawshotError, match=r"precision='int8': nothing to quantize, .* only convolutions; use float16"
    ):
        export_onnx(model.path, tmp_path / "line", data=parts, precision="int8")
    assert list(tmp_path.iterdir()) == []


def test_only_an_unchanged_export_is_replaced(model, exported, parts, tmp_path):
    place = tmp_path / "line"
    shutil.copytree(exported.out, place)
    with pytest.raises(FlawshotError, match="exists; name another folder, move it away, or add overwrite=True"):
        export_onnx(model.path, place, data=parts)
    (place / "notes.txt").touch()
    with pytest.raises(FlawshotError, match=r"contains notes\.txt, which is not part of an exported model"):
        export_onnx(model.path, place, data=parts, overwrite=True)
    (place / "notes.txt").unlink()
    with pytest.raises(FlawshotError, match=r"model\.json: format: Input should be 'flawshot-line-side'"):
        export_onnx(model.path, model.path, data=parts, overwrite=True)
    (tmp_path / "file").touch()
    with pytest.raises(FlawshotError, match="is not an exported model's folder"):
        export_onnx(model.path, tmp_path / "file", data=parts, overwrite=True)
    export_onnx(model.path, place, data=parts, overwrite=True)
    assert open_session(place / "model.onnx").get_outputs()[0].name == "probabilities"
