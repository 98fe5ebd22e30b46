"""What ``flawshot fit --order`` and ``flawshot predict`` print of data that changes over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from flawshot.base.wording import counted, plural

if TYPE_CHECKING:
    from pathlib import Path

    from flawshot.catalog import Catalog
    from flawshot.models.ordering import ImageOrder
    from flawshot.models.record import InOrder, ModelRecord, Share

__all__ = ["print_in_order", "read_order"]


def read_order(order: str | None, catalog: Catalog, bank: Path | None = None) -> ImageOrder | None:
    """The order of a catalog's images by ``--order``; None without it.

    Args:
        order: The option's value.
        catalog: The data.
        bank: The feature bank that it comes from, which has no images.
    """
    from flawshot.base.errors import FlawshotError
    from flawshot.models.ordering import image_order

    if order is None:
        return None
    if bank is not None and order.lower() == "time":
        raise FlawshotError(
            f"--order time: needs the images, and {bank} is a feature bank; give DATA, or a table with columns "
            "image,order"
        )
    return image_order(order, catalog)


def print_in_order(record: ModelRecord, order: ImageOrder | None) -> None:
    """Print what fits to earlier images gave on later ones, and whether random orders gave more."""
    from flawshot.cli.console import new_table, print_table, say
    from flawshot.evaluation.intervals import percent
    from flawshot.models.in_order import LEAST_UNITS

    if order is None:
        return
    if order.remark:
        say(order.remark)
    unit = "group" if record.groups else "image"
    found = record.history[-1].in_order
    if found is None:
        say(
            f"in order of {order.by}, nothing can be estimated: it takes {LEAST_UNITS} {unit}s or more, of different "
            f"ranks, and a category that earlier and later ones have"
        )
        return
    table = new_table(
        f"In order of {found.by}, {found.blocks} blocks of {unit}s, each predicted by fits to earlier ones, % "
        "[95 % interval]",
        "",
        "examples",
        f"{unit}s",
        "share",
    )
    asked, units = str(found.right.asked), str(found.right.units)
    table.add_row("right in order", asked, units, percent(found.right.mean, found.right.ci95))
    table.add_row(f"right in {found.orders} random orders: mean, range", "", "", _range(found))
    table.add_row(f"the same examples right, each {unit} left out in turn", asked, units, f"{100 * found.left_out:.1f}")
    for name, share in (
        (f"called unknown, at most {_whole(found.false_alarms)} promised", found.unknown),
        (f"sets with the right category, {_whole(found.coverage)} promised", found.covered),
    ):
        if share is not None:
            table.add_row(name, str(share.asked), str(share.units), percent(share.mean, share.ci95))
    print_table(table)
    if found.new:
        typer.echo(
            f"{counted(found.new, 'example of a later block has', 'examples of later blocks have')} a category that no "
            f"earlier block has, and {plural(found.new, 'is', 'are')} not included"
        )
    typer.echo(_verdict(found, unit))


def _verdict(found: InOrder, unit: str) -> str:
    seen = f"in order {found.right.mean:.1%} are right, in random order {found.random:.1%}"
    if found.clearly_below:
        said = (
            f"Later {unit}s are unlike earlier ones: {seen} (p = {found.p:.2g}); of new {unit}s, expect the former, "
            f"not what leaving each {unit} out gives"
        )
    else:
        said = f"{seen[0].upper()}{seen[1:]}: not clearly fewer (p = {found.p:.2g})"
    broken = [
        name
        for name, missed in (
            ("unknown regions", found.unknown is not None and _above(found.unknown, found.false_alarms)),
            ("prediction sets", found.covered is not None and _above(found.covered, found.coverage, below=True)),
        )
        if missed
    ]
    return said + (f"; what is promised of {' and of '.join(broken)} was not kept" if broken else "")


def _above(share: Share, promised: float, *, below: bool = False) -> bool:
    """Whether the whole interval is on the wrong side of what was promised."""
    return share.ci95[1] < promised if below else share.ci95[0] > promised


def _range(found: InOrder) -> str:
    low, high = found.random_range
    return f"{100 * found.random:.1f}, {100 * low:.1f} to {100 * high:.1f}"


def _whole(share: float) -> str:
    return f"{100 * share:.3g}%"
