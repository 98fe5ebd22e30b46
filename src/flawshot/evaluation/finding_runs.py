"""Running finders over episodes: fitted to support images, scored on query images."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from flawshot.base.errors import FlawshotError
from flawshot.evaluation.finding_episodes import unit_of
from flawshot.evaluation.finding_inspection import Inspection
from flawshot.evaluation.finding_results import FindingEpisodeScore, FindingMean, FindingRun, FindingScore
from flawshot.evaluation.finding_tallies import (
    FindingTally,
    estimate_finding,
    finding_interval,
    finding_parts,
    resample_finding,
)
from flawshot.evaluation.held_out_names import HeldOutFinder, SupportImage, best_naming_of
from flawshot.evaluation.intervals import mean_parts
from flawshot.evaluation.joining import USUAL
from flawshot.evaluation.result_records import CategoryScore
from flawshot.labelme.images import ImageError, read_image
from flawshot.locating.examples import LabeledImage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray
    from PIL import Image

    from flawshot.catalog.instances import Instance
    from flawshot.evaluation.finding_data import FindingData, GoodImage
    from flawshot.evaluation.finding_episodes import FindingEpisode, GoodShots
    from flawshot.evaluation.finding_inspection import Finder
    from flawshot.evaluation.finding_names import RegionNamer

__all__ = [
    "FitFinder",
    "FittedFinder",
    "ScoredRun",
    "average_finding",
    "evaluate_finding",
]

# The scores that each category has, too.
BY_CATEGORY = ("found", "found_and_named", "named_given_regions")


class FittedFinder(NamedTuple):
    """A finder, fitted to support images.

    Attributes:
        finder: The finder.
        variants: Finders that have not seen some of the images, by which names are joined; none if it names nothing.
    """

    finder: Finder
    variants: Sequence[HeldOutFinder] = ()


class FitFinder(Protocol):
    """Makes a finder from support images."""

    def __call__(
        self, labeled: Sequence[LabeledImage], good: Sequence[Path], units: Sequence[str] | None
    ) -> FittedFinder:
        """The fitted finder.

        Args:
            labeled: Images with labeled flaws.
            good: Images without flaws.
            units: What each image shows, first of ``labeled``, then of ``good``.
        """
        ...


class ScoredRun(NamedTuple):
    """A run with its bootstrap, from which means over products are made.

    Attributes:
        run: The run.
        resampled: By the name of a score, its values by draw.
        counts: By the name of a score, the number of units that it comes from; see
            :meth:`flawshot.evaluation.finding_tallies.FindingTally.size`.
    """

    run: FindingRun
    resampled: Mapping[str, NDArray[np.float64]]
    counts: Mapping[str, int]


def evaluate_finding(
    data: FindingData,
    episodes: Sequence[FindingEpisode],
    fit: FitFinder,
    *,
    shots: int,
    good_shots: GoodShots,
    namer: RegionNamer | None = None,
    groups: Mapping[str, str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ScoredRun:
    """Fit and score a finder on every episode.

    Intervals are made of the variance over seeds and that of 10,000 bootstrap draws of query images; the images of a
    group stay together.

    Args:
        data: The images of one product.
        episodes: As :func:`flawshot.evaluation.finding_episodes.draw_finding_episodes` draws them.
        fit: Makes a finder from support images.
        shots: Labeled instances per category, for the record.
        good_shots: Good images, likewise.
        namer: Names found regions; None if they are not to be named.
        groups: The physical sample that each image shows, by its path or name.
        progress: Called after each image with the number of images done and their total.

    Raises:
        FlawshotError: If a support image cannot be used, or no query image.
    """
    by_image: dict[str, list[Instance]] = {}
    for instance in data.catalog:
        by_image.setdefault(instance.image, []).append(instance)
    total = sum(len(each.queries) + len(each.good_queries) for each in episodes)
    done = 0
    left_out: dict[str, str] = {}
    numbers: dict[tuple[str, str], int] = {}
    tallies: list[FindingTally] = []
    scores: list[FindingEpisodeScore] = []
    measured: list[dict[str, float]] = []
    asked: dict[str, int] = {}
    for episode in episodes:
        inspection, seconds = _fitted(data, by_image, episode, fit, namer=namer, groups=groups)
        queries: list[str | GoodImage] = [*episode.queries, *episode.good_queries]
        for query in queries:
            own = by_image[query] if isinstance(query, str) else []
            name = query if isinstance(query, str) else query.name
            reason = _inspect(inspection, data, query, own, unit_of(query, groups))
            if reason:
                left_out[name] = reason
            elif own:
                asked[name] = len(own)
            done += 1
            if progress is not None:
                progress(done, total)
        if not any(inspection.flawed):
            raise FlawshotError(f"{data.product}: no query image with a flaw can be used; {_first(left_out)}")
        tally = inspection.tally(numbers)
        tallies.append(tally)
        measured.append(tally.measured())
        overall = {key: value for key, value in measured[-1].items() if "/" not in key}
        times = {"fit_seconds": seconds, "find_seconds": inspection.seconds}
        scores.append(FindingEpisodeScore(seed=episode.seed, scores=overall, **times))
    resampled = resample_finding(tallies, len(numbers), f"{data.product}/{shots}/{good_shots}")
    made = estimate_finding(tallies, measured, resampled)
    used_good = {each.name for episode in episodes for each in episode.good_queries} - set(left_out)
    run = FindingRun(
        product=data.product,
        shots=shots,
        good_shots=good_shots,
        good_images=max(len(episode.good) for episode in episodes),
        n_images=len(asked),
        n_good=len(used_good),
        n_instances=sum(asked.values()),
        scores={name: value for name, value in made.items() if "/" not in name},
        per_category=_by_category(made),
        episodes=tuple(scores),
        left_out=left_out,
    )
    counts = {name: max(tally.size(name)[1] for tally in tallies) for name in run.scores}
    return ScoredRun(run, {name: resampled[name] for name in run.scores}, counts)


def _fitted(
    data: FindingData,
    by_image: Mapping[str, Sequence[Instance]],
    episode: FindingEpisode,
    fit: FitFinder,
    *,
    namer: RegionNamer | None,
    groups: Mapping[str, str] | None,
) -> tuple[Inspection, float]:
    """A finder and a classifier, fitted to an episode's support, and the seconds that the finder took."""
    rows, support = data.catalog.row_of, set(episode.support)
    images = dict.fromkeys(data.catalog.column("image")[rows[identifier]] for identifier in episode.support)
    labeled: list[LabeledImage] = []
    examples: list[SupportImage] = []
    for name in images:
        own = [each for each in by_image[name] if each.id in support]
        others = tuple(each.region() for each in by_image[name] if each.id not in support)
        source = data.catalog.image_source(name, own[0].annotation)
        picture = source if isinstance(source, Path) else read_image(source, name)
        labeled.append(LabeledImage(picture, tuple((each.category, each.region()) for each in own), others))
        examples.append(SupportImage(partial(_opened, picture, name), own, "/".join(unit_of(name, groups))))
        if namer is not None:
            namer.encode(_opened(picture, name), own)
    units = [each.unit for each in examples] + ["/".join(unit_of(each, groups)) for each in episode.good]
    start = time.perf_counter()
    fitted = fit(labeled, [each.path for each in episode.good], units)
    seconds = time.perf_counter() - start
    instances = [instance for each in examples for instance in each.instances]
    categories = sorted({each.category for each in instances})
    classifier = None if namer is None else namer.fit(instances)
    naming = USUAL
    if namer is not None and classifier is not None:
        naming = best_naming_of(examples, fitted.variants, namer, categories)
    return Inspection(fitted.finder, categories, namer, classifier, naming), seconds


