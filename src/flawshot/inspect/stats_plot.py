"""A plot of the annotations: how many instances each category has, and how large they are."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from flawshot.base.errors import FlawshotError, printable
from flawshot.base.store.files import write_with
from flawshot.inspect.stats import count_instances

if TYPE_CHECKING:
    from pathlib import Path

    from flawshot.catalog import Catalog

__all__ = ["check_suffix", "write_plot"]

# Metadata that would make the files of two runs differ is omitted.
METADATA: dict[str, dict[str, Any]] = {
    ".svg": {"Date": None},
    ".png": {"Software": None},
    ".pdf": {"CreationDate": None},
}
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "flawshot",
    "text.usetex": False,
    "font.family": "sans-serif",
}
# More bars than this are illegible; the rarest categories share one bar.
MOST_BARS = 60
LONGEST_LABEL = 60
BINS = 30
INCHES_A_BAR = 0.22
COLOR = "#3b6ea5"


def check_suffix(path: Path) -> str:
    """The plot's format.

    Raises:
        FlawshotError: If the file's name does not end in .svg, .png or .pdf.
    """
    suffix = path.suffix.lower()
    if suffix not in METADATA:
        raise FlawshotError(f"{path}: the name must end in {', '.join(METADATA)}")
    return suffix


def write_plot(catalog: Catalog, path: Path, *, overwrite: bool = False) -> list[str]:
    """Draw one bar per category, and a histogram of the instances' areas.

    Args:
        catalog: The instances; their geometry is not needed.
        path: The plot's file; its suffix selects the format: .svg, .png or .pdf.
        overwrite: Whether an existing file with other content may be replaced.

    Returns:
        Remarks for the user, such as that no font has a label's letters.

    Raises:
        FlawshotError: If the suffix is not supported, or the file exists with other content and ``overwrite`` is false.
    """
    import matplotlib as mpl  # noqa: PLC0415 - takes half a second, and few need it
    from matplotlib.figure import Figure  # noqa: PLC0415
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415

    suffix = check_suffix(path)
    labels, numbers = _bars(catalog)
    with mpl.rc_context(STYLE), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        figure = Figure(figsize=(12, max(4.0, 1.2 + INCHES_A_BAR * len(labels))), layout="constrained")
        left, right = figure.subplots(1, 2)
        left.barh(range(len(labels)), numbers, color=COLOR)
        # Labels are data: a dollar sign in one does not start a formula.
        left.set_yticks(range(len(labels)), labels, parse_math=False, fontsize=8)
        left.set_ylim(len(labels) - 0.5, -0.5)
        left.set_xlabel("instances")
        left.bar_label(left.containers[0], fontsize=7, padding=2)
        left.set_title("Instances per category")
        areas = np.asarray(catalog.table.column("area"), dtype=np.float64)
        right.hist(areas, bins=_edges(areas), color=COLOR)
        right.set_xscale("log")
        right.set_xlabel("area of an instance, px")
        right.set_ylabel("instances")
        right.set_title("Sizes")
        for axes in (left, right):
            axes.spines[["top", "right"]].set_visible(False)
        for axis in (left.xaxis, right.yaxis):
            axis.set_major_locator(MaxNLocator(integer=True))
        write_with(
            path,
            lambda temporary: figure.savefig(temporary, format=suffix[1:], dpi=120, metadata=METADATA[suffix]),
            overwrite=overwrite,
        )
    if suffix != ".svg" and any("missing from" in str(warning.message) for warning in caught):
        return [f"{path}: no installed font has all of the labels' letters; an .svg shows them with the viewer's fonts"]
    return []


def _bars(catalog: Catalog) -> tuple[list[str], list[int]]:
    """Each category's name, with its product if there are several, and its instances over all splits."""
    several = len(catalog.products) > 1
    instances: dict[str, int] = {}
    for row in count_instances(catalog):
        if row["category"] is not None:
            named = f"{row['product']} / {row['category'] or '(no label)'}" if several else row["category"]
            instances[named] = instances.get(named, 0) + row["instances"]
    if len(instances) > MOST_BARS:
        order = sorted(instances, key=lambda name: (-instances[name], name))
        rare = order[MOST_BARS - 1 :]
        kept = {name: number for name, number in instances.items() if name not in rare}
        instances = kept | {f"{len(rare)} others": sum(instances[name] for name in rare)}
    return [_short(name or "(no label)") for name in instances], list(instances.values())


def _short(label: str) -> str:
    shown = printable(label)
    return shown if len(shown) <= LONGEST_LABEL else f"{shown[: LONGEST_LABEL - 1]}…"


def _edges(areas: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Edges of bins of equal width on a logarithmic axis."""
    low, high = float(areas.min()), float(areas.max())
    return np.geomspace(low * 0.9, max(high, low + 1.0) * 1.1, BINS + 1)
