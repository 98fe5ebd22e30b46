"""Commands built from a format's function: its signature defines the options, its module how they are shown."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from flawshot.base.arguments import worded
from flawshot.base.errors import FlawshotError
from flawshot.cli.environment import WORKERS
from flawshot.cli.options import with_shared_options
from flawshot.cli.wording import option_of, option_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from flawshot.base.errors import Problem
    from flawshot.formats import Exporter, Importer, Option

__all__ = ["FormatGroup", "Given", "Shown"]

VARIABLE_OF: Final = {"workers": WORKERS}
KINDS: Final = {"str": str, "int": int, "float": float, "bool": bool, "Path": Path}


class FormatGroup(TyperGroup, ABC):
    """A group with one command per entry of a table; a format's module is loaded when its command is used."""

    @abstractmethod
    def table(self) -> Mapping[str, Importer | Exporter]:
        """The formats by command name."""

    @abstractmethod
    def made(self, entry: Any, function: Callable[..., Any]) -> Callable[..., None]:
        """The command that calls a format's function."""

    @cached_property
    def _formats(self) -> Mapping[str, Importer | Exporter]:
        return self.table()

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of all commands: those of the table, then those written by hand."""
        own = super().list_commands(ctx)
        return [*(name for name in self._formats if name not in own), *own]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command with this name, or None."""
        own, entry = super().get_command(ctx, cmd_name), self._formats.get(cmd_name)
        return own if own is not None or entry is None else _Command(cmd_name, entry, self.made)


class _Command(TyperCommand):
    """A format's command; listing it does not load the format's module."""

    def __init__(self, name: str, entry: Importer | Exporter, made: Callable[..., Callable[..., None]]) -> None:
        super().__init__(name, help=entry.help or _first_line(name, entry), rich_markup_mode=None)
        self._entry, self._make = entry, made

    def get_params(self, ctx: Any) -> list[Any]:
        if self.callback is None:
            from flawshot.formats import load_function

            single = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
            single.command()(with_shared_options(self._make(self._entry, load_function(str(self.name), self._entry))))
            command = typer.main.get_command(single)
            self.params, self.callback = command.params, command.callback
        return super().get_params(ctx)


def _first_line(name: str, entry: Importer | Exporter) -> str:
    from flawshot.formats import load_function

    try:
        return (inspect.getdoc(load_function(name, entry)) or "").partition("\n\n")[0]
    except FlawshotError as error:
        return str(error)


class Given(NamedTuple):
    """What a user gave.

    Attributes:
        places: The first two arguments: the source and the output.
        arguments: The other arguments, by the function's parameter names.
        words: How the function's arguments are worded, for :meth:`flawshot.FlawshotError.worded`.
    """

    places: tuple[Path, Path]
    arguments: dict[str, Any]
    words: Callable[[str, str], str]

    def problem(self, problem: Problem) -> Problem:
        """A problem with its arguments worded as options."""
        place = replace(problem, message="").marked
        return replace(problem, message=worded(problem.marked.removeprefix(place), self.words))

    def error(self, error: FlawshotError) -> FlawshotError:
        """An error with its arguments worded as options."""
        return FlawshotError(error.worded(self.words))


class Shown:
    """A function's parameters as a command's arguments and options.

    Args:
        function: The function; its parameters are the source, the output, and keyword parameters.
        apart: Parameters that are not options, or that the command declares itself.
        unset: Parameters that default to None, whatever the function's default.
        source: How the first argument is shown if the function's module does not define it.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        apart: frozenset[str],
        *,
        unset: frozenset[str] = frozenset(),
        source: Any = None,
    ) -> None:
        from flawshot.formats import Option, options_of

        own = options_of(function)
        first, second, *others = inspect.signature(function).parameters.values()
        self._shown = {name: (each,) if isinstance(each, Option) else each for name, each in own.items()}
        self._options: dict[
            str, tuple[str, str]
        ] = {}  # the command's parameter -> the function's parameter and the option's name
        self._places = first.name, second.name
        self._parameters = [_argument(first, "SRC", self._of(first)), _argument(second, "OUT", self._of(second))]
        if source is not None:
            self._parameters[0] = first.replace(annotation=source)
        for parameter in others:
            if parameter.name in unset:
                self._parameters += self._as_options(parameter.replace(default=None))
            elif parameter.name not in apart:
                self._parameters += self._as_options(parameter)

    def _of(self, parameter: inspect.Parameter) -> tuple[Option | None, ...]:
        return self._shown.get(parameter.name, (None,))

    def _as_options(self, parameter: inspect.Parameter) -> Iterator[inspect.Parameter]:
        several = self._of(parameter)
        for number, option in enumerate(several):
            name = parameter.name if len(several) == 1 else f"{parameter.name}_{number}"
            flag = (option and option.name) or option_of(parameter.name)
            self._options[name] = parameter.name, flag
            yield _option(parameter, name, flag, option)

    def command(self, call: Callable[..., None], more: Mapping[str, tuple[Any, Any]]) -> Callable[..., None]:
        """A command with these parameters and some more.

        Args:
            call: Called with the user's input as :class:`Given`, and with the values of ``more`` by name.
            more: Defaults and annotations of further options.
        """

        def command(**values: Any) -> None:
            call(self._given(values), **{name: values[name] for name in more})

        last = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
            for name, (default, annotation) in more.items()
        ]
        parameters = [*self._parameters, *last]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return command

    def _given(self, values: Mapping[str, Any]) -> Given:
        arguments: dict[str, Any] = {}
        used: dict[str, str] = {}
        for name, (parameter, flag) in self._options.items():
            value = values[name]
            arguments.setdefault(parameter, value)
            if value is not None:
                if parameter in used:
                    raise FlawshotError(f"{used[parameter]} and {flag}: give one of them")
                arguments[parameter], used[parameter] = value, flag

        def words(name: str, value: str) -> str:
            flags = [flag for parameter, flag in self._options.values() if parameter == name]
            if not flags:
                return option_words(name, value)
            flag = used.get(name) or (flags[-1] if value else " or ".join(flags))
            return option_words(name, value).replace(option_of(name), flag, 1)

        source, out = (values[name] for name in self._places)
        return Given((source, out), arguments, words)


def _argument(parameter: inspect.Parameter, metavar: str, options: tuple[Option | None, ...]) -> inspect.Parameter:
    option = options[-1]
    shown = typer.Argument(metavar=(option and option.metavar) or metavar, help=option.help if option else None)
    return parameter.replace(annotation=Annotated[Path, shown])


def _option(parameter: inspect.Parameter, name: str, flag: str, option: Option | None) -> inspect.Parameter:
    annotation = parameter.annotation
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    found = [kind for part in text.split("|") if (kind := KINDS.get(part.strip().rpartition(".")[2]))]
    if len(found) != 1:
        raise TypeError(f"{parameter.name}: {text}: an option's type must be one of {', '.join(KINDS)}, or None")
    shown = typer.Option(
        flag,
        metavar=option.metavar if option else None,
        help=option.help if option else None,
        min=option.least if option else None,
        envvar=VARIABLE_OF.get(name),
    )
    shown_as: Any = found[0] | None if parameter.default is None else found[0]
    return parameter.replace(name=name, annotation=Annotated[shown_as, shown])
