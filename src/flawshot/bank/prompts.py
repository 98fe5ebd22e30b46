"""Prompts: the texts by which a text tower encodes a category."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from flawshot.base.errors import FlawshotError, printable
from flawshot.base.store.files import Document, read_document

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["TEMPLATES", "Prompts", "prompts_of", "read_prompts", "words"]

# Prompts that suit a defect on an industrial product; by default their ensemble represents a category.
TEMPLATES = (
    "a photo of a {product} with a {category}",
    "a photo of a {category} on a {product}",
    "a close-up photo of a {product} with a {category}",
    "a close-up photo of a {category} on a {product}",
    "a cropped photo of a {product} with a {category} defect",
    "an inspection image of a {product} that shows a {category}",
    "a {product} with a {category} defect",
    "a {category} defect",
)
FIELD = re.compile(r"\{(category|product)\}")
REMEDY = "fix it as docs/formats.md describes"


@dataclass(frozen=True)
class Prompts:
    """The prompts of all categories.

    ``{category}`` and ``{product}`` are replaced by the words of an instance's label and product; there are no others.

    Attributes:
        templates: Prompts of every category that has no prompts of its own.
        categories: A category's own prompts, by label; they replace the templates.

    Raises:
        FlawshotError: With one line that names the prompt, if it is empty, has several lines or other braces, or is a
            template without ``{category}``.
    """

    templates: tuple[str, ...] = TEMPLATES
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check every prompt; lists of them become tuples."""
        object.__setattr__(self, "templates", _tuple("templates", self.templates))
        own = {category: _tuple(f"categories.{category}", given) for category, given in self.categories.items()}
        object.__setattr__(self, "categories", own)
        _check("templates", self.templates)
        for number, template in enumerate(self.templates):
            if "{category}" not in template:
                raise FlawshotError(f"templates.{number}: has no {{category}}, so it is the same for every category")
        for category, given in self.categories.items():
            _check(f"categories.{printable(category)}", given)


class _PromptsFile(Document):
    """A JSON file of prompts."""

    format: Literal["flawshot-prompts"]
    version: Literal[1]
    templates: tuple[str, ...] = TEMPLATES
    categories: dict[str, tuple[str, ...]] = Field(default_factory=dict)


def read_prompts(path: str | Path) -> Prompts:
    """Read a file of prompts; the built-in templates are used if it has none.

    Raises:
        FlawshotError: With one line that names the file and the field, if it is missing, damaged or foreign, or a
            prompt is invalid.
    """
    path = Path(path)
    document = read_document(path, _PromptsFile, REMEDY)
    try:
        return Prompts(document.templates, document.categories)
    except FlawshotError as error:
        raise FlawshotError(f"{path}: {error.marked}; {REMEDY}") from error


def prompts_of(prompts: Prompts, product: str, category: str) -> list[str]:
    """The prompts of one category of one product.

    >>> prompts_of(Prompts(("a {product} with a {category}",)), "metal_nut", "Bent-Lead")
    ['a metal nut with a bent lead']
    """
    said = {"product": words(product), "category": words(category)}
    chosen = prompts.categories.get(category, prompts.templates)
    # In one pass, so that a label's own braces are not replaced.
    return [FIELD.sub(lambda found: said[found[1]], prompt) for prompt in chosen]


def words(name: str) -> str:
    """The words of a label or product name.

    >>> words("Bent_lead-2")
    'bent lead 2'
    """
    return " ".join(re.sub(r"[_-]+", " ", name).lower().split())


def _tuple(place: str, prompts: Sequence[str]) -> tuple[str, ...]:
    if isinstance(prompts, str):
        raise FlawshotError(f"{printable(place)}: must be a sequence of prompts, not one")
    return tuple(prompts)


def _check(place: str, prompts: tuple[str, ...]) -> None:
    if not prompts:
        raise FlawshotError(f"{place}: contains no prompt")
    for number, prompt in enumerate(prompts):
        if not prompt.strip():
            raise FlawshotError(f"{place}.{number}: is empty")
        if not prompt.isprintable():
            raise FlawshotError(f"{place}.{number}: {printable(prompt)!r} must be one line of printable text")
        if re.search(r"[{}]", FIELD.sub("", prompt)):
            raise FlawshotError(
                f"{place}.{number}: {printable(prompt)!r} has braces other than {{category}} and {{product}}"
            )
