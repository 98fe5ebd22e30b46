"""``flawshot sample``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from flawshot.cli.options import (
    DataArgument,
    LayoutOption,
    OverwriteOption,
    ProductOption,
    StrictOption,
    open_data,
    whole_numbers,
)

if TYPE_CHECKING:
    from flawshot.catalog import Catalog
    from flawshot.episodes import EpisodeSet

__all__ = ["sample"]


def sample(
    data: DataArgument,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where <protocol>/<product>-<K>shot.json goes.")],
    shots: Annotated[str, typer.Option("--shots", metavar="K,…", help="Support instances a category.")] = "1,3,5",
    seeds: Annotated[int, typer.Option("--seeds", metavar="N", min=1, help="Episodes: the seeds are 0 to N-1.")] = 5,
    protocol: Annotated[
        Literal["disjoint", "mvrec"],
        typer.Option(
            "--protocol", help="disjoint: no image on both sides, for your own data; mvrec: MVREC's own draws."
        ),
    ] = "disjoint",
    group: Annotated[
        str | None,
        typer.Option(
            "--group",
            metavar="REGEX|FILE.csv",
            help="Which images show one physical sample: a regular expression on its path, or a table image,group.",
        ),
    ] = None,
    allow_short: Annotated[
        bool, typer.Option("--allow-short", help="Let a category with fewer than K instances bring what it has.")
    ] = False,
    product: ProductOption = None,
    layout: LayoutOption = None,
    strict: StrictOption = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Draw support and query sets, one episode a seed, proved to share nothing."""
    from flawshot.episodes import sample_episodes, write_all
    from flawshot.errors import EpisodeError

    numbers = whole_numbers(shots, "--shots")
    catalog = open_data(data, layout, product, strict=strict)
    names = catalog.products if product else _several_categories(catalog)
    if not names:
        raise EpisodeError(f"{data}: no product has two categories; if its folders are categories, add --layout '**'")
    groups = None if group is None else _groups(group, catalog.select(names))
    made = []
    for name in names:
        sets = [
            sample_episodes(
                catalog, name, k, seeds=range(seeds), protocol=protocol, groups=groups, allow_short=allow_short
            )
            for k in numbers
        ]
        _say_parameters(sets[0])
        made += sets
    write_all(made, out, overwrite=overwrite)
    typer.echo(f"{out / protocol}: {len(made)} files ({len(names)} products x {len(numbers)} K), {seeds} episodes each")


def _groups(group: str, catalog: Catalog) -> dict[str, str]:
    from flawshot.episodes import groups_from_csv, groups_from_regex

    images = catalog.column("image")
    if group.lower().endswith(".csv"):
        return groups_from_csv(Path(group), images)
    return groups_from_regex(group, images)


def _several_categories(catalog: Catalog) -> list[str]:
    from flawshot.cli.console import say

    names = []
    for name in catalog.products:
        categories = set(catalog.select([name]).column("category")) - {""}
        if len(categories) > 1:
            names.append(name)
        else:
            say(f"{name}: left out, it has a single category ({', '.join(categories) or 'no label'})")
    return names


def _say_parameters(episodes: EpisodeSet) -> None:
    from flawshot.cli.console import say

    parameters = episodes.parameters
    if parameters.get("split") == "ignored":
        say(f"{episodes.product}: its own split is ignored: {parameters['split_ignored_because']}")
    if "val_left_out" in parameters:
        say(f"{episodes.product}: {parameters['val_left_out']} instances of val are left out of both sides")
    if "no_split_left_out" in parameters:
        say(f"{episodes.product}: {parameters['no_split_left_out']} instances that lie in no split are left out")
    if "never_queried" in parameters:
        names = ", ".join(parameters["never_queried"])
        say(f"{episodes.product}: its test part has no {names}, which can be predicted but is never queried")
