"""Errors in a user's input, each reported in one line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from flawshot.base.arguments import arguments_in, in_python, worded

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["AnnotationError", "EpisodeError", "FeatureBankError", "FlawshotError", "Problem", "printable"]

Severity = Literal["error", "warning"]
# A prefix such as "flawshot: " or "warning: " is added, and the total stays under 500.
LONGEST_LINE = 480


def printable(text: str, longest: int = LONGEST_LINE) -> str:
    r"""Text from a file as one line that is safe to print: control characters are escaped, long text is shortened.

    The middle is cut, so that the file name at the start and the remedy at the end stay. Applying it twice changes
    nothing.

    >>> printable("a\x1b[31m\nb")
    'a\\x1b[31m\\nb'
    >>> printable("file: " + 90 * "long" + ": rename it", 40)
    'file: longlonglongl…glonglong: rename it'
    """
    half = longest // 2
    # Cut first, so that megabytes of text are not escaped in vain.
    parts = [text] if len(text) <= longest else [text[: half + 1], text[-half:]]
    safe = "…".join(map(_escaped, parts))
    return safe if len(safe) <= longest else f"{safe[: longest - half - 1]}…{safe[-half:]}"


def _escaped(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


class FlawshotError(ValueError):
    """An error that a user can fix; its text is one short line that names the file, the field and the remedy.

    Args:
        message: The line; text from a user's files in it may have any length and contain any character. Arguments in
            it are marked by :func:`~flawshot.base.arguments.argument`, so that Python users and command-line users
            each see their own spelling.

    Attributes:
        fields: The Python names of the arguments in the message, in order.

    >>> from flawshot.base.arguments import argument
    >>> error = FlawshotError(f"{argument('device', 'cuda9')}: is not available")
    >>> str(error), error.fields
    ("device='cuda9': is not available", ('device',))
    """

    def __init__(self, message: object = "") -> None:
        #: The message with its marks, for use in other messages.
        self.marked: str = message.marked if isinstance(message, FlawshotError) else str(message)
        self.fields = arguments_in(self.marked)
        super().__init__(printable(in_python(self.marked)))

    def worded(self, words: Callable[[str, str], str]) -> str:
        """The line with its arguments spelled differently; see :func:`flawshot.base.arguments.worded`."""
        return printable(worded(self.marked, words))

    def __reduce__(self) -> tuple[type[FlawshotError], tuple[object]]:
        """Keep the marks when pickled."""
        return type(self), (self.marked,)


class EpisodeError(FlawshotError):
    """An episode that cannot be drawn, or an episode file that does not contain what it claims."""


class FeatureBankError(FlawshotError):
    """A feature bank that is damaged, foreign, or unfit for the request."""


@dataclass(frozen=True)
class Problem:
    """One error or oddity in an annotation file.

    Attributes:
        file: The file's path, as the user gave it or relative to the data root (POSIX).
        kind: A short code for this type of problem, such as ``missing-image``.
        message: What is wrong and what to do about it, in one line; quoted input is escaped, and cut if it is long.
        severity: ``error`` if something is left out or cannot be encoded, ``warning`` if it is odd but used.
        shape: Index of the shape in its file, or None if the problem concerns the whole file.

    >>> str(Problem("a.json", "too-few-points", "a polygon needs at least 3 points, not 2", shape=4))
    'a.json: shape 4: a polygon needs at least 3 points, not 2'
    """

    file: str
    kind: str
    message: str
    severity: Severity = "error"
    shape: int | None = None

    def __post_init__(self) -> None:
        """Reduce the message to one short line; what it quotes may have any length."""
        object.__setattr__(self, "_marked", self.message)
        object.__setattr__(self, "message", printable(in_python(self.message)))

    def __str__(self) -> str:
        """The problem as one line: file, shape, message."""
        return printable(in_python(self.marked))

    @property
    def marked(self) -> str:
        """The line with its arguments marked; see :class:`FlawshotError`."""
        place = self.file if self.shape is None else f"{self.file}: shape {self.shape}"
        return f"{place}: {self.__dict__['_marked']}"

    def worded(self, words: Callable[[str, str], str]) -> str:
        """The line with its arguments spelled differently, as :meth:`FlawshotError.worded`."""
        return printable(worded(self.marked, words))


class AnnotationError(FlawshotError):
    """An annotation file that cannot be used.

    Attributes:
        problem: The same information as data: file, shape index, kind.
    """

    def __init__(self, problem: Problem) -> None:
        """Use the problem's line as the error's text."""
        super().__init__(problem.marked)
        self.problem = problem

    def __reduce__(self) -> tuple[type[FlawshotError], tuple[object]]:
        """Keep the problem when pickled."""
        return type(self), (self.problem,)
