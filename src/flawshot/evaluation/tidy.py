"""Results as a tidy table: one row per product, classifier, K, seed, category and metric."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from flawshot.evaluation.metrics import precision_and_f1

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flawshot.evaluation.result_records import CategoryScore, Comparison, Estimate, MeanScore, Run

__all__ = ["COLUMNS", "tidy_table"]

# Shares are from 0 to 1, log loss is in nats, times are in seconds.
COLUMNS = pa.schema(
    [
        pa.field("product", pa.string(), metadata={"about": "null: mean over products"}),
        pa.field("classifier", pa.string(), nullable=False),
        pa.field("reference", pa.string(), metadata={"about": "what a difference is from; else null"}),
        pa.field("transductive", pa.bool_(), metadata={"about": "whether it saw all queries at once"}),
        pa.field("shots", pa.int64(), nullable=False, metadata={"about": "K"}),
        pa.field("fewest_support", pa.int64(), metadata={"about": "support instances of a category, K unless short"}),
        pa.field("most_support", pa.int64(), metadata={"about": "likewise, the most"}),
        pa.field("seed", pa.int64(), metadata={"about": "null: over all seeds"}),
        pa.field("category", pa.string(), metadata={"about": "null: over all categories"}),
        pa.field("metric", pa.string(), nullable=False),
        pa.field("value", pa.float64()),
        pa.field("low", pa.float64(), metadata={"about": "lower end of the 95 % interval; null if there is none"}),
        pa.field("high", pa.float64(), metadata={"about": "its upper end"}),
        pa.field("std", pa.float64(), metadata={"about": "standard deviation over seeds (ddof 1)"}),
        pa.field("queries", pa.int64(), metadata={"about": "distinct query instances"}),
    ]
)


def tidy_table(runs: Sequence[Run], comparisons: Sequence[Comparison], means: Sequence[MeanScore]) -> pa.Table:
    """The table of :data:`COLUMNS`.

    Its metrics are ``accuracy``, ``macro_recall``, ``ece``, ``brier`` and ``log_loss`` with intervals; ``recall``,
    ``precision`` and ``f1`` by category; ``accuracy``, ``macro_recall``, ``fit_seconds`` and ``predict_seconds`` by
    seed; and ``accuracy_difference`` from the reference.

    Args:
        runs: One per product, classifier and K.
        comparisons: Paired differences.
        means: Means over products.
    """
    transductive = {run.classifier: run.transductive for run in runs}
    rows = [row for run in runs for row in _of_run(run)]
    for mean in means:
        shared = {"classifier": mean.classifier, "shots": mean.shots, "transductive": transductive.get(mean.classifier)}
        shared |= _support(mean.support)
        for name in ("accuracy", "brier", "log_loss"):
            estimate: Estimate | None = getattr(mean, name)
            if estimate is not None:
                rows.append(shared | {"metric": name} | _estimate(estimate))
    rows += [
        {
            "product": each.product,
            "classifier": each.classifier,
            "reference": each.reference,
            "transductive": transductive.get(each.classifier),
            "shots": each.shots,
            "metric": "accuracy_difference",
            **_support(each.support),
            **_estimate(each.difference),
        }
        for each in comparisons
    ]
    return pa.Table.from_pylist(rows, schema=COLUMNS)


def _of_run(run: Run) -> Iterator[dict[str, Any]]:
    shared = {
        "product": run.product,
        "classifier": run.classifier,
        "transductive": run.transductive,
        "shots": run.shots,
        **_support(run.support),
    }
    for name in ("accuracy", "macro_recall", "ece", "brier", "log_loss"):
        estimate: Estimate | None = getattr(run, name)
        if estimate is not None:
            yield shared | {"metric": name, "queries": run.n_query} | _estimate(estimate)
    others = None if run.confusion is None else precision_and_f1(run.confusion)
    for number, category in enumerate(run.categories):
        score = run.per_category[category]
        own = shared | {"category": category, "queries": score.n_query}
        yield own | {"metric": "recall"} | _recall(score)
        if others is not None:
            precision, f1 = others[number]
            yield own | {"metric": "precision", "value": precision}
            yield own | {"metric": "f1", "value": f1}
    for episode in run.episodes:
        for name in ("accuracy", "macro_recall", "fit_seconds", "predict_seconds"):
            yield shared | {"seed": episode.seed, "metric": name, "value": getattr(episode, name)}


def _support(support: tuple[int, int] | None) -> dict[str, int | None]:
    fewest, most = (None, None) if support is None else support
    return {"fewest_support": fewest, "most_support": most}


def _estimate(estimate: Estimate) -> dict[str, float | None]:
    low, high = estimate.ci95
    return {"value": estimate.mean, "low": low, "high": high, "std": estimate.std}


def _recall(score: CategoryScore) -> dict[str, float | None]:
    low, high = (None, None) if score.ci95 is None else score.ci95
    return {"value": score.mean, "low": low, "high": high}
