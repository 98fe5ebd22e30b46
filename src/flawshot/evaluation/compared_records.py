"""The records that a comparison of results consists of, and their JSON file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import model_validator

from flawshot.base.store.files import Document, read_document, write_json
from flawshot.evaluation.result_records import Estimate, joined_support, shots_text

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ComparedResults", "ComparedScore", "ComparedSide"]


class ComparedSide(Document):
    """One of the evaluations that are compared.

    Attributes:
        name: Its name in tables.
        provenance: The provenance of its results: encoder, views, classifiers, versions.
    """

    name: str
    provenance: dict[str, Any]


class ComparedScore(Document):
    """The sides' accuracies on the same queries, at one K.

    Attributes:
        product: The product; None for the mean over products.
        shots: K.
        support: The fewest and the most support instances of a category; None if it is not known.
        n_query: Number of distinct query instances; their sum over products in a mean.
        classifiers: Each side's classifier; in most cases the same one.
        accuracy: Each side's accuracy.
        difference: Each side's paired difference in accuracy from the first side; None for that one.
    """

    product: str | None
    shots: int
    support: tuple[int, int] | None
    n_query: int
    classifiers: tuple[str, ...]
    accuracy: tuple[Estimate, ...]
    difference: tuple[Estimate | None, ...]

    @property
    def classifier(self) -> str:
        """The classifier's name, or those of all sides if they differ."""
        return " / ".join(dict.fromkeys(self.classifiers))

    @property
    def label(self) -> str:
        """K for display, with the actual number of support instances if it differs."""
        return shots_text(self.shots, self.support)


class ComparedResults(Document):
    """Results on the same episodes, side by side.

    Attributes:
        sides: What is compared; differences are from the first.
        scores: By product, K and classifier; then the means over products, if there are several. The classifier that
            each side names first, its reference, comes first.
        unshared: Products and K that not all sides have.
        provenance: Version and intervals of the comparison itself.
    """

    format: Literal["flawshot-comparison"] = "flawshot-comparison"
    version: Literal[1] = 1
    sides: tuple[ComparedSide, ...]
    scores: tuple[ComparedScore, ...]
    unshared: tuple[str, ...] = ()
    provenance: dict[str, Any]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        """Check that there are scores, and that each has one entry per side."""
        if len(self.sides) < 2:
            raise ValueError("sides: must be at least two")
        if not self.scores:
            raise ValueError("scores: must contain at least one")
        for each in self.scores:
            for name in ("classifiers", "accuracy", "difference"):
                if len(getattr(each, name)) != len(self.sides):
                    raise ValueError(f"scores: {name}: must have one entry per side")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The sides' names."""
        return tuple(side.name for side in self.sides)

    @property
    def products(self) -> tuple[str, ...]:
        """The products that all sides have."""
        return tuple(dict.fromkeys(each.product for each in self.scores if each.product is not None))

    def of(self, product: str | None) -> list[ComparedScore]:
        """The scores of one product, or, if None, the means over products; by K."""
        return sorted((each for each in self.scores if each.product == product), key=lambda each: each.shots)

    def shots_label(self, shots: int, product: str | None = None) -> str:
        """K for display, of one product or of all."""
        own = [each for each in self.scores if each.shots == shots and product in {None, each.product}]
        return shots_text(shots, joined_support(each.support for each in own))

    def with_provenance(self, known: Mapping[str, dict[str, Any]]) -> ComparedResults:
        """The same with what is known of each side, by its name."""
        sides = tuple(ComparedSide(name=each.name, provenance=known[each.name]) for each in self.sides)
        return self.model_copy(update={"sides": sides})

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the comparison as JSON.

        Raises:
            FlawshotError: If ``path`` exists with other content and ``overwrite`` is false.
        """
        write_json(Path(path), self.model_dump(mode="json"), overwrite=overwrite)

    @classmethod
    def load(cls, path: str | Path) -> ComparedResults:
        """Read a comparison.

        Raises:
            FlawshotError: With one line that names the file and the field, if the file is missing, damaged or not a
                comparison.
        """
        return read_document(Path(path), cls, "compare the results again")
