"""How the constants of ``evidence-ridge`` were chosen: experts and their weights on nine feature sets.

    python benchmarks/evidence.py [--work DIR] [--sets "a;b;…"]

Prints Markdown tables: accuracy of combinations of experts at one shot, and at 3 and 5 shots, with each rule's worst
and mean regret (the best single classifier's mean accuracy minus its own); which rule would be chosen with all feature
sets of one kind left out, and what it then reaches on them; calibration by the prior median of the temperature;
calibration error, Brier score and log loss of ``whitened-ridge`` and ``evidence-ridge``. The feature sets are of three
kinds: transistor (as MVREC splits it, and 20 draws from all its instances), magnetic tile (15 seeds, tiles apart;
flawshot-tiny with 3 and 27 views, EfficientNet-Lite0 with 3), four drawn products of seed 2 with 9 images per category
(5 seeds; the same encoders and views; EfficientNet-Lite0 with 27 views on two of the products, 8 seeds). About half an
hour, most of it encoding.
"""

from __future__ import annotations

import argparse
import random
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import flawshot
from banks import SHARED, SHOTS, SIZES, transistor
from drawn import draw_products
from flawshot.bank.builder import encode_catalog
from flawshot.classifiers.functional import category_means, log_softmax, normalize, one_hot, softmax
from flawshot.classifiers.ridge import balance, fit_temperature, instance_means, view_statistics, view_whitener, whiten
from flawshot.encoders.flawshot_tiny import TinyEncoder
from flawshot.evaluation.losses import brier_scores, log_losses
from flawshot.evaluation.metrics import expected_calibration_error
from flawshot.formats.masks import import_masks
from flawshot.regions.views import make_scheme
from lite0 import lite0_encoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

SINGLE = ("matched-prototype", "prototype", "zip-adapter", "knn", "gda", "proker", "linear-probe")
RIDGES = (0.5, 3.0, 10.0)
SHARP = 0.15
MEAN, WHITENED, MATCHED = "whitened, shrinkage 2", "matched, whitened", "matched"


class Task(NamedTuple):
    """One episode: features ``[instances, views, dim]`` and category numbers of support and query."""

    support: NDArray[np.float32]
    labels: NDArray[np.intp]
    query: NDArray[np.float32]
    truth: NDArray[np.intp]


class Scored(NamedTuple):
    """What is kept of an episode.

    Attributes:
        labels: Of the support.
        truth: Of the queries.
        single: Accuracy of single classifiers.
        asked: The experts' scores of the queries, by expert and ridge penalty.
        left: Their scores of left-out support instances.
        ratio: Variance of views, divided by that of instances.
    """

    labels: NDArray[np.intp]
    truth: NDArray[np.intp]
    single: dict[str, float]
    asked: dict[tuple[str, float], NDArray[np.float32]]
    left: dict[tuple[str, float], NDArray[np.float32]]
    ratio: float


def of_sets(bank: flawshot.FeatureBank, sets: Iterable[flawshot.EpisodeSet]) -> Iterator[tuple[int, Task]]:
    """The tasks of episodes, by K."""
    category = dict(zip(bank.catalog.column("id"), bank.catalog.column("category"), strict=True))
    for each in sets:
        for episode in each.episodes:
            support, query = (
                [each.categories.index(category[i]) for i in ids] for ids in (episode.support, episode.query)
            )
            features = bank.features(episode.support), bank.features(episode.query)
            yield each.shots, Task(features[0], np.array(support), features[1], np.array(query))


def released(folder: Path) -> Iterator[tuple[int, Task]]:
    """Transistor as MVREC splits it."""
    data = transistor(folder)
    yield from of_sets(data.bank, data.episodes)


