"""Figures as inline SVG, drawn by matplotlib and colored by the page's style sheet."""

from __future__ import annotations

import io
import re
import warnings
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec
from xml.etree import ElementTree as ET

from defusedxml.ElementTree import fromstring

from flawshot.base.errors import printable

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FAINT", "INK", "LINES", "new_figure", "styled", "to_svg"]

SVG = "http://www.w3.org/2000/svg"
# Placeholders; the style sheet gives each class its color, in light and dark mode.
INK, FAINT = "#010101", "#020202"
LINES = [f"#0000{number:02x}" for number in range(0xA0, 0xA8)]
CLASSES = {INK: "ink", FAINT: "faint"} | {color: f"c{number}" for number, color in enumerate(LINES)}
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "text.usetex": False,
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": FAINT,
    "grid.linewidth": 0.5,
    "grid.alpha": 0.5,
    "axes.axisbelow": True,
    "legend.frameon": False,
}

Arguments = ParamSpec("Arguments")


def styled(draw: Callable[Arguments, str]) -> Callable[Arguments, str]:
    """Draw under :data:`STYLE`, as axes create their ticks late, and dollar signs in labels must not start formulas."""

    @wraps(draw)
    def drawn(*args: Arguments.args, **kwargs: Arguments.kwargs) -> str:
        from matplotlib import rc_context  # noqa: PLC0415  # slow to import

        with rc_context(STYLE), warnings.catch_warnings():
            # Labels are measured with a font that lacks some letters, which the browser has.
            warnings.filterwarnings("ignore", message=".*[Gg]lyph.*missing from")
            return draw(*args, **kwargs)

    return drawn


def new_figure(title: str, width: float, height: float) -> tuple[Any, Any]:
    """A figure of a size in inches, and its axes."""
    from matplotlib.figure import Figure  # noqa: PLC0415  # slow to import

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot(label=title)


def to_svg(figure: Any, title: str, chosen: int | None = None) -> str:
    """The figure as an SVG element without inline styles, which the page's policy forbids.

    An artist's gid is turned into attributes of its group: ``mark-NAME`` into ``data-mark``; ``choice-N-NAME`` also
    into the number as ``data-choice``, and the classes ``choice`` and, if N is ``chosen``, ``chosen``.

    Args:
        figure: The figure.
        title: Text for screen readers.
        chosen: Number of the choice that is shown.
    """
    from matplotlib import rc_context  # noqa: PLC0415

    drawn = io.BytesIO()
    # Reused marks have ids, which must differ from those of the page's other figures.
    with rc_context({**STYLE, "svg.hashsalt": f"{title} {figure.get_size_inches()}"}):
        figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    root = fromstring(drawn.getvalue())
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in {f"{{{SVG}}}metadata", f"{{{SVG}}}style"}:
                parent.remove(child)
    for element in root.iter():
        _name(element, chosen)
        _restyle(element)
        for key in ("d", "x", "y", "transform"):
            if key in element.attrib:
                element.set(key, re.sub(r"-?\d+\.\d{2,}", _rounded, " ".join(element.attrib[key].split())))
    for key in ("width", "height"):
        root.attrib.pop(key, None)
    root.set("role", "img")
    root.set("aria-label", printable(title))
    ET.register_namespace("", SVG)
    ET.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    return ET.tostring(root, encoding="unicode")


def _rounded(number: re.Match[str]) -> str:
    return f"{float(number[0]):.1f}".removesuffix(".0")


def _name(element: ET.Element, chosen: int | None) -> None:
    name = element.get("id", "")
    if choice := re.fullmatch(r"choice-(\d+)-(.+)", name):
        element.set("data-choice", choice[1])
        element.set("class", "choice chosen" if int(choice[1]) == chosen else "choice")
        element.set("data-mark", choice[2])
    elif name.startswith("mark-"):
        element.set("data-mark", name.removeprefix("mark-"))
    elif not re.fullmatch(r"[A-Za-z0-9]+_\d+", name):
        return
    del element.attrib["id"]  # other figures on the page have the same id


def _restyle(element: ET.Element) -> None:
    classes = []
    for part in element.attrib.pop("style", "").split(";"):
        key, _, value = (text.strip() for text in part.partition(":"))
        if key in {"fill", "stroke"} and value in CLASSES:
            classes.append(f"{key[0]}-{CLASSES[value]}")
        elif key == "font":
            size = re.search(r"([\d.]+)px", value)
            element.set("font-size", size[1] if size else "10")
        elif key and key != "font-family":
            element.set(key, value)
    if classes:
        element.set("class", " ".join(classes))