def _opened(picture: Path | Image.Image, name: str) -> Image.Image:
    return read_image(picture, name) if isinstance(picture, Path) else picture


def _inspect(
    inspection: Inspection,
    data: FindingData,
    query: str | GoodImage,
    instances: Sequence[Instance],
    unit: tuple[str, str],
) -> str:
    try:
        if isinstance(query, str):
            image = read_image(data.catalog.image_source(query, instances[0].annotation), query)
        else:
            image = read_image(query.path, query.name)
    except ImageError as error:
        return str(error)
    return inspection.add(image, instances, unit)


def _first(left_out: Mapping[str, str]) -> str:
    return next(iter(left_out.values()), "annotate more images")


def _by_category(made: Mapping[str, FindingScore]) -> dict[str, dict[str, CategoryScore]]:
    categories = sorted({name.partition("/")[2] for name in made if "/" in name})
    return {
        category: {
            kind: CategoryScore(mean=score.mean, ci95=score.ci95, n_query=score.n)
            for kind in BY_CATEGORY
            if (score := made.get(f"{kind}/{category}")) is not None
        }
        for category in categories
    }


def average_finding(scored: Sequence[ScoredRun]) -> list[FindingMean]:
    """Means over products for each number of labeled instances and good images, if there are several products.

    Args:
        scored: The runs of all products.
    """
    made = []
    for key in dict.fromkeys((each.run.shots, each.run.good_shots) for each in scored):
        own = [each for each in scored if (each.run.shots, each.run.good_shots) == key]
        if len(own) < 2:
            continue
        names = [name for name in own[0].run.scores if all(name in each.run.scores for each in own)]
        scores = {name: _mean_score(own, name) for name in names}
        products = tuple(each.run.product for each in own)
        made.append(FindingMean(shots=key[0], good_shots=key[1], products=products, scores=scores))
    return made


def _mean_score(own: Sequence[ScoredRun], name: str) -> FindingScore:
    mean = float(np.mean([each.run.scores[name].mean for each in own]))
    parts = []
    for each in own:
        values = [episode.scores[name] for episode in each.run.episodes if name in episode.scores]
        parts.append(finding_parts(name, values, each.resampled[name], each.counts[name]))
    # Products count alike in the mean, so the one with the fewest units decides.
    units = len(own) * min(each.counts[name] for each in own)
    seeds = [[episode.seed for episode in each.run.episodes if name in episode.scores] for each in own]
    std = None
    if len(seeds[0]) > 1 and all(each == seeds[0] for each in seeds):
        by_seed = [[episode.scores[name] for episode in each.run.episodes if name in episode.scores] for each in own]
        std = float(np.std(np.mean(by_seed, axis=0), ddof=1))
    total = sum(each.run.scores[name].n for each in own)
    ci95 = finding_interval(name, mean, mean_parts(parts), total, units)
    return FindingScore(mean=mean, std=std, ci95=ci95, n=total)