def pooled(folder: Path) -> Iterator[tuple[int, Task]]:
    """Transistor, support drawn from all instances; the rest, of other images, are queries."""
    bank = transistor(folder).bank
    ids, images, names = (bank.catalog.column(name) for name in ("id", "image", "category"))
    categories = sorted(set(names))
    labels, features = np.array([categories.index(name) for name in names]), bank.features(ids)
    for shots in SHOTS:
        for draw in range(20):
            rng = random.Random(f"{draw}/{shots}")
            own = [i for c in range(len(categories)) for i in rng.sample(np.flatnonzero(labels == c).tolist(), shots)]
            taken = {images[i] for i in own}
            rest = [i for i in range(len(ids)) if images[i] not in taken]
            yield shots, Task(features[own], labels[own], features[rest], labels[rest])


def tiles(folder: Path, name: str, scheme: str) -> Iterator[tuple[int, Task]]:
    """Magnetic tile, whole tiles apart."""
    labelme = folder / "magnetic-tile-labelme"
    if not labelme.is_dir():
        import_masks(SHARED / "magnetic-tile", labelme, min_area=30)
    bank = encoded(flawshot.Catalog.open(labelme), name, scheme, folder / name)
    groups = flawshot.groups_from_csv(SHARED / "magnetic-tile" / "groups.csv", bank.catalog.column("image"))
    (product,) = bank.catalog.products
    yield from of_sets(
        bank, [flawshot.sample_episodes(bank.catalog, product, k, seeds=range(15), groups=groups) for k in SHOTS]
    )


def products(
    folder: Path, name: str, scheme: str, wanted: Sequence[str] = (), seeds: int = 5
) -> Iterator[tuple[int, Task]]:
    """Drawn products."""
    images = folder / "drawn-2-images"
    if not images.is_dir():
        draw_products(images, per_category=9, seed=2)
    catalog = flawshot.Catalog.open(images, layout="{product}/**")
    bank = encoded(catalog.select(list(wanted)) if wanted else catalog, name, scheme, folder / name)
    yield from of_sets(
        bank,
        [
            flawshot.sample_episodes(bank.catalog, p, k, seeds=range(seeds))
            for p in bank.catalog.products
            for k in SHOTS
        ],
    )


def encoded(catalog: flawshot.Catalog, name: str, scheme: str, out: Path) -> flawshot.FeatureBank:
    """A bank of these views."""
    encoder: Any = TinyEncoder(device="cpu") if "tiny" in name else lite0_encoder()
    return encode_catalog(catalog, encoder, make_scheme(scheme, SIZES), out, batch_size=54).bank


SETS: dict[str, tuple[str, Callable[[Path], Iterator[tuple[int, Task]]]]] = {
    "transistor": ("transistor", released),
    "pooled": ("transistor", pooled),
    "tile, tiny, 3": ("magnetic tile", partial(tiles, name="mt-tiny", scheme="centre3")),
    "tile, tiny, 27": ("magnetic tile", partial(tiles, name="mt-tiny-mso", scheme="mso")),
    "tile, Lite0, 3": ("magnetic tile", partial(tiles, name="mt-lite0-3", scheme="centre3")),
    "drawn, tiny, 3": ("drawn", partial(products, name="drawn-2-tiny", scheme="centre3")),
    "drawn, tiny, 27": ("drawn", partial(products, name="drawn-2-tiny-mso", scheme="mso")),
    "drawn, Lite0, 3": ("drawn", partial(products, name="drawn-2-lite0-3", scheme="centre3")),
    "drawn, Lite0, 27": (
        "drawn",
        partial(products, name="drawn-2-lite0", scheme="mso", wanted=("product0", "product3"), seeds=8),
    ),
}


