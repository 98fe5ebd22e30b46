"""Reduced precision of an exported graph: weights in half precision, or quantized; the classifier stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError
from flawshot.models.line_side.graph import EXTERNAL_BYTES, nodes_before, save_graph, silent

if TYPE_CHECKING:
    from pathlib import Path

    from flawshot.models.line_side.record import ExportPrecision

__all__ = ["reduce_precision"]

# Smaller tensors, such as biases, are not worth an operation.
LEAST_ELEMENTS = 1024
QUANTIZED = ("MatMul", "Gemm")


def reduce_precision(source: Path, target: Path, precision: ExportPrecision) -> None:
    """Write a graph with its encoder's weights in less precision.

    Args:
        source: The graph in float32.
        target: The file to write.
        precision: ``float16``: weights are stored in half precision, and computed with in float32, which every
            processor can; ``int8``: weights of matrix products are quantized, and these computed in int8.

    Raises:
        FlawshotError: If there is nothing to reduce.
    """
    import onnx  # noqa: PLC0415 - an optional package

    if precision == "float16":
        model = onnx.load(source)
        _halve(model)
        save_graph(model, target)
    else:
        _quantize(source, target)


def _halve(model: Any) -> None:
    """Store the encoder's float32 weights as float16, each followed by a cast."""
    import onnx  # noqa: PLC0415 - an optional package

    graph = model.graph
    encoder = nodes_before(graph, {"features"})
    own = {name for node in encoder for name in node.input}
    others = {name for node in graph.node if node not in encoder for name in node.input}
    casts, kept = [], []
    for tensor in graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        halves = values.astype(np.float16) if values.dtype == np.float32 else values
        fits = halves.dtype == np.float16 and bool(np.isfinite(halves).all())
        if not fits or values.size < LEAST_ELEMENTS or tensor.name not in own - others:
            kept.append(tensor)
            continue
        kept.append(onnx.numpy_helper.from_array(halves, f"{tensor.name}_half"))
        casts.append(onnx.helper.make_node("Cast", [f"{tensor.name}_half"], [tensor.name], to=onnx.TensorProto.FLOAT))
    if not casts:
        raise FlawshotError(f"{argument('precision', 'float16')}: the encoder has no weights to reduce; use float32")
    nodes = [*casts, *graph.node]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend(nodes)


def _quantize(source: Path, target: Path) -> None:
    import onnx  # noqa: PLC0415 - an optional package
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415

    model = onnx.load(source)
    encoder = nodes_before(model.graph, {"features"})
    weights = {tensor.name for tensor in model.graph.initializer}
    products = [node for node in encoder if node.op_type in QUANTIZED and weights & set(node.input)]
    if not products:
        raise FlawshotError(
            f"{argument('precision', 'int8')}: nothing to quantize, because the encoder has no matrix products with "
            "weights, only convolutions; use float16, which makes it smaller, or float32"
        )
    kept = [node for node in model.graph.node if node not in products]
    for number, node in enumerate(kept):
        node.name = node.name or f"kept_{number}"
    with silent():
        quantize_dynamic(
            model,
            target,
            op_types_to_quantize=list(QUANTIZED),
            per_channel=True,
            reduce_range=True,  # 7 bits do not overflow on processors without VNNI, so results are the same everywhere
            weight_type=QuantType.QInt8,
            nodes_to_exclude=[node.name for node in kept],
            use_external_data_format=model.ByteSize() > EXTERNAL_BYTES,
        )
