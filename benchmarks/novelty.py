"""What "unlike every category" should mean: ways to measure novelty, by drawn flaws, nothing else.

    python benchmarks/novelty.py [--work DIR] [--write]

8 drawn products of 6 categories, 30 instances each (seed 7001; ``uncertainty.py`` reports on others), flawshot-tiny
with its default views. Every category of every product is left out of the support set in two draws each; AUROC of
telling its queries from the others', mean over these 96 tasks and its standard error. ``--write`` puts the table into
``docs/adr/0015``.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import solve_triangular

import flawshot
from accuracy import put
from flawshot.classifiers.functional import category_means, normalize
from flawshot.classifiers.ridge import instance_means, view_statistics, view_whitener
from flawshot.models.calibration import novelty
from uncertainty import auroc, drawn_bank, episodes, table

if TYPE_CHECKING:
    from uncertainty import Asked

RECORD = Path(__file__).resolve().parents[1] / "docs" / "adr" / "0015-what-a-model-does-not-know.md"
SHOTS = (1, 3, 5, 10)
CATEGORIES, DRAWS = 6, 2


def candidates(asked: Asked) -> dict[str, np.ndarray]:
    """Novelty of the queries, by the names of its measures."""
    statistics, queries = view_statistics(asked.support), instance_means(asked.query)
    labels, categories = asked.labels, int(asked.labels.max()) + 1
    counts = np.bincount(labels)
    means = category_means(statistics.instances, labels, categories)
    strayed = statistics.instances - means[labels]
    within = (strayed.T @ strayed / max(len(labels) - categories, 1)).astype(np.float32)
    center = means.mean(axis=0)
    fitted = flawshot.make_classifier("whitened-ridge").fit(asked.support, labels)
    given = fitted.predict_proba(asked.query)
    logits = np.log(np.maximum(given, 1e-30))
    scores = fitted.temperature_ * (logits - logits.mean(axis=1, keepdims=True))  # they add up to nothing

    def whitened(scatter: np.ndarray, shrinkage: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Support, category means and queries."""
        factor = view_whitener(scatter, shrinkage)
        parts = (statistics.instances, means, queries)
        return tuple(solve_triangular(factor, (part - center).T, lower=True).T for part in parts)

    def apart(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Squared distances."""
        return np.stack([((x - each) ** 2).sum(axis=1) for each in y], axis=1)

    support, middle, query = whitened(statistics.scatter, 2.0)
    made = {
        "1 - probability of the most probable": 1 - given.max(axis=1),
        "- greatest score of `default`": -scores.max(axis=1),
        "1 - cosine to the nearest example, not whitened": 1
        - (normalize(queries) @ normalize(statistics.instances).T).max(axis=1),
        "1 - cosine to the nearest example, as `default` whitens": 1
        - (normalize(query) @ normalize(support).T).max(axis=1),
        "distance to the nearest example, as `default` whitens": apart(query, support).min(axis=1),
        "distance to the nearest category mean, as `default` whitens": (
            apart(query, middle) * (counts / (counts + 1))
        ).min(axis=1),
    }
    for shrinkage in (0.5, 2.0, 8.0):
        support, middle, query = whitened(statistics.scatter + within, shrinkage)
        name = f"whitened by views and categories, shrinkage {shrinkage:g}"
        made[f"distance to the nearest category mean, {name}"] = (apart(query, middle) * (counts / (counts + 1))).min(
            axis=1
        )
        if shrinkage == 2.0:
            made[f"distance to the nearest example, {name}"] = apart(query, support).min(axis=1)
    made["**`novelty`**"] = novelty(asked.support, labels, asked.query)
    return made


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, help="where drawings and banks are kept between calls")
    parser.add_argument("--write", action="store_true", help="put the table into docs/adr/0015")
    options = parser.parse_args()
    found: dict[str, dict[int, list[float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        work = options.work or Path(name)
        work.mkdir(parents=True, exist_ok=True)
        bank = drawn_bank(work, products=8, categories=CATEGORIES, images=160, seed=7001)
        for shots in SHOTS:
            for product in bank.catalog.products:
                for asked in episodes(bank, product, shots, range(DRAWS * CATEGORIES)):
                    for measure, values in candidates(asked).items():
                        known = asked.truth >= 0
                        told = auroc(values[known], values[~known])
                        found.setdefault(measure, {}).setdefault(shots, []).append(told)
    rows = [
        [measure, *(f"{np.mean(x):.3f} ± {np.std(x, ddof=1) / len(x) ** 0.5:.3f}" for x in by_shots.values())]
        for measure, by_shots in found.items()
    ]
    head = f"Weights of flawshot-tiny: `{bank.manifest.encoder.weights_hash}`."
    text = f"{head}\n\n{table(['AUROC', *(f'K = {shots}' for shots in SHOTS)], rows)}"
    print(text)
    if options.write:
        put(f"{text}\n", "novelty", RECORD)


if __name__ == "__main__":
    main()
