"""A model as one graph, from crops and masks to probabilities, novelty and features; and its export to ONNX."""

from __future__ import annotations

import importlib.util
import io
import logging
import re
import warnings
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import nn

from flawshot.base.errors import FlawshotError
from flawshot.base.store.files import one_line

if TYPE_CHECKING:
    from collections.abc import Container, Iterator
    from pathlib import Path

    from flawshot.models.model import Model

__all__ = [
    "EXTERNAL_BYTES",
    "INPUTS",
    "OUTPUTS",
    "ModelGraph",
    "check_packages",
    "export_graph",
    "export_network",
    "features_only",
    "model_graph",
    "nodes_before",
    "save_graph",
    "silent",
]

INPUTS: Final = ("images", "masks")
OUTPUTS: Final = ("probabilities", "novelty", "features")
PACKAGES: Final = ("onnx", "onnxscript", "onnxruntime")
COLORS: Final = re.compile(r"\x1b\[[0-9;]*m")
# Protocol buffers, and thus an ONNX file, end at 2 GiB; larger weights are written beside it.
EXTERNAL_BYTES: Final = 2_000_000_000


class ModelGraph(nn.Module):
    """A model's whole computation.

    Args:
        encoder: Tokens of crops; see :attr:`flawshot.BaseEncoder.network`.
        classifier: Probabilities of features; see :meth:`flawshot.FewShotClassifier.network`.
        novelty: Novelty of features.
    """

    def __init__(self, encoder: nn.Module, classifier: nn.Module, novelty: nn.Module) -> None:
        super().__init__()
        self.encoder, self.classifier, self.novelty = encoder, classifier, novelty

    def forward(self, images: torch.Tensor, masks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Predict regions.

        Args:
            images: uint8 ``[regions, views, side, side, 3]``.
            masks: uint8 ``[regions, views, side, side]``, 255 inside, 0 outside.

        Returns:
            Probabilities float32 ``[regions, categories]``, novelty float32 ``[regions]``, and the features of the
            first token, float32 ``[regions, views, dim]``, rounded to float16 as in a feature bank.
        """
        tokens = self.encoder(images.flatten(0, 1), masks.flatten(0, 1))
        features = tokens[:, 0].half().float().unflatten(0, (-1, images.shape[1]))
        return self.classifier(features), self.novelty(features), features


def model_graph(model: Model) -> ModelGraph:
    """The graph of a model that was loaded for the CPU.

    Raises:
        FlawshotError: If its encoder or its classifier has no form as a network.
    """
    encoder = model.encoder
    if encoder.network is None:
        raise FlawshotError(
            f"{model.path}: encoder: {encoder.record.name} cannot be exported, because its family "
            f"{encoder.record.family} defines no network; fit a model with another encoder"
        )
    return ModelGraph(encoder.network, model.classifier.network(), model.novelty.network()).eval()


def check_packages() -> None:
    """Refuse to start without the packages that an export needs.

    Raises:
        FlawshotError: With the remedy.
    """
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise FlawshotError(
            f"{missing[0]} is not installed, and an export to ONNX needs it; install it with pip install "
            '"flawshot[onnx]"'
        )


def export_graph(graph: ModelGraph, path: Path, *, views: int, side: int) -> None:
    """Write a graph as ONNX; the number of regions is free, views and side are fixed.

    Args:
        graph: The graph, on the CPU.
        path: The file. Weights of more than 2 GB are written beside it, as ``model.onnx.data``.
        views: Number of views of a region.
        side: Side of a crop, px.

    Raises:
        FlawshotError: If ONNX cannot express one of its operations.
    """
    _export(graph, path, (views, side), "regions", OUTPUTS)


def export_network(network: nn.Module, path: Path, *, side: int) -> None:
    """Write an encoder's network as ONNX, from any number of crops to their tokens.

    Args:
        network: The network, on the CPU; see :attr:`flawshot.BaseEncoder.network`.
        path: The file, as for :func:`export_graph`.
        side: Side of a crop, px.

    Raises:
        FlawshotError: If ONNX cannot express one of its operations.
    """
    _export(network, path, (side,), "crops", ("tokens",))


def _export(module: nn.Module, path: Path, shape: tuple[int, ...], counted: str, outputs: tuple[str, ...]) -> None:
    """Write a module of crops and masks; their first dimension is free, and each has these others."""
    images = torch.zeros(2, *shape, shape[-1], 3, dtype=torch.uint8)
    masks = torch.zeros(2, *shape, shape[-1], dtype=torch.uint8)
    count = torch.export.Dim(counted, min=1)
    try:
        with silent(), torch.inference_mode():
            program: Any = torch.onnx.export(
                module,
                (images, masks),
                dynamo=True,
                input_names=list(INPUTS),
                output_names=list(outputs),
                dynamic_shapes={"images": {0: count}, "masks": {0: count}},
                optimize=True,
                verbose=False,
            )
            _forget_origin(program.model)
            size = sum(tensor.numel() * tensor.element_size() for tensor in module.state_dict().values())
            program.save(str(path), external_data=size > EXTERNAL_BYTES)
    except Exception as error:  # the exporter raises many kinds, and reports of many lines
        raise FlawshotError(
            f"{path.name}: torch {torch.__version__} cannot express the encoder in ONNX ({_cause(error)}); use a model "
            "with another encoder"
        ) from error


def _cause(error: BaseException) -> str:
    """What an error of the exporter goes back to, in a few words without the colors of a terminal."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = COLORS.sub("", str(error)).strip().partition("\n")[0]
    return f"{type(error).__name__}: {one_line(text)[:150]}"


def _forget_origin(model: Any) -> None:
    """Remove what torch notes about a graph's origin: modules, lines of code and paths on this computer."""
    model.metadata_props.clear()
    model.graph.metadata_props.clear()
    for node in model.graph.all_nodes():
        node.metadata_props.clear()
        node.doc_string = None
        for value in node.outputs:
            value.metadata_props.clear()
    for value in (*model.graph.inputs, *model.graph.initializers.values()):
        value.metadata_props.clear()


def features_only(path: Path) -> bytes:
    """The part of an exported graph after the encoder, as ONNX: from features to probabilities and novelty.

    It also has the whole graph's inputs, as far as it takes the number of regions from them.
    """
    import onnx  # noqa: PLC0415 - an optional package

    whole = onnx.load(path)
    kept = nodes_before(whole.graph, set(OUTPUTS[:2]), until={"features"})
    used = {name for node in kept for name in node.input}
    views, dim = whole.graph.output[2].type.tensor_type.shape.dim[1:]
    entry = onnx.helper.make_tensor_value_info(
        "features", onnx.TensorProto.FLOAT, ["regions", views.dim_value, dim.dim_value]
    )
    constants = [each for each in whole.graph.initializer if each.name in used]
    entries = [entry, *(each for each in whole.graph.input if each.name in used)]
    part = onnx.helper.make_graph(kept, "features_only", entries, list(whole.graph.output)[:2], constants)
    made: bytes = onnx.helper.make_model(
        part, opset_imports=whole.opset_import, ir_version=whole.ir_version
    ).SerializeToString()
    return made


def nodes_before(graph: Any, outputs: set[str], *, until: Container[str] = ()) -> list[Any]:
    """The nodes of an ONNX graph that some values depend on, in order.

    Args:
        graph: The graph.
        outputs: Names of the values.
        until: Names of values whose own nodes do not count.
    """
    wanted, kept = set(outputs), []
    for node in reversed(graph.node):
        if any(name in wanted and name not in until for name in node.output):
            wanted.update(node.input)
            kept.append(node)
    return kept[::-1]


def save_graph(model: Any, path: Path) -> None:
    """Write an ONNX model; weights of more than 2 GB go beside it."""
    import onnx  # noqa: PLC0415 - an optional package

    external = model.ByteSize() > EXTERNAL_BYTES
    onnx.save(model, path, save_as_external_data=external, location=f"{path.name}.data" if external else None)


@contextmanager
def silent() -> Iterator[None]:
    """Hide what torch's exporter says of itself: progress, deprecations, and notes on its passes."""
    loggers = [logging.getLogger(name) for name in (None, "torch", "torch.onnx", "onnxscript", "onnx_ir")]
    levels = [each.level for each in loggers]
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            for each in loggers:
                each.setLevel(logging.ERROR)
            yield
        finally:
            for each, level in zip(loggers, levels, strict=True):
                each.setLevel(level)
