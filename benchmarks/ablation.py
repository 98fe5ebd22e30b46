"""Where ``default`` comes from: its steps, and what else was tried, on three data sets.

    python -m pip install -e ".[benchmarks]"
    python benchmarks/ablation.py [--work DIR] [--write]

Prints mean accuracies in per cent, a row a variant, and calibration errors. The variants are written out here, plainly;
``docs/adr/0008`` has the tables (``--write`` puts them there) and draws the conclusions. To transistor's 21 queries it
adds *pooled*: all 43 transistor instances, K of each category as support and the rest (other images) as queries, 15
times. ``banks.py`` says what else is run on.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

import flawshot
from accuracy import DOCS, put
from banks import SHOTS, DataSet, data_sets
from flawshot.classifiers.functional import category_means, join_by_certainty, normalize, one_hot, softmax
from flawshot.classifiers.ridge import (
    balance,
    fit_temperature,
    left_out_scores,
    ridge_regression,
    view_whitener,
    whiten,
)
from flawshot.evaluation.metrics import expected_calibration_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Array = NDArray[np.float32]
    # Support and query features [tokens, instances, views, dim], support labels -> scores [queries, categories].
    Variant = Callable[[Array, Array, NDArray[np.intp]], Array]

ADR = DOCS.with_name("adr") / "0008-the-default-whitens-by-views.md"
CENTERS = [4, 13, 22]
CROSS = [9 * size + view for size in range(3) for view in (1, 3, 4, 5, 7)]


class Task(NamedTuple):
    """One episode's arrays; features ``[tokens, instances, views, dim]``."""

    support: Array
    labels: NDArray[np.intp]
    query: Array
    truth: NDArray[np.intp]


def prototypes(support: Array, query: Array, labels: NDArray[np.intp]) -> Array:
    """Cosines to the category means."""
    return normalize(query) @ normalize(category_means(support, labels, int(labels.max()) + 1)).T


def ridge(support: Array, query: Array, labels: NDArray[np.intp], strength: float = 0.5) -> Array:
    """Ridge regression on the categories' indicators."""
    targets = one_hot(labels, int(labels.max()) + 1)
    weights = np.ones(len(labels), dtype=np.float32)
    return query @ ridge_regression(support, targets - targets.mean(axis=0), weights, strength).T


def matched(support: Array, query: Array) -> tuple[Array, Array]:
    """View beside view: each centered by the support's mean in it, scaled to length one."""
    center = support.mean(axis=0)
    parts = [normalize(views - center) / np.sqrt(np.float32(views.shape[1])) for views in (support, query)]
    return parts[0].reshape(len(support), -1), parts[1].reshape(len(query), -1)


def averaged(support: Array, query: Array, *, centered: bool = True) -> tuple[Array, Array]:
    """The mean of the views, centered."""
    means = [normalize(views).mean(axis=1) for views in (support, query)]
    center = means[0].mean(axis=0) * np.float32(centered)
    return normalize(means[0] - center), normalize(means[1] - center)


def whitened(
    support: Array,
    query: Array,
    labels: NDArray[np.intp],
    *,
    shrinkage: float = 2.0,
    scatter: str = "views",
    matching: bool = False,
    centered: bool = True,
) -> tuple[Array, Array]:
    """Views' scatter taken out; ``scatter`` says around what."""
    unit, asked = normalize(support), normalize(query)
    residuals = unit - unit.mean(axis=1, keepdims=True)
    if scatter == "views, less the mean of each view":
        residuals = residuals - residuals.mean(axis=0)
    if scatter == "views and instances" and len(labels) > labels.max() + 1:
        means = unit.mean(axis=1)
        within = means - category_means(means, labels, int(labels.max()) + 1)[labels]
        freedom = len(labels) - int(labels.max()) - 1
        # As much weight to the spread of instances as to that of views.
        more = within * np.sqrt(np.float32(len(labels) * unit.shape[1] / freedom))
        residuals = np.sqrt(np.float32(2)) * np.concatenate([residuals.reshape(-1, unit.shape[2]), more])
    rows = residuals.reshape(-1, unit.shape[2])
    whitener = view_whitener(rows.T @ rows / np.float32(len(rows)), shrinkage)
    if not centered:
        return whiten(unit.mean(axis=1), whitener), whiten(asked.mean(axis=1), whitener)
    if matching:
        center = unit.mean(axis=0)
        parts = []
        for views in (unit, asked):
            flat = whiten((views - center).reshape(-1, unit.shape[2]), whitener)
            parts.append(flat.reshape(len(views), -1) / np.sqrt(np.float32(unit.shape[1])))
        return parts[0], parts[1]
    center = unit.mean(axis=(0, 1))
    return whiten(unit.mean(axis=1) - center, whitener), whiten(asked.mean(axis=1) - center, whitener)


