"""Environment variables that stand for options; an option that is given wins."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from flawshot.base.errors import FlawshotError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CACHE", "DEVICE", "VARIABLES", "WORKERS", "CacheOption", "caching"]

DEVICE: Final = "FLAWSHOT_DEVICE"
WORKERS: Final = "FLAWSHOT_WORKERS"
CACHE: Final = "FLAWSHOT_CACHE"
# docs/command-line.md lists them, too.
VARIABLES: Final = {
    DEVICE: "--device of every command",
    WORKERS: "--workers, and --jobs of evaluate",
    CACHE: "--cache, the folder for downloaded weights",
}
CacheOption = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        metavar="DIR",
        envvar=CACHE,
        help="Folder for downloaded weights.",
        show_default="that of Hugging Face's hub",
    ),
]


@contextmanager
def caching(folder: Path) -> Iterator[None]:
    """Within the block, weights are downloaded to a folder, and taken from it, in this process and those it starts.

    The libraries that download read where to from the environment, once, when they are loaded: the block must begin
    before that.

    Raises:
        FlawshotError: If it is not a folder.
    """
    if not str(folder).strip() or (folder.exists() and not folder.is_dir()):
        source = f"{CACHE}=" if os.environ.get(CACHE) == str(folder) else "--cache "
        raise FlawshotError(f"{source}{folder}: must be a folder; it may be a new one")
    place = folder.absolute()
    # Of Hugging Face's hub, from which nearly all weights come, and of torch.hub.
    wanted = {"HF_HUB_CACHE": str(place), "TORCH_HOME": str(place / "torch")}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
