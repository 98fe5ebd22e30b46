"""Results of an evaluation, and their JSON file."""

from __future__ import annotations

import importlib.util
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import model_validator

from flawshot.base.errors import FlawshotError, printable
from flawshot.base.html_tables import LONGEST_CELL, table_html
from flawshot.base.store.files import Document, read_document, write_json
from flawshot.evaluation.curves import accuracy_lines, chosen_lines, new_axes
from flawshot.evaluation.intervals import percent
from flawshot.evaluation.result_records import (
    Answers,
    Comparison,
    MeanScore,
    Run,
    indices_within,
    joined_support,
    shots_text,
)
from flawshot.evaluation.tidy import tidy_table

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from matplotlib.axes import Axes

__all__ = ["Results"]


class Results(Document):
    """All results of an evaluation.

    Attributes:
        runs: One entry per product, classifier and K.
        comparisons: Paired differences from the first classifier named, on the same draws.
        means: Mean accuracies, Brier scores and log losses over products, if there are several.
        provenance: What the evaluation was run on: encoder, views, protocol, fingerprints, versions.
        answers: The answers to each query, by product and K; empty in files of version 1.
    """

    format: Literal["flawshot-results"] = "flawshot-results"
    version: Literal[1, 2, 3, 4, 5] = 5
    runs: tuple[Run, ...]
    comparisons: tuple[Comparison, ...]
    means: tuple[MeanScore, ...]
    provenance: dict[str, Any]
    answers: tuple[Answers, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        """Check that there is a run, and that answers refer to the runs' categories."""
        if not self.runs:
            raise ValueError("runs: must contain at least one")
        categories = {(run.product, run.shots): len(run.categories) for run in self.runs}
        for each in self.answers:
            if (each.product, each.shots) not in categories:
                raise ValueError(f"answers: {each.product} at {each.shots} shots is in no run")
            for name, column in {"true": each.true, **each.predicted}.items():
                indices_within(f"answers.{name}", column, categories[each.product, each.shots])
        return self

    def __repr__(self) -> str:
        """What was evaluated, in one line; pydantic's own lists every answer."""
        products = len({run.product for run in self.runs})
        shots = ", ".join(map(str, sorted({run.shots for run in self.runs})))
        names = printable(", ".join(dict.fromkeys(run.classifier for run in self.runs)), LONGEST_CELL)
        return f"Results(products={products}, shots=[{shots}], classifiers=[{names}])"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        """Accuracies by product, K and classifier, for a notebook."""
        products = dict.fromkeys(run.product for run in self.runs)
        every: list[tuple[str, str | None, Run | MeanScore]] = [
            *((f"mean of {len(products)} products", None, mean) for mean in self.means),
            *(
                (run.product, run.product, run)
                for run in sorted(self.runs, key=lambda run: [*products].index(run.product))
            ),
        ]
        rows = [
            (
                name,
                self.shots_label(each.shots, product),
                each.classifier,
                percent(each.accuracy.mean, each.accuracy.ci95),
            )
            for name, product, each in every
        ]
        columns = ["product", "shots (K)", "classifier", "accuracy, % [95 % interval]"]
        return table_html("Results", columns, rows, len(rows))

    @property
    def reference(self) -> str:
        """The classifier that the others are compared with: the one that was named first."""
        return self.comparisons[0].reference if self.comparisons else self.runs[0].classifier

    def shots_label(self, shots: int, product: str | None = None) -> str:
        """K for display: ``5``, or ``5 (1-3)`` with the fewest and the most if some supports had fewer.

        Args:
            shots: K.
            product: One product; all products if None.
        """
        own = [run.support for run in self.runs if run.shots == shots and product in {None, run.product}]
        return shots_text(shots, joined_support(own))

    def to_arrow(self) -> pa.Table:
        """The results as a tidy table: one row per product, classifier, K, seed, category and metric.

        Its columns are explained in :data:`flawshot.evaluation.tidy.COLUMNS`.
        """
        return tidy_table(self.runs, self.comparisons, self.means)

    def to_pandas(self) -> pd.DataFrame:
        """The table of :meth:`to_arrow` as a data frame.

        Raises:
            FlawshotError: If pandas is not installed.
        """
        if importlib.util.find_spec("pandas") is None:
            raise FlawshotError("pandas is not installed; install it with pip install pandas, or use to_arrow()")
        frame: pd.DataFrame = self.to_arrow().to_pandas()
        return frame

    def plot(self, product: str | None = None) -> Axes:
        """Draw accuracy against K with its 95 % intervals, one line per classifier or baseline.

        Args:
            product: The product; if None, the mean over products, or the only one.

        Returns:
            matplotlib's axes, in a new figure of pyplot; ``plot().figure.savefig(…)`` writes it to a file.

        Raises:
            FlawshotError: If there is no such product.
        """
        lines = chosen_lines(accuracy_lines(self.runs, self.means), product)
        products = dict.fromkeys(run.product for run in self.runs)
        mean = product is None and len(products) > 1
        title = f"mean of {len(products)} products" if mean else product or next(iter(products))
        axes: Axes = new_axes(lines, title, partial(self.shots_label, product=None if mean else title))
        return axes

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the results as JSON.

        Raises:
            FlawshotError: If ``path`` exists with other content and ``overwrite`` is false.
        """
        write_json(Path(path), self.model_dump(mode="json"), overwrite=overwrite)

    @classmethod
    def load(cls, path: str | Path) -> Results:
        """Read results.

        Raises:
            FlawshotError: With one line that names the file and the field, if the file is missing, damaged or not a
                results file.
        """
        return read_document(Path(path), cls, "run the evaluation again")