def by_token(support: Array, query: Array, labels: NDArray[np.intp], tokens: int) -> Array:
    """Ridge on the whitened features of several tokens side by side."""
    parts = [whitened(support[token], query[token], labels) for token in range(tokens)]
    return ridge(np.concatenate([s for s, _ in parts], axis=1), np.concatenate([q for _, q in parts], axis=1), labels)


def by_view(support: Array, query: Array, labels: NDArray[np.intp]) -> Array:
    """Cosines to the prototypes of each view, float32 ``[queries, views, categories]``; nothing is joined yet."""
    center = support.mean(axis=0)
    made, asked = normalize(support - center), normalize(query - center)
    means = normalize(category_means(made, labels, int(labels.max()) + 1))
    return np.einsum("qvd,cvd->qvc", asked, means)


def by_certainty(support: Array, query: Array, labels: NDArray[np.intp]) -> Array:
    """Matched views, joined by how certain each is."""
    return join_by_certainty(softmax(by_view(support, query, labels) / np.float32(0.1)))


def by_reliability(support: Array, query: Array, labels: NDArray[np.intp]) -> Array:
    """Matched views, each weighed by how far it sets the support's categories apart beside how far it spreads them."""
    made = normalize(support - support.mean(axis=0))
    means = category_means(made, labels, int(labels.max()) + 1)
    within = ((made - means[labels]) ** 2).sum(axis=2).mean(axis=0)
    between = (means**2).sum(axis=2).mean(axis=0)
    weights = between / within if within.min() > 1e-6 else np.ones(support.shape[1], dtype=np.float32)
    return (by_view(support, query, labels) * (weights / weights.sum())[:, None]).sum(axis=1)


def variants() -> dict[str, Variant]:
    """Every variant by its name."""

    def on(views: list[int], **options: float) -> Variant:
        return lambda s, q, y: ridge(*whitened(s[0][:, views], q[0][:, views], y, **options), y)  # type: ignore[arg-type]

    def classifier(name: str, **parameters: float) -> Variant:
        return lambda s, q, y: flawshot.make_classifier(name, **parameters).fit(s[0], y).predict_proba(q[0])

    every = list(range(27))
    found: dict[str, Variant] = {
        "matched views, prototypes (matched-prototype)": lambda s, q, y: prototypes(*matched(s[0], q[0]), y),
        "zip-adapter: every view against mean views, joined by certainty": classifier("zip-adapter"),
        "matched views, joined by certainty": lambda s, q, y: by_certainty(s[0], q[0], y),
        "matched views, weighed by reliability": lambda s, q, y: by_reliability(s[0], q[0], y),
        "matched views, ridge 0.5": lambda s, q, y: ridge(*matched(s[0], q[0]), y),
        "mean view, not centered, prototypes": lambda s, q, y: prototypes(*averaged(s[0], q[0], centered=False), y),
        "mean view, prototypes": lambda s, q, y: prototypes(*averaged(s[0], q[0]), y),
        "mean view, ridge 0.5": lambda s, q, y: ridge(*averaged(s[0], q[0]), y),
        "both added, ridge 0.5": lambda s, q, y: ridge(
            *(
                np.concatenate(p, axis=1) / np.float32(np.sqrt(2))
                for p in zip(matched(s[0], q[0]), averaged(s[0], q[0]), strict=True)
            ),
            y,
        ),
        "whitened mean view, prototypes": lambda s, q, y: prototypes(*whitened(s[0], q[0], y), y),
        "whitened matched views, ridge 0.5": lambda s, q, y: ridge(*whitened(s[0], q[0], y, matching=True), y),
        "**whitened mean view, ridge 0.5 (default)**": classifier("whitened-ridge"),
    }
    for shrinkage in (0.5, 1.0, 4.0, 10.0, 30.0):
        found[f"default, shrinkage {shrinkage:g}"] = on(every, shrinkage=shrinkage)
    for strength in (0.1, 0.3, 1.0, 3.0):
        found[f"default, ridge {strength:g}"] = lambda s, q, y, r=strength: ridge(*whitened(s[0], q[0], y), y, r)  # type: ignore[misc]
    for scatter in ("views, less the mean of each view", "views and instances"):
        found[f"default, scatter of {scatter}"] = lambda s, q, y, k=scatter: ridge(  # type: ignore[misc]
            *whitened(s[0], q[0], y, scatter=k), y
        )
    found["default, not centered"] = lambda s, q, y: ridge(*whitened(s[0], q[0], y, centered=False), y)
    found["default, second token in place of the first"] = lambda s, q, y: by_token(s[1:], q[1:], y, 1)
    found["default, second token beside the first"] = lambda s, q, y: by_token(s, q, y, 2)
    found["default, cross15"] = on(CROSS)
    found["default, centre3"] = on(CENTERS)
    found["default, one view"] = on([13])
    found["default-transductive †"] = classifier("default-transductive")
    for parameters in ({"query_weight": 0.1}, {"query_weight": 1.0}, {"iterations": 1}, {"iterations": 30}):
        ((key, value),) = parameters.items()
        found[f"default-transductive †, {key.replace('_', ' ')} {value:g}"] = classifier(
            "default-transductive", **parameters
        )
    found["soft-kmeans †"] = classifier("soft-kmeans")
    return found