def embeddings(task: Task) -> tuple[dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]], float]:
    """Every expert's vectors of length one of support and query, and the ratio of variances."""
    count = int(task.labels.max()) + 1
    (own, scatter), asked = view_statistics(task.support), instance_means(task.query)
    center = category_means(own, task.labels, count).mean(axis=0)
    support, query = normalize(task.support), normalize(task.query)
    centers = category_means(support, task.labels, count).mean(axis=0)
    made = {
        f"whitened, shrinkage {s:g}": tuple(
            whiten(each - center, view_whitener(scatter.copy(), s)) for each in (own, asked)
        )
        for s in (0.5, 2.0, 10.0)
    }
    made["mean, not whitened"] = normalize(own - center), normalize(asked - center)
    made["mean, not centered"] = normalize(own), normalize(asked)
    scale = np.float32(np.sqrt(support.shape[1]))
    made["matched"] = tuple(normalize(each - centers).reshape(len(each), -1) / scale for each in (support, query))
    whitener = view_whitener(scatter.copy(), 2.0)
    made["matched, whitened"] = tuple(
        whiten((each - centers).reshape(-1, each.shape[2]), whitener).reshape(len(each), -1) / scale
        for each in (support, query)
    )
    if len(own) > count:
        residuals = own - category_means(own, task.labels, count)[task.labels]
        both = view_whitener(scatter + residuals.T @ residuals / np.float32(len(own) - count), 2.0)
        made["whitened by views and instances"] = whiten(own - center, both), whiten(asked - center, both)
    return made, float(np.trace(scatter) / (own - center).var(axis=0).sum())


def score(task: Task) -> Scored:
    """Scores of every expert and accuracy of every single classifier."""
    made, ratio = embeddings(task)
    count = int(task.labels.max()) + 1
    targets, weights = one_hot(task.labels, count) - np.float32(1 / count), balance(task.labels, count)
    asked, left = {}, {}
    for name, (own, query) in made.items():
        gram, cross = own.astype(np.float64) @ own.T.astype(np.float64), query @ own.T
        for ridge in RIDGES:
            inverse = np.linalg.inv(gram + np.diag(ridge / weights.astype(np.float64)))
            dual = inverse @ targets
            asked[name, ridge] = (cross @ dual).astype(np.float32)
            left[name, ridge] = (targets - dual / np.diag(inverse)[:, None]).astype(np.float32)
    single = {
        name: right(flawshot.make_classifier(name).fit(task.support, task.labels).predict_proba(task.query), task.truth)
        for name in SINGLE
    }
    single["whitened-ridge"] = right(asked[MEAN, 0.5], task.truth)
    return Scored(task.labels, task.truth, single, asked, left, ratio)


def right(scores: NDArray[np.float32], truth: NDArray[np.intp]) -> float:
    """Accuracy in per cent."""
    return float(100 * (scores.argmax(axis=1) == truth).mean())


def share(word: str, ratio: float) -> float:
    """The matched expert's prior weight: a number, or g of b / (b + g w)."""
    return 1 / (1 + float(word[1:]) * ratio) if word.startswith("g") else float(word)


def priors(word: str, part: float, ratio: float) -> dict[str, float]:
    """Prior weights: the matched expert's, and the rest, of which the matched and whitened one has a part."""
    matched = share(word, ratio)
    return {MEAN: (1 - matched) * (1 - part), WHITENED: (1 - matched) * part, MATCHED: matched}


def one_shot(each: Scored, word: str, part: float, ridge: float) -> NDArray[np.float32]:
    """Joined log-probabilities at one shot."""
    size = np.float32((1 + ridge) / (1 + 0.5) / SHARP)
    weights = priors(word, part, each.ratio).items()
    return np.sum([w * log_softmax(each.asked[name, ridge] * size) for name, w in weights if w], axis=0)


def joined(each: Scored, names: Sequence[str], factor: float, start: Sequence[float]) -> tuple[Any, Any]:
    """Joined log-probabilities of queries, and of left-out instances, by evidence."""
    own = np.arange(len(each.labels))
    left = [log_softmax(each.left[name, 0.5] / np.float32(SHARP)) for name in names]
    with np.errstate(divide="ignore"):
        weights = softmax(np.log(np.array(start)) + factor * np.array([x[own, each.labels].sum() for x in left]))
    asked = [log_softmax(each.asked[name, 0.5] / np.float32(SHARP)) for name in names]
    return np.tensordot(weights, asked, axes=1), np.tensordot(weights, left, axes=1)


