"""``flawshot warm``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["warm"]


def warm(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="The model's folder.", show_default=False)],
    pretrained: Annotated[
        str | None,
        typer.Option("--pretrained", metavar="FILE", help="The encoder's weights, if they came from a file."),
    ] = None,
    find_pretrained: Annotated[
        str | None,
        typer.Option("--find-pretrained", metavar="FILE", help="The weights of the locator's own encoder, likewise."),
    ] = None,
    device: Annotated[
        str, typer.Option("--device", metavar="NAME", help="Where to compute: auto, cpu, cuda, ….")
    ] = "auto",
) -> None:
    """Load a model once, weights that must be downloaded included, and time its first prediction and the next."""
    from time import perf_counter

    start = perf_counter()
    from flawshot.models.model import load_model

    loaded = load_model(model, device=device, pretrained=pretrained, find_pretrained=find_pretrained)
    times = [start]
    for _ in range(2):
        loaded.warm_up()
        times.append(perf_counter())
    first, following = times[1] - times[0], times[2] - times[1]
    what = "prediction" if loaded.record.locator is None else "finding and prediction"
    said = f"first {what} {first:.1f} s, with loading; the next {1000 * following:.0f} ms; on {loaded.encoder.device}"
    typer.echo(f"{model}: {said}")
