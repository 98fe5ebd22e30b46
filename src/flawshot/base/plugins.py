"""Entry points by which installed packages extend flawshot."""

from __future__ import annotations

import importlib
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from flawshot.base.errors import FlawshotError

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["load_object", "plugin_address", "plugin_names"]


def plugin_names(group: str, own: Collection[str]) -> list[str]:
    """The names of a group of entry points, sorted, without flawshot's own names, which take precedence."""
    return sorted({point.name for point in entry_points(group=group)}.difference(own))


def plugin_address(group: str, name: str) -> tuple[str, str]:
    """Module and attribute of an existing entry point."""
    point = next(iter(entry_points(group=group, name=name)))
    return point.module, point.attr


def load_object(module: str, attribute: str, what: str) -> Any:
    """Load an object from a package's module.

    Args:
        module: The module's full name.
        attribute: The object's name in the module.
        what: The object's description for an error, such as ``classifier 'mine'``.

    Raises:
        FlawshotError: If it cannot be imported.
    """
    try:
        return getattr(importlib.import_module(module), attribute)
    except Exception as error:  # third-party modules may raise anything when loaded
        reason = " ".join(str(error).split())[:200]
        raise FlawshotError(f"{what}: {module}:{attribute} cannot be loaded ({reason})") from error
