"""Errors of several products, reported together."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from flawshot.base.errors import FlawshotError, printable
from flawshot.cli.voice import this_voice

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Failures", "refusal"]

MISTAKE = 2  # the exit status


def refusal(message: str) -> str:
    """The line in which a command refuses.

    >>> refusal("a.json: is missing")
    'flawshot: a.json: is missing'
    """
    return f"flawshot: {printable(' '.join(message.split()))}"


class Failures:
    """Collects the first error of each product, so that all are known before anything is written."""

    def __init__(self) -> None:
        self._errors: dict[str, FlawshotError] = {}

    @contextmanager
    def of(self, product: str) -> Iterator[None]:
        """Within the block, an error ends the block only, and is kept if it is the product's first."""
        try:
            yield
        except FlawshotError as error:
            self._errors.setdefault(product, error)

    def refuse(self) -> None:
        """Stop if there are errors, with one line for each product.

        Raises:
            FlawshotError: The error, if there is one only.
            Exit: If there are several.
        """
        errors = list(self._errors.values())
        if len(errors) == 1:
            raise errors[0]
        for error in errors:
            typer.echo(refusal(error.worded(this_voice().words)), err=True)
        if errors:
            raise typer.Exit(MISTAKE)
