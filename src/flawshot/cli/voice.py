"""How much a command says: ``--quiet`` and ``--verbose``, and which options came from the environment."""

from __future__ import annotations

import functools
import inspect
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from flawshot.base.errors import FlawshotError
from flawshot.base.wording import counted
from flawshot.cli.wording import option_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["QuietOption", "VerboseOption", "Voice", "speaking", "this_voice", "with_voice"]

QuietOption = Annotated[
    bool,
    typer.Option(
        "-q", "--quiet", help="No progress and no remarks: only results, errors, and how much is left out in total."
    ),
]
VerboseOption = Annotated[
    bool,
    typer.Option("-v", "--verbose", help="Every problem instead of the first three of a kind; the traceback of a bug."),
]


@dataclass
class Voice:
    """How much one run of a command says.

    Attributes:
        quiet: Whether there are neither progress bars nor remarks.
        verbose: Whether all problems are listed.
        left_out: How many things were left out without a line of their own, because of ``quiet``.
        variables: The environment variables that values came from, by the command's parameter.
    """

    quiet: bool = False
    verbose: bool = False
    left_out: int = 0
    variables: dict[str, str] = field(default_factory=dict)

    def set(self, *, quiet: bool, verbose: bool) -> None:
        """Say less, or more; once said it holds, before the command and after it.

        Raises:
            FlawshotError: If both are wanted.
        """
        self.quiet, self.verbose = self.quiet or quiet, self.verbose or verbose
        if self.quiet and self.verbose:
            raise FlawshotError("--quiet and --verbose: give one of them")

    def words(self, name: str, value: str) -> str:
        """An argument as the user gave it, for :meth:`flawshot.FlawshotError.worded`: an option, or a variable."""
        if (variable := self.variables.get(name)) is None:
            return option_words(name, value)
        return f"{variable}={option_words(name, value).partition(' ')[2]}" if value else variable


_voice: ContextVar[Voice | None] = ContextVar("flawshot_voice", default=None)


def this_voice() -> Voice:
    """The voice of the command that runs; an ordinary one if none does."""
    return _voice.get() or Voice()


@contextmanager
def speaking(voice: Voice) -> Iterator[None]:
    """Within the block, commands have this voice."""
    token = _voice.set(voice)
    try:
        yield
    finally:
        _voice.reset(token)


def with_voice(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options ``--quiet`` and ``--verbose``, and note which options come from environment variables."""

    @functools.wraps(command)
    def heard(*, ctx: typer.Context, quiet: bool, verbose: bool, **given: Any) -> None:
        voice = this_voice()
        with speaking(voice):
            voice.set(quiet=quiet, verbose=verbose)
            voice.variables = _variables(ctx)
            try:
                command(**given)
            finally:
                if voice.left_out:
                    things = counted(voice.left_out, "item is", "items are")
                    typer.echo(f"{things} left out or unusable; without --quiet, the reasons are listed", err=True)

    more = {"quiet": QuietOption, "verbose": VerboseOption}
    context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=kind)
        for name, kind in more.items()
    ]
    signature = inspect.signature(command, eval_str=True)
    own = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in signature.parameters.values()]
    heard.__signature__ = signature.replace(parameters=[context, *own, *options])  # type: ignore[attr-defined]
    heard.__annotations__ = {"ctx": typer.Context} | get_type_hints(command, include_extras=True) | more
    return heard


def _variables(context: typer.Context) -> dict[str, str]:
    """The environment variables that a command's values come from, by parameter."""
    return {
        parameter.name: str(parameter.envvar)
        for parameter in context.command.params
        if parameter.name
        and parameter.envvar
        and (source := context.get_parameter_source(parameter.name)) is not None
        and source.name == "ENVIRONMENT"
    }