def calibration(task: Task) -> dict[str, float]:
    """Calibration error of ``default`` under other priors of the temperature."""
    fitted = flawshot.make_classifier("whitened-ridge").fit(task.support[0], task.labels)
    categories = len(fitted.classes_)
    support = whiten(normalize(task.support[0]).mean(axis=1) - fitted.center_, fitted.whitener_)
    query = whiten(normalize(task.query[0]).mean(axis=1) - fitted.center_, fitted.whitener_)
    targets = one_hot(task.labels, categories) - np.float32(1 / categories)
    left = left_out_scores(support, targets, balance(task.labels, categories), fitted.ridge)
    several = np.bincount(task.labels)[task.labels] > 1
    found = {}
    for prior in (0.05, 0.07, 0.09, 0.12):
        for spread in (0.15, 0.35, 1.0, 100.0):
            temperature = prior
            if several.any():
                temperature = fit_temperature(left[several], task.labels[several], prior=prior, spread=spread)
            shares = softmax(query @ fitted.weights_.T / np.float32(temperature))
            right = (shares.argmax(axis=1) == task.truth).astype(np.float64)
            error = expected_calibration_error(shares.max(axis=1).astype(np.float64), right)
            found[f"prior {prior:g}, spread {spread:g}"] = error
    return found


def tasks(data: DataSet, episodes: flawshot.EpisodeSet) -> Iterator[Task]:
    """The episodes of a data set, with two tokens."""
    category = dict(zip(data.bank.catalog.column("id"), data.bank.catalog.column("category"), strict=True))
    for episode in episodes.episodes:
        features, labels = [], []
        for ids in (episode.support, episode.query):
            features.append(np.stack([data.bank.features(ids, token=token) for token in range(2)]))
            labels.append(np.array([episodes.categories.index(category[i]) for i in ids]))
        yield Task(features[0], labels[0], features[1], labels[1])


def pooled(data: DataSet, shots: int, draws: int = 15) -> Iterator[Task]:
    """All instances of transistor, K of each category as support; their images are no queries."""
    catalog = data.bank.catalog
    ids, images, names = catalog.column("id"), catalog.column("image"), catalog.column("category")
    categories = sorted(set(names))
    labels = np.array([categories.index(name) for name in names])
    features = np.stack([data.bank.features(ids, token=token) for token in range(2)])
    for draw in range(draws):
        rng = random.Random(f"{draw}/{shots}")
        support = [i for c in range(len(categories)) for i in rng.sample(np.flatnonzero(labels == c).tolist(), shots)]
        taken = {images[i] for i in support}
        query = [i for i in range(len(ids)) if images[i] not in taken]
        yield Task(features[:, support], labels[support], features[:, query], labels[query])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("flawshot-benchmarks"), help="where banks are kept")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/adr/0008")
    options = parser.parse_args()
    found = variants()
    sums: dict[str, dict[tuple[str, int], list[float]]] = {name: {} for name in found}
    errors: dict[str, dict[tuple[str, int], list[float]]] = {}
    columns: list[tuple[str, int]] = []
    for data in data_sets(options.work):
        sources = [(data.name, each.shots, tasks(data, each)) for each in data.episodes]
        if data.name == "transistor":
            sources += [("pooled", shots, pooled(data, shots)) for shots in SHOTS]
        for place, shots, episodes in sources:
            columns += [(place, shots)] if (place, shots) not in columns else []
            for task in episodes:
                for name, variant in found.items():
                    right = variant(task.support, task.query, task.labels).argmax(axis=1) == task.truth
                    sums[name].setdefault((place, shots), []).append(float(right.mean()))
                for name, error in calibration(task).items():
                    errors.setdefault(name, {}).setdefault((place, shots), []).append(error)
    places = list(dict.fromkeys(place for place, _ in columns))
    accuracy = markdown("variant", sums, places, lambda value: f"{100 * value:.1f}")
    calibrated = markdown("calibration error, by the prior", errors, places, lambda value: f"{value:.3f}")
    print(f"{accuracy}\n\n{calibrated}")
    if options.write:
        put(accuracy, "ablation", ADR)
        put(calibrated, "calibration", ADR)


def markdown(
    title: str,
    values: dict[str, dict[tuple[str, int], list[float]]],
    places: list[str],
    word: Callable[[float], str],
) -> str:
    """Means as a Markdown table, a row a variant."""
    lines = [f"| {title} | " + " | ".join(f"{place} {'/'.join(map(str, SHOTS))}" for place in places) + " |"]
    lines.append("|" + "---|" * (1 + len(places)))
    for name, own in values.items():
        cells = [" / ".join(word(float(np.mean(own[place, shots]))) for shots in SHOTS) for place in places]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