def rules() -> dict[str, dict[str, Callable[[Scored], Any]]]:
    """What is compared: the rules for one shot, and for more."""
    pair, three = [MEAN, MATCHED], [MEAN, WHITENED, MATCHED]
    early: dict[str, Callable[[Scored], Any]] = {
        f"{name} alone, ridge {r:g}": lambda each, n=name, r=r: each.asked[n, r] for name in three for r in RIDGES
    }
    early |= {
        f"matched {shown(w)}, whitened {part:g} of the rest, ridge {r:g}": partial(one_shot, word=w, part=part, ridge=r)
        for w in ("0.25", "0.5", "g1", "g2", "g3", "g4", "g6")
        for part in (0.0, 0.25, 0.5, 0.75)
        for r in RIDGES
        if part in {0.0, 0.5} or r == 0.5
    }
    late: dict[str, Callable[[Scored], Any]] = {
        name: lambda each, name=name: joined(each, [name], 2.0, [1.0])[0] for name in three
    }
    for title, names in (("mean and matched", pair), ("three", three)):
        for factor in (0.0, 1.0, 2.0, 4.0):
            late[f"{title}, evidence x {factor:g}"] = lambda each, n=names, f=factor: joined(
                each, n, f, [1.0] * len(n)
            )[0]
    for more in ("mean, not whitened", "mean, not centered", "whitened, shrinkage 0.5", "whitened, shrinkage 10",
                 "whitened by views and instances"):  # fmt: skip
        late[f"three and {more}"] = lambda each, m=more: joined(each, [*three, m], 2.0, [1.0] * 4)[0]
    for word in ("0.25", "g1", "g2", "g3", "g4"):
        late[f"three, prior {shown(word)}"] = lambda each, w=word: joined(
            each, three, 2.0, list(priors(w, 0.5, each.ratio).values())
        )[0]
    return {"one shot": early, "3 and 5 shots": late}


def shown(word: str) -> str:
    """A prior weight as it is printed."""
    return f"b / (b + {word[1:]} w)" if word[0] == "g" else word


def tables(found: dict[str, dict[int, list[Scored]]]) -> None:
    """Print accuracies and regrets of all rules, and the choice with one kind of sets left out."""
    names = list(found)
    best = {
        (name, k): max(float(np.mean([each.single[s] for each in own[k]])) for s in own[k][0].single)
        for name, own in found.items()
        for k in SHOTS
    }
    for title, compared in rules().items():
        columns = (1,) if title == "one shot" else (3, 5)
        print(f"\n| {title} | {' | '.join(names)} | worst regret | mean regret |\n{'|---' * (len(names) + 3)}|")
        cells = [f"{'/'.join(f'{best[name, k]:.1f}' for k in columns)}" for name in names]
        print(f"| the best single classifier | {' | '.join(cells)} | | |")
        regret: dict[str, dict[str, list[float]]] = {}
        for rule, make in compared.items():
            means = {
                (name, k): float(np.mean([right(make(each), each.truth) for each in found[name][k]]))
                for name in names
                for k in columns
            }
            regret[rule] = {name: [best[name, k] - means[name, k] for k in columns] for name in names}
            cells = ["/".join(f"{means[name, k]:.1f}" for k in columns) for name in names]
            every = [x for values in regret[rule].values() for x in values]
            print(f"| {rule} | {' | '.join(cells)} | {max(every):.1f} | {np.mean(every):+.2f} |")
        for kind in dict.fromkeys(SETS[name][0] for name in names):
            seen = {rule: [x for n, v in own.items() if SETS[n][0] != kind for x in v] for rule, own in regret.items()}
            if not all(seen.values()):
                continue
            chosen = min(seen, key=lambda rule: (round(max(seen[rule]), 1), np.mean(seen[rule])))
            own = [x for n, v in regret[chosen].items() if SETS[n][0] == kind for x in v]
            print(
                f"\nChosen without {kind}: {chosen}; "
                f"there its worst regret is {max(own):.1f}, its mean {np.mean(own):+.2f}."
            )


