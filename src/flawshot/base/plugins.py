"""What installed packages add to flawshot, by entry points."""

from __future__ import annotations

import importlib
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from flawshot.base.errors import FlawshotError

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["load_object", "plugin_address", "plugin_names"]


def plugin_names(group: str, own: Collection[str]) -> list[str]:
    """The names of a group of entry points, sorted, without those that flawshot has itself: its own come first."""
    return sorted({point.name for point in entry_points(group=group)}.difference(own))


def plugin_address(group: str, name: str) -> tuple[str, str]:
    """Module and attribute of an entry point that is there."""
    point = next(iter(entry_points(group=group, name=name)))
    return point.module, point.attr


def load_object(module: str, attribute: str, what: str) -> Any:
    """What a module of a package has under a name.

    Args:
        module: The module's full name.
        attribute: The name in it.
        what: What an error calls it, such as ``classifier 'mine'``.

    Raises:
        FlawshotError: If it cannot be imported.
    """
    try:
        return getattr(importlib.import_module(module), attribute)
    except Exception as error:  # a module of others may raise anything when it is loaded
        reason = " ".join(str(error).split())[:200]
        raise FlawshotError(f"{what}: {module}:{attribute} cannot be loaded ({reason})") from error
