"""A self-contained HTML page of an evaluation's results."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from flawshot.base.errors import printable
from flawshot.base.store.files import write_bytes
from flawshot.base.wording import plural
from flawshot.evaluation.curves import accuracy_lines
from flawshot.evaluation.intervals import percent
from flawshot.report.figures import curves
from flawshot.report.gallery import make_gallery
from flawshot.report.overview import category_rows, classifier_rows, confusions, strongest
from flawshot.report.panels import make_panels, panel_data, shares
from flawshot.report.provenance import make_facts
from flawshot.report.sentence import reference_of, sentence
from flawshot.report.templating import new_environment, policy, source

if TYPE_CHECKING:
    from flawshot.bank.features import FeatureBank
    from flawshot.catalog import Catalog
    from flawshot.evaluation.results import Results
    from flawshot.report.overview import CategoryScores

__all__ = ["make_page", "write_report"]

# Pairs of categories that are named as mistaken for each other.
MISTAKES = 5


def write_report(
    results: Results,
    path: str | Path,
    *,
    data: str | Path | Catalog | None = None,
    bank: FeatureBank | None = None,
    overwrite: bool = False,
) -> None:
    """Write results as one HTML file that loads nothing else.

    Args:
        results: The results.
        path: The file.
        data: The data set, for the gallery's pictures: a folder, or a catalog with its root available. If None, the
            gallery shows ids.
        bank: A feature bank whose catalog is used if ``data`` is None, provided that the images are available.
        overwrite: Whether a file with other content may be replaced.

    Raises:
        FlawshotError: If ``data`` cannot be read, or ``path`` exists with other content and ``overwrite`` is false.
    """
    page = make_page(results, bank.catalog if data is None and bank is not None else data)
    write_bytes(Path(path), page, overwrite=overwrite)


def make_page(results: Results, data: str | Path | Catalog | None = None) -> bytes:
    """The file that :func:`write_report` writes."""
    environment = new_environment()
    environment.filters |= {"shares": shares, "shots": partial(_shots, results)}
    style, script = (source(environment, name) for name in ("style.css", "script.js"))
    name, shots = reference_of(results)
    panels, undrawn = make_panels(results, name)
    gallery = make_gallery(results, data, name)
    page: str = environment.get_template("report.html").render(
        policy=policy(style, script),
        style=style,
        script=script,
        sentence=sentence(results),
        seeds=len({each.seed for run in results.runs for each in run.episodes}),
        parts=_parts(results),
        glances=_glances(results),
        panels=panels,
        undrawn=undrawn,
        differences=_differences(results),
        times=_times(results),
        classifier=name,
        facts=make_facts(results),
        command=results.provenance.get("command"),
        data=_json({"reference": printable(name), "shots": shots, "panels": panel_data(panels), **gallery._asdict()}),
        recorded=bool(gallery.sets),
        gallery=gallery,
    )
    return page.encode("utf-8", "backslashreplace")


def _json(value: Any) -> Markup:
    """JSON that is safe inside a script element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))  # noqa: S704


def _shots(results: Results, shots: int, product: str | None = None) -> str:
    return f"{results.shots_label(shots, product)} {plural(shots, 'shot')}"


def _parts(results: Results) -> list[dict[str, Any]]:
    """Curves and a table for each product, with those of the mean first if there are several."""
    products = list(dict.fromkeys(run.product for run in results.runs))
    transductive = {run.classifier for run in results.runs if run.transductive}
    parts = []
    for product, lines in accuracy_lines(results.runs, results.means).items():
        title = f"mean of {len(products)} products" if product is None else product
        label = partial(results.shots_label, product=product)
        parts.append(
            {
                "title": printable(title),
                # Serialized from a tree, which escapes its texts.
                "wide": Markup(curves(lines, f"Accuracy by shots: {title}", label)),  # noqa: S704
                "narrow": Markup(curves(lines, f"Accuracy by shots: {title}", label, narrow=True)),  # noqa: S704
                "product": product,
                "shots": sorted({shots for points in lines.values() for shots, _ in points}),
                "rows": [
                    (
                        printable(classifier),
                        classifier in transductive,
                        {shots: percent(each.mean, each.ci95) for shots, each in points},
                    )
                    for classifier, points in lines.items()
                ],
            }
        )
    return parts


def _glances(results: Results) -> list[dict[str, Any]]:
    """For each product, the strongest classifier's recall, precision and F1 by category and K, weakest first."""
    glances = []
    for product in dict.fromkeys(run.product for run in results.runs):
        best = strongest(classifier_rows(results, product))
        rows = category_rows(results, product, best)
        shots = sorted({k for row in rows for k in row.scores})
        last = max((r for r in results.runs if (r.product, r.classifier) == (product, best)), key=lambda run: run.shots)
        glances.append(
            {
                "product": product,
                "title": printable(product),
                "classifier": printable(best),
                "shots": shots,
                "rows": [
                    (
                        printable(row.category),
                        "–".join(map(str, dict.fromkeys(row.queries))),
                        {k: _shares(each) for k, each in row.scores.items()},
                    )
                    for row in rows
                ],
                "mistaken": "; ".join(
                    f"{printable(true)} for {printable(other)} ({100 * share:.1f} %)"
                    for true, other, share in confusions(last)[:MISTAKES]
                ),
            }
        )
    return glances


def _shares(scores: CategoryScores) -> tuple[str, str, str]:
    recall = "" if scores.recall is None or scores.ci95 is None else percent(scores.recall, scores.ci95)
    precision, f1 = ("–" if share is None else f"{100 * share:.1f}" for share in (scores.precision, scores.f1))
    return recall, precision, f1


def _differences(results: Results) -> list[dict[str, Any]]:
    """Tables of differences, one row per classifier, one column per K; with several products the mean's table first."""
    tables: dict[str | None, dict[str, dict[int, str]]] = {}
    for each in sorted(results.comparisons, key=lambda each: each.product is not None):
        shown = percent(each.difference.mean, each.difference.ci95, signed=True)
        tables.setdefault(each.product, {}).setdefault(each.classifier, {})[each.shots] = shown
    return [
        {
            "product": product,
            "title": "mean of the products" if product is None else printable(product),
            "shots": sorted({shots for cells in rows.values() for shots in cells}),
            "rows": [(printable(classifier), cells) for classifier, cells in rows.items()],
        }
        for product, rows in tables.items()
    ]


def _times(results: Results) -> dict[str, Any]:
    """Mean milliseconds of a fit and a prediction over all episodes: one row per classifier, one column per K."""
    seconds: dict[str, dict[int, list[tuple[float, float]]]] = {}
    for run in results.runs:
        if run.confusion is None or run.classifier == "majority":
            continue
        own = seconds.setdefault(run.classifier, {}).setdefault(run.shots, [])
        own += [(each.fit_seconds, each.predict_seconds) for each in run.episodes]
    return {
        "shots": sorted({shots for cells in seconds.values() for shots in cells}),
        "rows": [
            (
                printable(classifier),
                {
                    shots: tuple(f"{1000 * sum(values) / len(values):.1f}" for values in zip(*own, strict=True))
                    for shots, own in cells.items()
                },
            )
            for classifier, cells in seconds.items()
        ],
    }
