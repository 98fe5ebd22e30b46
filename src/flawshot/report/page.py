"""One self-contained HTML page of an evaluation's results."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from flawshot.errors import printable
from flawshot.files import write_bytes
from flawshot.report.figures import bars, curves, reliability_diagram
from flawshot.report.gallery import gallery_data, thumbnails
from flawshot.report.sentence import reference_of, sentence
from flawshot.report.tables import percent

if TYPE_CHECKING:
    from flawshot.catalog import Catalog
    from flawshot.evaluation.results import Estimate, Results, Run
    from flawshot.features import FeatureBank

__all__ = ["write_report"]

# Under this many query instances a category's figure is marked.
FEW = 10
SHADES = 10


def write_report(
    results: Results,
    path: str | Path,
    *,
    data: str | Path | Catalog | None = None,
    bank: FeatureBank | None = None,
    overwrite: bool = False,
) -> None:
    """Write results as one HTML file that asks for nothing but itself.

    Args:
        results: What was found.
        path: The file.
        data: The data set, for the gallery's pictures: a folder, or a catalog with its root at hand; ids where None.
        bank: Its catalog serves where ``data`` is None, if the images are at hand.
        overwrite: Whether a file with other content may be replaced.

    Raises:
        FlawshotError: If ``data`` cannot be read, or ``path`` exists with other content and ``overwrite`` is false.
    """
    if data is None and bank is not None:
        data = bank.catalog
    pictures = {} if data is None else thumbnails(results, data)
    environment = Environment(
        loader=PackageLoader("flawshot.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown"] = printable
    style, script = (_source(environment, name) for name in ("style.css", "script.js"))
    name, shots = reference_of(results)
    page = environment.get_template("report.html").render(
        policy=f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; img-src data:",
        style=Markup(style),  # noqa: S704  # the package's own file
        script=Markup(script),  # noqa: S704
        sentence=sentence(results),
        curves=_curves(results),
        tables=_accuracies(results),
        differences=_differences(results),
        times=_times(results),
        details=[_detail(run) for run in results.runs if (run.classifier, run.shots) == (name, shots)],
        classifier=name,
        shots=shots,
        provenance=_flat(results.provenance),
        command=results.provenance.get("command"),
        gallery=_json(
            {
                "reference": name,
                "shots": shots,
                "sets": gallery_data(results),
                "pictures": pictures,
            }
        ),
        recorded=bool(results.answers),
        left_out=sum(each.left_out for each in results.answers),
        pictured=bool(pictures),
    )
    write_bytes(Path(path), page.encode("utf-8", "backslashreplace"), overwrite=overwrite)


def _source(environment: Environment, name: str) -> str:
    assert environment.loader is not None  # noqa: S101
    return environment.loader.get_source(environment, name)[0]


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _json(value: Any) -> Markup:
    """JSON that ends no script element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))  # noqa: S704


def _svg(drawn: str) -> Markup:
    return Markup(drawn)  # noqa: S704  # serialised from a tree, which escapes its texts


def _curves(results: Results) -> list[Markup]:
    """A plot of the means where there are several products, else the product's."""
    products = list(dict.fromkeys(run.product for run in results.runs))
    lines: dict[str, list[tuple[int, Estimate]]] = {}
    for each in results.means or results.runs:
        lines.setdefault(each.classifier, []).append((each.shots, each.accuracy))
    for points in lines.values():
        points.sort(key=lambda point: point[0])
    over = products[0] if len(products) == 1 else f"mean of {len(products)} products"
    return [_svg(curves(dict(lines), f"Accuracy by shots, {over}"))]


def _accuracies(results: Results) -> list[dict[str, Any]]:
    """A table a product, rows classifiers, columns K; the mean over products first."""
    parts: dict[str, dict[str, dict[int, Estimate]]] = {}
    several = f"mean of {len({run.product for run in results.runs})} products"
    for mean in results.means:
        parts.setdefault(several, {}).setdefault(mean.classifier, {})[mean.shots] = mean.accuracy
    for run in results.runs:
        parts.setdefault(run.product, {}).setdefault(run.classifier, {})[run.shots] = run.accuracy
    transductive = {run.classifier for run in results.runs if run.transductive}
    return [
        {
            "product": product,
            "shots": sorted({shots for cells in rows.values() for shots in cells}),
            "rows": [
                (f"{name} †" if name in transductive else name, {k: percent(e.mean, e.ci95) for k, e in cells.items()})
                for name, cells in rows.items()
            ],
        }
        for product, rows in parts.items()
    ]


def _differences(results: Results) -> list[tuple[str, int, str, str]]:
    return [
        (
            "mean" if each.product is None else each.product,
            each.shots,
            each.classifier,
            percent(each.difference.mean, each.difference.ci95, signed=True),
        )
        for each in results.comparisons
    ]


def _times(results: Results) -> list[tuple[str, int, str, str, str]]:
    """Mean milliseconds a fit and a prediction took."""
    rows = []
    for run in results.runs:
        if run.confusion is None or run.classifier == "majority":
            continue
        count = len(run.episodes)
        fit, predict = (
            sum(getattr(each, name) for each in run.episodes) / count for name in ("fit_seconds", "predict_seconds")
        )
        rows.append((run.product, run.shots, run.classifier, f"{1000 * fit:.1f}", f"{1000 * predict:.1f}"))
    return rows


def _detail(run: Run) -> dict[str, Any]:
    scores = []
    for category in run.categories:
        score = run.per_category[category]
        shown = "–" if score.mean is None or score.ci95 is None else percent(score.mean, score.ci95)
        scores.append((category, f"{score.n_query}{'*' if score.n_query < FEW else ''}", shown))
    confusion = []
    for category, counts in zip(run.categories, run.confusion or (), strict=False):
        total = max(sum(counts), 1)
        confusion.append(
            (category, [(count, f"{100 * count / total:.0f} %", round(SHADES * count / total)) for count in counts])
        )
    title = f"{run.product}, {run.classifier} at {run.shots} shots"
    return {
        "product": run.product,
        "categories": run.categories,
        "bars": _svg(bars(run, f"Accuracy by category: {title}")),
        "scores": scores,
        "few": any(run.per_category[category].n_query < FEW for category in run.categories),
        "confusion": confusion,
        "reliability": None if run.reliability is None else _svg(reliability_diagram(run, f"Reliability: {title}")),
        "bins": [
            (count, f"{100 * confidence:.1f}", f"{100 * share:.1f}")
            for count, confidence, share in run.reliability or ()
            if count
        ],
        "ece": percent(run.ece.mean, run.ece.ci95),
        "macro_recall": percent(run.macro_recall.mean, run.macro_recall.ci95),
    }


def _flat(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as (dotted name, text) rows."""
    if isinstance(value, dict) and value:
        return [row for key, each in value.items() for row in _flat(each, f"{prefix}.{key}" if prefix else str(key))]
    if isinstance(value, list | tuple):
        return [(prefix, ", ".join(str(each) for each in value))]
    return [(prefix, "none" if value is None else str(value))]
