"""``flawshot sample``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from flawshot.base.wording import counted, plural
from flawshot.cli.failing import Failures
from flawshot.cli.options import (
    DataArgument,
    GroupOption,
    ImagesOption,
    LayoutOption,
    OverwriteOption,
    ProductOption,
    StrictOption,
    open_data,
    read_groups,
    whole_numbers,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flawshot.catalog import Catalog
    from flawshot.episodes import EpisodeSet

__all__ = ["sample"]


def sample(
    data: DataArgument,
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="DIR", help="Folder for <protocol>/<product>-<K>shot.json.")
    ],
    shots: Annotated[str, typer.Option("--shots", metavar="K,…", help="Support instances per category.")] = "1,3,5",
    seeds: Annotated[
        int | None,
        typer.Option("--seeds", metavar="N", min=1, help="Number of episodes, with seeds 0 to N-1; default 5."),
    ] = None,
    protocol: Annotated[
        Literal["disjoint", "mvrec", "episodic"],
        typer.Option(
            "--protocol",
            help="disjoint: no image on both sides, for your own data; mvrec: MVREC's own draws; "
            "episodic: many random tasks, each with some of the categories.",
        ),
    ] = "disjoint",
    ways: Annotated[
        int | None, typer.Option("--ways", metavar="N", min=2, help="episodic: categories per task; default 5.")
    ] = None,
    queries: Annotated[
        int | None, typer.Option("--queries", metavar="Q", min=1, help="episodic: queries per category; default 15.")
    ] = None,
    episodes: Annotated[
        int | None, typer.Option("--episodes", metavar="N", min=1, help="episodic: number of tasks; default 600.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", metavar="N", help="episodic: random seed; default 0.")] = None,
    group: GroupOption = None,
    allow_short: Annotated[
        bool, typer.Option("--allow-short", help="Accept categories with fewer than K instances.")
    ] = False,
    product: ProductOption = None,
    layout: LayoutOption = None,
    images: ImagesOption = None,
    strict: StrictOption = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Draw support and query sets, one episode per seed, verified to share no image."""
    from flawshot.base.errors import EpisodeError
    from flawshot.episodes import sample_episodes, sample_tasks, write_all

    told = {"--ways": ways, "--queries": queries, "--episodes": episodes, "--seed": seed}
    _refuse_foreign(protocol, told, {"--seeds": seeds, "--allow-short": allow_short or None})
    tasks = {option[2:]: value for option, value in told.items() if value is not None}
    numbers = whole_numbers(shots, "shots")
    catalog = open_data(data, layout, product, strict=strict, images=images)
    least = 2 if protocol != "episodic" else ways or 5
    names = catalog.products if product else _several_categories(catalog, least)
    if not names:
        wanted = "two" if least == 2 else least
        raise EpisodeError(
            f"{data}: no product has {wanted} categories; if its folders are categories, add --layout '**'"
        )
    groups = None if group is None else read_groups(group, catalog.select(names))
    _say_missing(catalog.select(names), data)
    category_of = dict(zip(catalog.column("id"), catalog.column("category"), strict=True)) if allow_short else {}
    made: dict[str, list[EpisodeSet]] = {}
    failures = Failures()
    for name in names:
        with failures.of(name):
            made[name] = [
                sample_tasks(catalog, name, k, groups=groups, keep=False, **tasks)
                if protocol == "episodic"
                else sample_episodes(
                    catalog, name, k, seeds=range(seeds or 5), protocol=protocol, groups=groups, allow_short=allow_short
                )
                for k in numbers
            ]
    failures.refuse()
    for sets in made.values():
        _say_parameters(sets[0])
        if allow_short:
            _say_short(sets, category_of)
    drawn = [each for sets in made.values() for each in sets]
    write_all(drawn, out, overwrite=overwrite)
    typer.echo(
        f"{out / protocol}: {counted(len(drawn), 'file')} ({counted(len(names), 'product')} x {len(numbers)} K), "
        f"{counted(len(drawn[0].episodes), 'episode')} each"
    )


def _refuse_foreign(protocol: str, of_tasks: dict[str, int | None], of_others: dict[str, int | None]) -> None:
    """Refuse options that do not apply to the protocol, instead of ignoring them."""
    from flawshot.base.errors import EpisodeError

    for option, value in (of_others if protocol == "episodic" else of_tasks).items():
        if value is not None:
            fitting = "is not for --protocol episodic" if protocol == "episodic" else "is for --protocol episodic only"
            raise EpisodeError(f"{option}: {fitting}")


def _several_categories(catalog: Catalog, least: int) -> list[str]:
    from flawshot.cli.console import say

    names = []
    for name in catalog.products:
        categories = set(catalog.select([name]).column("category")) - {""}
        if len(categories) >= least:
            names.append(name)
        elif len(categories) > 1:
            say(f"{name}: left out because it has {len(categories)} categories, fewer than --ways {least}", left_out=1)
        else:
            say(
                f"{name}: left out because it has a single category ({', '.join(categories) or 'no label'})", left_out=1
            )
    return names


def _say_missing(catalog: Catalog, data: Path) -> None:
    """Report how many instances cannot be encoded, because the episodes will then not match the feature bank."""
    from flawshot.cli.console import say

    without = {problem.file for problem in catalog.problems if problem.kind == "missing-image"}
    gone = sum(annotation in without for annotation in catalog.column("annotation"))
    if gone:
        say(
            f"{counted(gone, 'instance lacks its image', 'instances lack their images')}; flawshot encode "
            f"will leave {plural(gone, 'it', 'them')} out, and these episodes will not match its feature bank: put the "
            f"images into {data}, or encode first and sample from the bank's folder"
        )


def _say_short(sets: Sequence[EpisodeSet], category_of: dict[str, str]) -> None:
    """Report the categories that have fewer than K support instances."""
    from flawshot.base.errors import printable
    from flawshot.cli.console import say

    for each in sets:
        sizes = each.support_sizes(category_of)
        short = [
            f"{category} {least}" if least == most else f"{category} {least}-{most}"
            for category, (least, most) in sizes.items()
            if least < each.shots
        ]
        if short:
            shots = counted(each.shots, "shot")
            say(printable(f"{each.product}: {shots}: fewer support instances of {', '.join(short)}"))


def _say_parameters(episodes: EpisodeSet) -> None:
    from flawshot.cli.console import say

    parameters = episodes.parameters
    if parameters.get("split") == "ignored":
        say(f"{episodes.product}: its own split is ignored: {parameters['split_ignored_because']}")
    if "val_left_out" in parameters:
        count = parameters["val_left_out"]
        said = counted(count, "val instance is", "val instances are")
        say(f"{episodes.product}: {said} used neither as support nor as queries", left_out=count)
    if "no_split_left_out" in parameters:
        count = parameters["no_split_left_out"]
        said = counted(count, "instance that belongs to no split is", "instances that belong to no split are")
        say(f"{episodes.product}: {said} left out", left_out=count)
    if "never_queried" in parameters:
        names = ", ".join(parameters["never_queried"])
        say(f"{episodes.product}: its test split has no {names}, which can be predicted but is never queried")
