"""What a comparison of results says: in one sentence, in what its sides differ, and as a self-contained page."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from flawshot.base.errors import printable
from flawshot.evaluation.intervals import percent
from flawshot.report.figures import curves
from flawshot.report.provenance import said_value, value_rows
from flawshot.report.templating import new_environment, policy, source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flawshot.evaluation.compared_records import ComparedResults, ComparedScore, ComparedSide
    from flawshot.evaluation.result_records import Estimate

__all__ = ["compared_sentence", "make_comparison_page", "side_facts"]

# Of the provenance: what is shown even if all sides agree, and what is the same for all, or says nothing about them.
ALWAYS = ("encoder.name", "encoder.weights", "views.scheme", "views.sizes")
NOT_SHOWN = frozenset(
    {"data", "fingerprints", "episodes", "protocols", "sampling", "seeds", "interval", "command", "started", "seconds"}
)
ABSENT = "–"
HASH_SHOWN = 12
LONGEST_COMMAND = 2000


def compared_sentence(results: ComparedResults) -> str:
    """By how much each other side's first classifier is right more often than that of the first side, at most shots."""
    score = headline(results)
    shots = score.label
    where = f"the mean of {len(results.products)} products" if score.product is None else printable(score.product)
    first, *others = map(printable, results.names)
    said = []
    for name, estimate in zip(others, score.difference[1:], strict=True):
        if estimate is None:
            continue
        more = "more" if estimate.mean >= 0 else "fewer"
        low, high = estimate.ci95
        ends = (low, high) if estimate.mean >= 0 else (-high, -low)
        figure, interval = percent(abs(estimate.mean), ends).split(" ", 1)
        chance = ", which may be due to chance" if low <= 0 <= high else ""
        said.append(f"{name} is right on {figure} points {more} {interval}{chance}")
    return (
        f"At {shots} {'shot' if shots == '1' else 'shots'}, on {where} ({score.n_query} query instances) with "
        f"{printable(score.classifier)}, compared with {first}: {'; '.join(said)}."
    )


def headline(results: ComparedResults) -> ComparedScore:
    """The first classifier's score at the greatest K: of the mean over products, if there is one."""
    own = results.of(None) or results.of(results.scores[0].product)
    greatest = max(each.shots for each in own)
    return next(each for each in own if each.shots == greatest)


def side_facts(sides: Sequence[ComparedSide]) -> list[tuple[str, list[str]]]:
    """Encoder, views, and whatever else the sides differ in: names, each with one value per side."""
    facts: list[dict[str, str]] = []
    for side in sides:
        own: dict[str, str] = {}
        for key, value in side.provenance.items():
            if key not in NOT_SHOWN:
                own |= {name or key: text for name, text in value_rows({key: said_value(key, value)})}
        facts.append(own)
    named = dict.fromkeys([*ALWAYS, *(name for own in facts for name in own)])
    rows = [(name, [_short(own.get(name, ABSENT)) for own in facts]) for name in named if _wanted(name, facts)]
    return [(name, values) for name, values in rows if name in ALWAYS or len(set(values)) > 1]


def _wanted(name: str, facts: list[dict[str, str]]) -> bool:
    """Whether a value is compared: not the settings of a classifier that only some sides have."""
    there = [name in own for own in facts]
    return all(there) if name.startswith("classifiers.") else any(there)


def _short(text: str) -> str:
    is_hash = len(text) == 64 and set(text) <= set("0123456789abcdef")
    return f"{text[:HASH_SHOWN]}…" if is_hash else text


def make_comparison_page(results: ComparedResults) -> bytes:
    """A comparison as one HTML file that loads nothing else."""
    environment = new_environment()
    style = source(environment, "style.css")
    products = [None, *results.products] if results.of(None) else list(results.products)
    page: str = environment.get_template("comparison.html").render(
        policy=policy(style),
        style=style,
        sentence=compared_sentence(results),
        names=[printable(name) for name in results.names],
        parts=[_part(results, product) for product in products],
        differing=[(printable(name), values) for name, values in side_facts(results.sides)],
        unshared=[printable(each) for each in results.unshared],
        commands=_commands(results.sides),
    )
    return page.encode("utf-8", "backslashreplace")


def _commands(sides: Sequence[ComparedSide]) -> dict[str, str]:
    """The command lines that evaluated the sides, as far as they are recorded, each with the names of its sides."""
    names: dict[str, list[str]] = {}
    for side in sides:
        if side.provenance.get("command"):
            names.setdefault(str(side.provenance["command"]), []).append(printable(side.name))
    return {printable(command, LONGEST_COMMAND): ", ".join(own) for command, own in names.items()}


def _part(results: ComparedResults, product: str | None) -> dict[str, Any]:
    """One product's figure, of the classifiers named first, and its table of all of them."""
    own = results.of(product)
    title = f"mean of {len(results.products)} products" if product is None else printable(product)
    first = own[0].classifiers
    lines: dict[str, list[tuple[int, Estimate]]] = {name: [] for name in results.names}
    for score in own:
        if score.classifiers == first:
            for name, estimate in zip(results.names, score.accuracy, strict=True):
                lines[name].append((score.shots, estimate))
    said = f"Accuracy by shots: {title}, {printable(own[0].classifier)}"
    label = partial(results.shots_label, product=product)
    return {
        "title": title,
        "classifier": printable(own[0].classifier),
        # Serialized from a tree, which escapes its texts.
        "wide": Markup(curves(lines, said, label)),  # noqa: S704
        "narrow": Markup(curves(lines, said, label, narrow=True)),  # noqa: S704
        "rows": [
            (
                score.label,
                printable(score.classifiers[place]),
                printable(name),
                _shown(score.accuracy[place]),
                _shown(score.difference[place], signed=True),
            )
            for score in own
            for place, name in enumerate(results.names)
        ],
        "queries": max(score.n_query for score in own),
    }


def _shown(estimate: Estimate | None, *, signed: bool = False) -> str:
    return "" if estimate is None else percent(estimate.mean, estimate.ci95, signed=signed)
