"""Options of commands that can encode on a Ray cluster."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flawshot.bank.cluster import RayCluster

__all__ = ["RayGroup"]


@dataclass(frozen=True)
class RayGroup:
    """Where crops are encoded: here, or on a Ray cluster."""

    ray: Annotated[
        str | None,
        typer.Option(
            "--ray",
            metavar="ADDRESS",
            help="Encode on a Ray cluster, with the same results: auto or HOST:PORT; local starts Ray on this machine.",
        ),
    ] = None
    actors: Annotated[
        int | None,
        typer.Option(
            "--actors",
            metavar="N",
            min=1,
            help="Processes that encode; as many as the cluster has room for by default.",
        ),
    ] = None
    cpus_per_actor: Annotated[
        int | None,
        typer.Option(
            "--cpus-per-actor",
            metavar="N",
            min=1,
            help="CPUs of each.",
            show_default="1; the node's share per GPU",
        ),
    ] = None
    gpus_per_actor: Annotated[
        float | None,
        typer.Option(
            "--gpus-per-actor", metavar="N", min=0, help="GPUs of each.", show_default="1 with --device cuda, else 0"
        ),
    ] = None

    def check(self, *, compiled: bool, finds: bool = False) -> None:
        """Refuse options that do not go together, before anything is read.

        Args:
            compiled: Whether the encoder is to be compiled.
            finds: Whether regions are to be found.
        """
        if self.ray is None:
            for name in ("actors", "cpus_per_actor", "gpus_per_actor"):
                if (value := getattr(self, name)) is not None:
                    raise FlawshotError(f"{argument(name, value)}: needs {argument('ray')}")
        elif finds:
            raise FlawshotError(
                f"{argument('ray', self.ray)}: regions are found on this machine only; omit it, or divide the images "
                "among several runs"
            )
        elif compiled:
            raise FlawshotError(
                f"{argument('compile')}: whether a compiled encoder is used is measured on each machine, and its "
                f"features may differ; omit it with {argument('ray')}"
            )

    @contextmanager
    def cluster(self, pretrained: str | None) -> Iterator[RayCluster | None]:
        """The cluster, if there is to be one; what was done where is printed afterward."""
        if self.ray is None:
            yield None
            return
        from flawshot.bank.cluster import RayCluster
        from flawshot.cli.console import say

        with RayCluster(
            self.ray,
            actors=self.actors or 0,
            cpus_per_actor=self.cpus_per_actor or 0,
            gpus_per_actor=self.gpus_per_actor,
            pretrained=pretrained,
        ) as made:
            yield made
            for remark in made.remarks:
                say(remark)