def calibration(found: dict[str, dict[int, list[Scored]]]) -> None:
    """Print calibration error, Brier score and log loss, before and after."""
    print("\n| whitened-ridge, evidence-ridge | K | accuracy | ECE | Brier | log loss |\n|---|---|---|---|---|---|")
    for name, own in found.items():
        for k in SHOTS:
            both = np.mean([[_proper(p, each.truth) for p in _probabilities(each)] for each in own[k]], axis=0).T
            digits = (1, 3, 3, 3)
            cells = " | ".join(f"{a:.{d}f}, {b:.{d}f}" for (a, b), d in zip(both, digits, strict=True))
            print(f"| {name} | {k} | {cells} |")


def _probabilities(each: Scored) -> tuple[Any, Any]:
    several = np.bincount(each.labels)[each.labels] > 1
    weights = priors("g3", 0.5, each.ratio)
    divisor, median = 0.09, 1.5 * share("g2", each.ratio)
    if several.any():
        divisor = fit_temperature(each.left[MEAN, 0.5][several], each.labels[several])
        asked, left = joined(each, list(weights), 2.0, list(weights.values()))
        median = fit_temperature(left, each.labels, prior=median)
    else:
        asked = one_shot(each, "g3", 0.5, 0.5)
    return softmax(each.asked[MEAN, 0.5] / np.float32(divisor)), softmax(asked / median)


def medians(found: dict[str, dict[int, list[Scored]]]) -> None:
    """Print calibration error at one shot, by the prior median of the temperature."""
    print(f"\n| median | {' | '.join(found)} | mean ECE | mean Brier | mean log loss |\n{'|---' * (len(found) + 4)}|")
    for times, word in ((0.5, "1"), (1.0, "g1"), (1.25, "g1"), (1.5, "g1.5"), (1.25, "g2"), (1.5, "g2"), (1.75, "g2")):
        every = []
        for own in found.values():
            said = [
                (softmax(one_shot(each, "g3", 0.5, 0.5) / (times * share(word, each.ratio))), each.truth)
                for each in own[1]
            ]
            every.append(np.mean([_proper(p, truth) for p, truth in said], axis=0)[1:])
        formula = f"{times:g}" if word == "1" else f"{times:g} {shown(word)}"
        means = np.mean(every, axis=0)
        print(f"| {formula} | {' | '.join(f'{each[0]:.3f}' for each in [*every, *([m] for m in means)])} |")


def _proper(p: NDArray[np.float32], truth: NDArray[np.intp]) -> tuple[float, float, float, float]:
    correct = (p.argmax(axis=1) == truth).astype(np.float64)
    error = expected_calibration_error(p.max(axis=1).astype(np.float64), correct)
    brier, loss = brier_scores(p, truth).mean(), log_losses(p, truth).mean()
    return 100 * float(correct.mean()), error, float(brier), float(loss)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("flawshot-benchmarks"), help="where banks are kept")
    parser.add_argument("--sets", default=";".join(SETS), help="feature sets, separated by semicolons")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    found: dict[str, dict[int, list[Scored]]] = {}
    for name in options.sets.split(";"):
        for shots, task in SETS[name][1](options.work):
            found.setdefault(name, {}).setdefault(shots, []).append(score(task))
        ratio = np.mean([each.ratio for each in found[name][1]])
        print(f"{name}: variance of views / of instances {ratio:.2f} at one shot", flush=True)
    tables(found)
    medians(found)
    calibration(found)


if __name__ == "__main__":
    main()
