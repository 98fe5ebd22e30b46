"""Conditions of questions: clauses joined by and, or and not, in words and in SQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flawshot.base.wording import plural

if TYPE_CHECKING:
    from flawshot.inspect.asking.clauses import Clause
    from flawshot.inspect.asking.sizes import NumberRange

__all__ = ["Filter", "ImageFilter", "Statement"]

EVERYTHING = "true"


@dataclass(frozen=True, slots=True)
class Statement:
    """A clause, or its negation."""

    clause: Clause
    negated: bool = False

    @property
    def sql(self) -> str:
        """The condition in SQL."""
        return f"not ({self.clause.sql})" if self.negated else self.clause.sql

    @property
    def meaning(self) -> str:
        """The condition in words, with those of the question that it comes from."""
        return f'{"not: " if self.negated else ""}{self.clause.meaning} ("{self.clause.said}")'


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition on instances.

    Attributes:
        alternatives: One of them must hold. Each is a list of conditions that must all hold, and each of these a list
            of statements of which one must hold.
    """

    alternatives: tuple[tuple[tuple[Statement, ...], ...], ...] = ((),)

    @property
    def sql(self) -> str:
        """The condition in SQL."""
        parts = [_joined([_joined([each.sql for each in one], "or") for one in all_of], "and") for all_of in self._used]
        return _joined(parts, "or") or EVERYTHING

    @property
    def statements(self) -> list[Statement]:
        """All statements."""
        return [each for all_of in self.alternatives for one_of in all_of for each in one_of]

    def meaning(self) -> list[str]:
        """The condition in words, one line for each part."""
        lines: list[str] = []
        several = len(self._used) > 1
        for number, all_of in enumerate(self._used):
            if several:
                lines.append("either:" if not number else "or:")
            lines += [f"{'  ' if several else ''}{', or '.join(each.meaning for each in one_of)}" for one_of in all_of]
        return lines

    @property
    def _used(self) -> tuple[tuple[tuple[Statement, ...], ...], ...]:
        """The alternatives; an empty one holds for everything."""
        return () if any(not all_of for all_of in self.alternatives) else self.alternatives


@dataclass(frozen=True, slots=True)
class ImageFilter:
    """A condition on an image: how many of its instances satisfy another condition.

    Attributes:
        counted: The condition on the instances.
        numbers: How many there must be.
        negated: Whether there must not be so many.
    """

    counted: Filter
    numbers: NumberRange
    negated: bool = False

    @property
    def positive(self) -> bool:
        """Whether images that satisfy it have such instances."""
        return not self.holds(0)

    def holds(self, number: int) -> bool:
        """Whether an image with so many such instances satisfies it."""
        return self.numbers.holds(float(number)) != self.negated

    def meaning(self) -> list[str]:
        """The condition in words, one line for each part."""
        what = self.counted.meaning()
        head = f"on images with {'not ' if self.negated else ''}{self.numbers.meaning()} {self._noun}"
        return [f"{head} with:" if what else f"{head} of any kind", *(f"  {line}" for line in what)]

    @property
    def _noun(self) -> str:
        return plural(1 if self.numbers.meaning().endswith(" 1") else 2, "instance")


def _joined(parts: list[str], joint: str) -> str:
    """Conditions joined by and or or, in parentheses if there are several."""
    if len(parts) < 2:
        return "".join(parts)
    return f" {joint} ".join(f"({part})" if " and " in part or " or " in part else part for part in parts)
