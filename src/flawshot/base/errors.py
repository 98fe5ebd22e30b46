"""What can be wrong with what a user gives, said in one line each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from flawshot.base.arguments import arguments_in, in_python, worded

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["AnnotationError", "EpisodeError", "FeatureBankError", "FlawshotError", "Problem", "printable"]

Severity = Literal["error", "warning"]
# What is put before a line, such as "flawshot: " or "warning: ", comes on top, and the whole stays under 500.
LONGEST_LINE = 480


def printable(text: str, longest: int = LONGEST_LINE) -> str:
    r"""Text from a file on one line that a terminal only shows: control characters escaped, very long ones cut.

    The middle goes, so that a file's name before it and the remedy at the end stay. Such text comes back as it is.

    >>> printable("a\x1b[31m\nb")
    'a\\x1b[31m\\nb'
    >>> printable("file: " + 90 * "long" + ": rename it", 40)
    'file: longlonglongl…glonglong: rename it'
    """
    half = longest // 2
    # A text of megabytes is not escaped only to be cut.
    parts = [text] if len(text) <= longest else [text[: half + 1], text[-half:]]
    safe = "…".join(map(_escaped, parts))
    return safe if len(safe) <= longest else f"{safe[: longest - half - 1]}…{safe[-half:]}"


def _escaped(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


class FlawshotError(ValueError):
    """A mistake that a user can fix; its text is one short line that names the file, the field and the remedy.

    Args:
        message: The line; what a user's files and names bring into it may be of any length and contain any character.
            Arguments in it are marked by :func:`~flawshot.base.arguments.argument`, so that Python and the command
            line each read their own spelling.

    Attributes:
        fields: The arguments that the message names, by their names in Python, in order.

    >>> from flawshot.base.arguments import argument
    >>> error = FlawshotError(f"{argument('device', 'cuda9')}: is not there")
    >>> str(error), error.fields
    ("device='cuda9': is not there", ('device',))
    """

    def __init__(self, message: object = "") -> None:
        #: The message with its marks, for messages that are made of this one.
        self.marked: str = message.marked if isinstance(message, FlawshotError) else str(message)
        self.fields = arguments_in(self.marked)
        super().__init__(printable(in_python(self.marked)))

    def worded(self, words: Callable[[str, str], str]) -> str:
        """The line with its arguments in other words; see :func:`flawshot.base.arguments.worded`."""
        return printable(worded(self.marked, words))

    def __reduce__(self) -> tuple[type[FlawshotError], tuple[object]]:
        """Keep the marks on the way to another process."""
        return type(self), (self.marked,)


class EpisodeError(FlawshotError):
    """An episode that cannot be drawn, or an episode file that does not hold what it claims."""


class FeatureBankError(FlawshotError):
    """A feature bank that is damaged, foreign, or does not fit what is asked of it."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, or odd, in an annotation file.

    Attributes:
        file: The file's path, as the user gave it or relative to the data root (POSIX).
        kind: A short code that findings of one sort share, such as ``missing-image``.
        message: What is wrong and what to do about it, in one line; quoted input is escaped, and cut if it is long.
        severity: ``error`` where something is left out or cannot be encoded, ``warning`` where it is odd but used.
        shape: Index of the shape in its file, or None where the file as a whole is meant.

    >>> str(Problem("a.json", "too-few-points", "a polygon needs at least 3 points, not 2", shape=4))
    'a.json: shape 4: a polygon needs at least 3 points, not 2'
    """

    file: str
    kind: str
    message: str
    severity: Severity = "error"
    shape: int | None = None

    def __post_init__(self) -> None:
        """Keep the message one short line, for what it quotes may be of any length."""
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
        """The line with its arguments in other words, as :meth:`FlawshotError.worded`."""
        return printable(worded(self.marked, words))


class AnnotationError(FlawshotError):
    """An annotation file that cannot be used.

    Attributes:
        problem: The same as data: file, shape index, kind.
    """

    def __init__(self, problem: Problem) -> None:
        """Take the problem's one line as the error's text."""
        super().__init__(problem.marked)
        self.problem = problem

    def __reduce__(self) -> tuple[type[FlawshotError], tuple[object]]:
        """Keep the problem on the way to another process."""
        return type(self), (self.problem,)
