"""How pages are made from templates: escaped, and under a policy that lets them load nothing else."""

from __future__ import annotations

import base64
import hashlib

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from flawshot.base.errors import printable

__all__ = ["new_environment", "policy", "source"]


def new_environment() -> Environment:
    """An environment that escapes what templates are given; its filter ``shown`` also escapes control characters."""
    environment = Environment(
        loader=PackageLoader("flawshot.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown"] = printable
    return environment


def source(environment: Environment, name: str) -> Markup:
    """The package's own style sheet or script, as it is."""
    assert environment.loader is not None  # noqa: S101
    return Markup(environment.loader.get_source(environment, name)[0])  # noqa: S704


def policy(style: str, script: str | None = None) -> str:
    """A content security policy that allows this style sheet, this script if there is one, and inline images."""
    scripts = "" if script is None else f"script-src '{_hash(script)}'; "
    return f"default-src 'none'; {scripts}style-src '{_hash(style)}'; img-src data:"


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
