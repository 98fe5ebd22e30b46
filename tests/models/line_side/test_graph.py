"""A model as one ONNX graph: every encoder family and classifier, any number of regions, and what is refused."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import save_file

import tiny_clip
from flawshot import FlawshotError
from flawshot.base.records import EncoderRecord
from flawshot.classifiers import make_classifier
from flawshot.encoders.alpha_clip import AlphaClipEncoder
from flawshot.encoders.base import BaseEncoder
from flawshot.encoders.flawshot_tiny import TinyEncoder
from flawshot.encoders.open_clip import OpenClipEncoder
from flawshot.encoders.timm import TimmEncoder
from flawshot.models.calibration import fit_novelty
from flawshot.models.line_side import graph as graph_module
from flawshot.models.line_side.examples import drawn_noise
from flawshot.models.line_side.graph import OUTPUTS, ModelGraph, export_graph, features_only, model_graph, save_graph
from flawshot.models.line_side.verifying import open_session
from helpers import REPOSITORY

VIEWS = 2


@pytest.fixture(scope="module", autouse=True)
def _tiny_models(tmp_path_factory):
    tiny_clip.register(tmp_path_factory.mktemp("configs"))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")

    def make(name):
        path = folder / f"{name}.safetensors"
        if not path.exists():
            save_file(tiny_clip.make(name).state_dict(), path)
        return str(path)

    return make


def timm_weights(folder, name):
    import timm

    torch.manual_seed(0)
    path = folder / f"{name}.safetensors"
    save_file(timm.create_model(name, pretrained=False).state_dict(), path)
    return str(path)


def encoder(case, weights, folder):
    family, name, options = case
    options = options | {"device": "cpu", "precision": "float32"}
    if family == "tiny":
        return TinyEncoder(**options)
    if family == "timm":
        return TimmEncoder(name, timm_weights(folder, name), preprocessing="imagenet", **options)
    kind = AlphaClipEncoder if family == "alpha" else OpenClipEncoder
    return kind(name, weights(name), **options)


def drawn_support(made):
    """Features of drawn noise, and labels for them."""
    features = []
    for batch in drawn_noise(VIEWS, made.side, 12):
        images, masks = (torch.from_numpy(part).flatten(0, 1) for part in (batch.images, batch.masks))
        features.append(made.encode(images, masks)[:, 0].reshape(-1, VIEWS, made.dim).numpy())
    return np.concatenate(features), np.arange(12) % 3


def fitted_graph(made):
    """The graph of an encoder, with the default classifier and a novelty fitted to features of drawn noise."""
    support, labels = drawn_support(made)
    fitted = make_classifier("default").fit(support, labels)
    return ModelGraph(made.network, fitted.network(), fit_novelty(support, labels).network()).eval(), fitted


def inputs(side, regions, seed=5):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (regions, VIEWS, side, side, 3), dtype=np.uint8)
    masks = (rng.random((regions, VIEWS, side, side)) > 0.6).astype(np.uint8) * 255
    masks[0] = 0  # a mask that misses its crop
    return images, masks


CASES = {
    "flawshot-tiny": ("tiny", "", {}),
    "flawshot-tiny, projection, without mask": ("tiny", "", {"layer": "projection", "region": "crop"}),
    "ViT, QuickGELU, trunk": ("clip", "tiny-vit-quickgelu", {"layer": "trunk", "activation": "quickgelu"}),
    "ViT, dimmed": ("clip", "tiny-vit", {"region": "masked", "activation": "gelu"}),
    "ViT, tokens inside the mask": (
        "clip",
        "tiny-vit",
        {"region": "mask-pool", "patch_tokens": 3, "activation": "gelu"},
    ),
    "CLIP's ResNet": ("clip", "tiny-resnet", {"activation": "gelu"}),
    "a tower of timm": ("clip", "tiny-timm", {"activation": "gelu"}),
    "AlphaCLIP": ("alpha", "tiny-vit", {}),
    "timm's ViT, tokens inside the mask": ("timm", "vit_tiny_patch16_224", {"side": 64, "region": "mask-pool"}),
    "timm's ConvNeXt": ("timm", "convnext_atto", {"region": "mask-pool"}),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_onnxruntime_answers_as_torch_for_any_number_of_regions(case, weights, tmp_path):
    made = encoder(case, weights, tmp_path)
    graph, _ = fitted_graph(made)
    export_graph(graph, tmp_path / "model.onnx", views=VIEWS, side=made.side)
    session = open_session(tmp_path / "model.onnx")
    assert [each.type for each in session.get_inputs()] == ["tensor(uint8)"] * 2
    assert {each.type for each in session.get_outputs()} == {"tensor(float)"}
    for regions in (1, 3):
        images, masks = inputs(made.side, regions)
        with torch.inference_mode():
            expected = graph(torch.from_numpy(images), torch.from_numpy(masks))
        found = session.run(list(OUTPUTS), {"images": images, "masks": masks})
        assert found[0].shape == (regions, 3)
        assert found[1].shape == (regions,)
        assert found[2].shape == (regions, VIEWS, made.dim)
        for name, one, other, within in zip(OUTPUTS, found, expected, (1e-3, 1e-2, 1e-2), strict=True):
            np.testing.assert_allclose(one, other.numpy(), atol=within * max(1, float(other.abs().max())), err_msg=name)


class Thumbnail(torch.nn.Module):
    """An encoder that is quickly exported: the crop in 4 x 4 px, darkened outside the mask."""

    side, dim = 16, 48

    def forward(self, images, masks):
        seen = images.permute(0, 3, 1, 2).float() / 255 * (1 + masks[:, None].float() / 255)
        return torch.nn.functional.avg_pool2d(seen, 4).flatten(1)[:, None]

    encode = forward

    @property
    def network(self):
        return self


CLASSIFIERS = (
    "default", "whitened-ridge", "matched-prototype", "zip-adapter", "zip-adapter-f", "prototype", "knn",
    "linear-probe", "gda", "proker",
)  # fmt: skip


class SideBySide(torch.nn.Module):
    """The probabilities of several classifiers, one after the other: exporting takes seconds, so once for all."""

    def __init__(self, networks):
        super().__init__()
        self.networks = torch.nn.ModuleList(networks)

    def forward(self, features):
        return torch.cat([network(features) for network in self.networks], dim=1)


def test_every_classifier_is_part_of_the_graph(tmp_path):
    made = Thumbnail()
    support, labels = drawn_support(made)
    fitted = {name: make_classifier(name).fit(support, labels) for name in CLASSIFIERS}
    every = SideBySide([each.network() for each in fitted.values()])
    graph = ModelGraph(made.network, every, fit_novelty(support, labels).network()).eval()
    export_graph(graph, tmp_path / "model.onnx", views=VIEWS, side=16)
    images, masks = inputs(16, 4)
    found = open_session(tmp_path / "model.onnx").run(list(OUTPUTS), {"images": images, "masks": masks})
    assert found[0].shape == (4, 3 * len(CLASSIFIERS))
    for number, (name, own) in enumerate(fitted.items()):
        probabilities = found[0][:, 3 * number : 3 * number + 3]
        np.testing.assert_allclose(probabilities, own.predict_proba(found[2]), atol=2e-4, err_msg=name)


def test_features_are_rounded_as_a_bank_s_are_and_the_part_behind_them_can_run_alone(tmp_path):
    graph, fitted = fitted_graph(Thumbnail())
    export_graph(graph, tmp_path / "model.onnx", views=VIEWS, side=16)
    images, masks = inputs(16, 4)
    given = {"images": images, "masks": masks}
    features = open_session(tmp_path / "model.onnx").run(["features"], given)[0]
    assert (features.astype(np.float16) == features).all()
    part = features_only(tmp_path / "model.onnx")
    assert "AveragePool" not in {node.op_type for node in onnx.load_from_string(part).graph.node}
    session = open_session(part)
    given["features"] = features[::-1].copy()
    found = session.run(["probabilities"], {each.name: given[each.name] for each in session.get_inputs()})[0]
    np.testing.assert_allclose(found, fitted.predict_proba(features[::-1]), atol=1e-5)


def test_a_graph_does_not_tell_where_it_was_made(tmp_path):
    graph, _ = fitted_graph(Thumbnail())
    export_graph(graph, tmp_path / "model.onnx", views=VIEWS, side=16)
    content = (tmp_path / "model.onnx").read_bytes()
    assert b".py" not in content
    assert str(REPOSITORY).encode() not in content


def test_large_weights_are_beside_the_graph(tmp_path, monkeypatch):
    monkeypatch.setattr(graph_module, "EXTERNAL_BYTES", 0)
    graph, _ = fitted_graph(Thumbnail())
    export_graph(graph, tmp_path / "model.onnx", views=VIEWS, side=16)
    given = dict(zip(("images", "masks"), inputs(16, 4), strict=True))
    found = open_session(tmp_path / "model.onnx").run(list(OUTPUTS), given)
    (tmp_path / "again").mkdir()
    save_graph(onnx.load(tmp_path / "model.onnx"), tmp_path / "again/model.onnx")
    for folder in (tmp_path, tmp_path / "again"):
        assert (folder / "model.onnx.data").stat().st_size > (folder / "model.onnx").stat().st_size
    again = open_session(tmp_path / "again/model.onnx").run(list(OUTPUTS), given)
    np.testing.assert_array_equal(again[0], found[0])


class Unknown(torch.nn.Module):
    """Computes what no ONNX operation does."""

    def forward(self, images, masks):  # noqa: ARG002
        return torch.linalg.eigvals(images[..., 0].float()).real[:, None]


def test_an_operation_that_onnx_does_not_have_is_one_line(tmp_path):
    graph = ModelGraph(Unknown(), torch.nn.Identity(), torch.nn.Identity())
    with pytest.raises(FlawshotError, match=r"model\.onnx: torch \S+ cannot express the encoder in ONNX") as caught:
        export_graph(graph, tmp_path / "model.onnx", views=VIEWS, side=8)
    assert "\n" not in str(caught.value)


class WithoutNetwork(BaseEncoder):
    """A package's encoder that only encodes."""

    family = "theirs"

    def __init__(self):
        self.record = EncoderRecord(
            family="theirs", name="their encoder", weights="w", weights_hash="0", precision="float32", tokens=("cls",)
        )

    @classmethod
    def from_options(cls, options):
        raise NotImplementedError

    @classmethod
    def from_record(cls, record, **options):
        raise NotImplementedError

    def encode(self, images, masks):
        raise NotImplementedError


def test_an_encoder_without_a_network_is_one_line(model, monkeypatch):
    monkeypatch.setitem(model.__dict__, "encoder", WithoutNetwork())
    with pytest.raises(FlawshotError, match=r"encoder: their encoder cannot be exported, .* its family theirs defines"):
        model_graph(model)


def test_missing_packages_are_named_with_the_remedy():
    source = (
        "import importlib.util as u; own = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'onnxscript' else own(name, *a)\n"
        "from flawshot.models.line_side.graph import check_packages\n"
        "check_packages()"
    )
    ended = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
    assert (
        'onnxscript is not installed, and an export to ONNX needs it; install it with pip install "flawshot[onnx]"'
        in ended.stderr
    )
