"""Export of a model for computers without torch: a folder with its graph, its description and a script."""

from __future__ import annotations

import importlib.metadata
import shutil
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError
from flawshot.base.store.files import one_line, read_document, write_json
from flawshot.base.store.places import hold, new_folder, settle
from flawshot.base.store.seals import hash_files
from flawshot.encoders.preprocessing import interpolation_of
from flawshot.models.line_side.examples import images_root
from flawshot.models.line_side.graph import check_packages, export_graph, model_graph
from flawshot.models.line_side.record import PRECISIONS, LineSideRecord, LineSideView
from flawshot.models.model import load_model

if TYPE_CHECKING:
    from flawshot.models.line_side.record import ExportPrecision, LeftOutAccuracy, Verification
    from flawshot.models.model import Model

__all__ = ["ABOUT", "GRAPH", "SCRIPTS", "LineSideReport", "export_onnx", "read_line_side"]

GRAPH, ABOUT = "model.onnx", "model.json"
SCRIPTS: Final = ("line_side.py", "line_side_regions.py")
REMEDY = "export the model again"
LIBRARIES = ("torch", "onnx", "onnxscript", "onnxruntime", "numpy", "pillow", "open_clip_torch", "timm")


class LineSideReport(NamedTuple):
    """What :func:`export_onnx` wrote.

    Attributes:
        out: The folder.
        size: The size of all its files in bytes.
        record: Its ``model.json``.
    """

    out: Path
    size: int
    record: LineSideRecord


def export_onnx(
    model: str | Path,
    out: str | Path,
    *,
    data: str | Path | None = None,
    pretrained: str | None = None,
    precision: ExportPrecision = "float32",
    tolerance: float = 0.01,
    overwrite: bool = False,
) -> LineSideReport:
    """Export a model as a folder that a computer without torch and flawshot can use.

    The folder has the model as one ONNX graph, its description, and a script of numpy, Pillow and onnxruntime that
    predicts the regions of Labelme files as flawshot does. The graph is verified before the folder appears.

    Args:
        model: The model's folder.
        out: The new folder.
        data: The folder of the images that the model was fitted to, on which the graph is verified; if None, the
            folders that the model's history names are tried.
        pretrained: The encoder's weights, if they came from a file.
        precision: ``float32``, or of the encoder's weights ``float16`` or ``int8``, which needs the images.
        tolerance: For a reduced precision: the largest loss of leave-one-out accuracy allowed, a share.
        overwrite: Whether an earlier export may be replaced.

    Raises:
        FlawshotError: If the model cannot be exported, torch and onnxruntime differ, too much accuracy is lost, or
            ``out`` exists.
    """
    out = Path(out)
    if precision not in PRECISIONS:
        raise FlawshotError(f"{argument('precision', precision)}: must be one of {', '.join(PRECISIONS)}")
    if not 0 <= tolerance < 1:
        raise FlawshotError(f"{argument('tolerance', tolerance)}: must be a share of at least 0 and below 1")
    check_packages()
    _check_free(out, overwrite=overwrite)
    loaded = load_model(model, device="cpu", pretrained=pretrained)
    graph = model_graph(loaded)
    root = images_root(loaded, None if data is None else Path(data))
    if precision != "float32" and root is None:
        raise FlawshotError(
            f"{argument('precision', precision)}: its effect on the accuracy is measured on the images that the model "
            f"was fitted to; name their folder with {argument('data')}"
        )
    try:
        with hold(out), new_folder(out) as folder:
            export_graph(graph, folder / GRAPH, views=len(loaded.scheme.views), side=loaded.encoder.side)
            verification, left_out = _tested(loaded, folder, root, precision, tolerance)
            for name in SCRIPTS:
                shutil.copyfile(str(files("flawshot.models.line_side").joinpath("stand-alone", name)), folder / name)
            names = [path.name for path in folder.iterdir()]
            record = _record(loaded, precision, verification, left_out, hash_files(folder, names))
            write_json(folder / ABOUT, record.model_dump(mode="json"))
            size = sum(path.stat().st_size for path in folder.iterdir())
    except OSError as error:
        raise FlawshotError(f"{out}: cannot be written ({one_line(error.strerror or error)})") from error
    return LineSideReport(out, size, record)


def read_line_side(path: str | Path) -> LineSideRecord:
    """Read and check the description of an exported model.

    Args:
        path: The folder.

    Raises:
        FlawshotError: If it is missing, damaged or foreign.
    """
    return read_document(Path(path) / ABOUT, LineSideRecord, REMEDY)


def _tested(
    model: Model, folder: Path, root: Path | None, precision: ExportPrecision, tolerance: float
) -> tuple[Verification, LeftOutAccuracy | None]:
    """Verify the graph in a folder, reduce its precision if wanted, and measure what that costs."""
    from flawshot.models.line_side.reducing import reduce_precision  # noqa: PLC0415 - with optional packages
    from flawshot.models.line_side.verifying import left_out_accuracy, verify  # noqa: PLC0415 - likewise

    verification = verify(model, folder / GRAPH, root, limited=True)
    if precision == "float32" or root is None:
        return verification, None
    float32 = folder / "float32" / GRAPH
    float32.parent.mkdir()
    for path in folder.glob(f"{GRAPH}*"):
        path.rename(float32.parent / path.name)
    reduce_precision(float32, folder / GRAPH, precision)
    left_out = left_out_accuracy(model, float32, folder / GRAPH, root, tolerance=tolerance)
    verification = verify(model, folder / GRAPH, root, limited=False)
    shutil.rmtree(float32.parent)
    return verification, left_out


def _record(
    model: Model,
    precision: ExportPrecision,
    verification: Verification,
    left_out: LeftOutAccuracy | None,
    hashes: dict[str, str],
) -> LineSideRecord:
    encoder, record = model.encoder.record, model.record
    mean, std = (encoder.options.get(name) for name in ("mean", "std"))
    return LineSideRecord(
        format="flawshot-line-side",
        version=1,
        product=record.product,
        categories=record.categories,
        classifier=record.classifier,
        encoder=encoder,
        side=model.encoder.side,
        interpolation=interpolation_of(encoder),
        mean=mean if isinstance(mean, tuple) else None,
        std=std if isinstance(std, tuple) else None,
        views=LineSideView.all_of(model.scheme),
        border=model.scheme.border,
        calibration=record.calibration,
        accuracy=None if record.accuracy is None else record.accuracy.mean,
        precision=precision,
        verification=verification,
        left_out=left_out,
        model=model.path.resolve().name,
        model_hash=model.hash,
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        flawshot=importlib.metadata.version("flawshot"),
        libraries=_versions(),
        files=hashes,
    )


def _versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _check_free(out: Path, *, overwrite: bool) -> None:
    """Refuse a path that exists, unless it is an unchanged export and ``overwrite`` is true."""
    settle(out)
    if not out.exists():
        return
    if not overwrite:
        raise FlawshotError(f"{out}: exists; name another folder, move it away, or add {argument('overwrite', True)}")
    if not out.is_dir():
        raise FlawshotError(f"{out}: is not an exported model's folder; move it away")
    there = sorted(path.name for path in out.iterdir())
    own = {*read_line_side(out).files, ABOUT} if there else set()
    for name in there:
        if name not in own:
            raise FlawshotError(f"{out}: contains {name}, which is not part of an exported model; move it away")
