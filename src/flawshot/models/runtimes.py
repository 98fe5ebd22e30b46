"""An encoder in the runtimes of this machine: torch, torch compiled, onnxruntime and OpenVINO."""

from __future__ import annotations

import copy
import importlib
import importlib.util
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from flawshot.bank.encoding import crops_per_call
from flawshot.base.errors import FlawshotError
from flawshot.base.store.files import one_line
from flawshot.models.line_side.graph import check_packages, export_network

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flawshot.base.records import EncoderRecord
    from flawshot.encoders.base import BaseEncoder, Encoder

__all__ = ["OnnxEncoder", "OpenVinoEncoder", "Runtime", "runtimes"]


class Runtime(NamedTuple):
    """An encoder in one runtime.

    Attributes:
        name: The runtime.
        encoder: The encoder there, for a few crops at a time with all threads; None if it cannot be had.
        bulk: The encoder for many crops, which are divided among threads.
        seconds: The time that it took to prepare: to compile, or to load an exported graph.
        remark: What was done, or why it cannot be had; may be empty.
    """

    name: str
    encoder: Encoder | None
    bulk: Encoder | None
    seconds: float = 0.0
    remark: str = ""


class OnnxEncoder:
    """An encoder's exported graph, run by onnxruntime on the CPU with as many threads as torch would use.

    Args:
        like: The encoder, whose record, side and dim it has.
        path: The graph, from :func:`flawshot.models.line_side.graph.export_network`.

    Attributes:
        record: As for :class:`flawshot.encoders.base.Encoder`; likewise ``side``, ``dim`` and ``device``.
    """

    device = torch.device("cpu")

    def __init__(self, like: Encoder, path: Path) -> None:
        self.record: EncoderRecord = like.record
        self.side, self.dim = like.side, like.dim
        self._path = path
        self._loaded: dict[int, Any] = {}
        self._lock = threading.Lock()
        for threads in {1, torch.get_num_threads()}:  # for many crops, and for few
            self._for_threads(threads)

    def encode(self, images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """Encode crops; see :meth:`flawshot.encoders.base.Encoder.encode`."""
        return torch.from_numpy(self._run(self._for_threads(torch.get_num_threads()), images.numpy(), masks.numpy()))

    def _for_threads(self, threads: int) -> Any:
        """The graph, loaded for a number of threads."""
        with self._lock:
            if threads not in self._loaded:
                self._loaded[threads] = self._load(threads)
            return self._loaded[threads]

    def _load(self, threads: int) -> Any:
        import onnxruntime  # noqa: PLC0415 - an optional package

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # errors only
        return onnxruntime.InferenceSession(str(self._path), options, providers=["CPUExecutionProvider"])

    def _run(self, loaded: Any, images: Any, masks: Any) -> Any:
        return loaded.run(None, {"images": images, "masks": masks})[0]


class OpenVinoEncoder(OnnxEncoder):
    """The same graph, run by OpenVINO on the CPU in float32."""

    def _load(self, threads: int) -> Any:
        openvino: Any = importlib.import_module("openvino")  # an optional package without types

        core = openvino.Core()
        options = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
        # A request can only be used by one thread at a time.
        return core.compile_model(core.read_model(self._path), "CPU", options), threading.local()

    def _run(self, loaded: Any, images: Any, masks: Any) -> Any:
        compiled, own = loaded
        if not hasattr(own, "request"):
            own.request = compiled.create_infer_request()
        return own.request.infer({"images": images, "masks": masks})[0].copy()


def runtimes(encoder: BaseEncoder, crops: int) -> Iterator[Runtime]:
    """The encoder in each runtime, one after the other; the exported graph vanishes with the iterator.

    Args:
        encoder: The encoder, not compiled.
        crops: The number of crops of one region.
    """
    where = "" if encoder.device.type == "cpu" else f" on {encoder.device}"
    yield Runtime(f"torch{where}", encoder, encoder)
    one, bulk = copy.copy(encoder), copy.copy(encoder)
    start = time.perf_counter()
    remarks = (one.compile(crops, threads=torch.get_num_threads()), bulk.compile(crops_per_call(encoder.device)))
    said = f"for one region {remarks[0]}; for many {remarks[1]}"
    yield Runtime(f"torch compiled{where}", one, bulk, time.perf_counter() - start, said)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "encoder.onnx"
        try:
            check_packages()
            export_network(_on_cpu(encoder), path, side=encoder.side)
        except FlawshotError as error:
            for name in ("onnxruntime", "OpenVINO"):
                yield Runtime(name, None, None, remark=error.marked)
            return
        for name, package, kind in (
            ("onnxruntime", "onnxruntime", OnnxEncoder),
            ("OpenVINO", "openvino", OpenVinoEncoder),
        ):
            if importlib.util.find_spec(package) is None:
                yield Runtime(name, None, None, remark=f"is not installed; install it with pip install {package}")
                continue
            start = time.perf_counter()
            try:
                loaded = kind(encoder, path)
            except Exception as error:  # noqa: BLE001 - of a graph that a runtime does not know, anything
                yield Runtime(name, None, None, remark=f"cannot load the graph ({one_line(error)[:200]})")
                continue
            yield Runtime(name, loaded, loaded, time.perf_counter() - start)


def _on_cpu(encoder: BaseEncoder) -> torch.nn.Module:
    """The encoder's network on the CPU, in float32.

    Raises:
        FlawshotError: If it has none.
    """
    if encoder.network is None:
        raise FlawshotError(f"encoders of the family {encoder.record.family} have no network that can be exported")
    network = encoder.network if encoder.device.type == "cpu" else copy.deepcopy(encoder.network).cpu()
    if getattr(network, "dtype", None) is not None:
        network = copy.copy(network)
        network.dtype = None  # type: ignore[assignment]  # autocast, which ONNX does not have
    return network
