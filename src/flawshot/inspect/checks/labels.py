"""Checks for labels that are probably two spellings of one category, and for categories with too few instances."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from itertools import combinations
from typing import TYPE_CHECKING

from flawshot.base.arguments import argument
from flawshot.base.errors import Problem
from flawshot.formats.texts import plain_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flawshot.catalog import Catalog

__all__ = ["differ_by_a_letter", "similar_labels", "small_categories"]

LEAST_LETTERS = 4


def similar_labels(catalog: Catalog) -> list[Problem]:
    """Report labels of one product that differ by case, spaces, underscores, hyphens, Unicode form, or one letter."""
    problems = []
    counts = Counter(zip(catalog.column("product"), catalog.column("category"), strict=True))
    first: dict[tuple[str, str], str] = {}
    for product, category, identifier in zip(
        *(catalog.column(name) for name in ("product", "category", "id")), strict=True
    ):
        first.setdefault((product, category), identifier)
    for product in catalog.products:
        labels = sorted(label for own, label in counts if own == product and label)
        for pair in combinations(labels, 2):
            how = _difference(*pair)
            if how:
                rare, usual = sorted(pair, key=lambda label: (counts[product, label], label))
                message = (
                    f"label {rare!r} ({_instances(counts[product, rare])} of {product}) and {usual!r} "
                    f"({counts[product, usual]}) differ {how}; if they mean one category, rename it"
                )
                file, _, index = first[product, rare].rpartition("#")
                problems.append(Problem(file, "similar-labels", message, "warning", int(index)))
    return problems


def _instances(count: int) -> str:
    return f"{count} instance{'' if count == 1 else 's'}"


def _difference(a: str, b: str) -> str:
    if a.strip() != b.strip() and plain_text(a) == plain_text(b):
        return f"only in what cannot be seen, such as the Unicode form ({ascii(a)[:80]} and {ascii(b)[:80]})"
    a, b = (unicodedata.normalize("NFKC", plain_text(label)) for label in (a, b))
    one, other = (re.sub(r"[\s_-]+", "", label).casefold() for label in (a, b))
    if one == other:
        return "only by case, spaces, underscores, hyphens or the width of letters"
    return "by one letter" if differ_by_a_letter(one, other) else ""


def differ_by_a_letter(a: str, b: str) -> bool:
    """Whether two labels of four letters or more differ by one added, missing or changed letter.

    Digits number categories, so labels that differ by a digit are different.

    >>> [differ_by_a_letter("scratch", other) for other in ("scrach", "scratsh", "scratch2", "stretch", "s")]
    [True, True, False, False, False]
    """
    if abs(len(a) - len(b)) > 1 or min(sum(map(str.isalpha, label)) for label in (a, b)) < LEAST_LETTERS:
        return False
    short, long = sorted((a, b), key=len)
    start = next((n for n, (x, y) in enumerate(zip(short, long, strict=False)) if x != y), len(short))
    same_length = len(short) == len(long)
    if short[start + same_length :] != long[start + 1 :]:
        return False
    return short != long and all(c.isalpha() for c in short[start : start + same_length] + long[start : start + 1])


def small_categories(catalog: Catalog, shots: Sequence[int]) -> list[Problem]:
    """Report categories too small for K support instances and one query; the finding's file is the product."""
    problems = []
    counts = Counter(zip(catalog.column("product"), catalog.column("category"), strict=True))
    for (product, category), count in sorted(counts.items()):
        short = [str(k) for k in sorted(shots) if count < k + 1]
        if short and category:
            message = (
                f"category {category!r} has {_instances(count)}, too few for {', '.join(short)} shots and a query; "
                f"annotate more, or lower {argument('shots')}"
            )
            problems.append(Problem(product, "small-category", message, "warning"))
    return problems
