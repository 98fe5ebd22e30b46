"""``flawshot evaluate-answers``."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from flawshot.base.wording import counted
from flawshot.cli.options import OverwriteOption, ProductOption

if TYPE_CHECKING:
    from flawshot.evaluation.language_results import LanguageResults, LanguageRun, LanguageScore

__all__ = ["evaluate_answers"]

TITLES = {
    "any": "Is there any",
    "what": "What",
    "count": "How many",
    "where": "Where: box",
    "part": "Where: ninth",
    "size": "How large",
}
NAMES = {
    "accuracy": "right, %",
    "precision": "precision of yes, %",
    "recall": "recall of yes, %",
    "yes_share": "says yes, %",
    "yes_share_true": "truly yes, %",
    "iou_50": "IoU of 0.5 or more, %",
    "mean_iou": "mean IoU, %",
    "within_25_percent": "within 25 %, %",
    "mean_absolute_error": "mean error",
    "median_relative_error": "median relative error, %",
}
CANNOT = "cannot be read"
FEW = 10
SHOWN = 3
LEGEND = (
    "n: questions, and images. What is missing or cannot be read counts as wrong. In parentheses: the same score of "
    "answers that do not look at the image: always yes; the product's most frequent category, ninth and number; the "
    "whole image; the product's median size"
)


def evaluate_answers(
    questions: Annotated[
        Path,
        typer.Argument(metavar="QUESTIONS", help="A file instruct*.jsonl, written by flawshot export instruct."),
    ],
    *,
    answers: Annotated[
        Path,
        typer.Option(
            "--answers",
            metavar="FILE",
            help="The model's answers, JSON Lines: question_id or id, and text, answer, prediction or response.",
        ),
    ],
    boxes: Annotated[
        Literal["share", "thousandth", "pixel"],
        typer.Option("--boxes", help="In what the model states boxes: shares from 0 to 1, 0 to 1000, or pixels."),
    ] = "share",
    product: ProductOption = None,
    per_category: Annotated[
        bool, typer.Option("--per-category", help="Print scores per category even for several products.")
    ] = False,
    json: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write the results as JSON; - prints them.")
    ] = None,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write all scores as tidy CSV.")] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Score a vision-language model's answers to the questions of export instruct against the annotations."""
    from flawshot.base.errors import FlawshotError
    from flawshot.base.store.files import json_bytes
    from flawshot.base.store.seals import sha256_of
    from flawshot.base.store.together import write_together
    from flawshot.cli.console import print_json
    from flawshot.cli.reporting import command_stamp
    from flawshot.evaluation.language_questions import read_answers, read_instructions
    from flawshot.evaluation.language_scores import evaluate_answers as run
    from flawshot.report.tables import language_csv

    started, clock = datetime.now(UTC), time.perf_counter()
    asked, given = read_instructions(questions), read_answers(answers)
    held = sorted({each.flawshot.product for each in asked})
    for name in product or ():
        if name not in held:
            raise FlawshotError(f"--product {name}: is not in {questions}, which has {', '.join(held)}")
    if product:
        others = {each.id for each in asked if each.flawshot.product not in product}
        asked = [each for each in asked if each.id not in others]
        given = {identifier: text for identifier, text in given.items() if identifier not in others}
    hashes = {"questions_sha256": sha256_of(questions), "answers_sha256": sha256_of(answers)}
    results = run(asked, given, boxes=boxes, provenance=hashes)
    results = results.model_copy(
        update={"provenance": results.provenance | command_stamp(started, time.perf_counter() - clock)}
    )
    _say_left_out(results, questions)
    if json != "-":
        _print(results, per_category=per_category)
    else:
        print_json(results.model_dump(mode="json"), json, overwrite=overwrite)
    contents = {}
    if json not in {None, "-"}:
        place = Path(str(json))
        contents[place] = json_bytes(results.model_dump(mode="json"), place)
    if csv is not None:
        contents[csv] = language_csv(results).encode("utf-8", "backslashreplace")
    write_together(contents, overwrite=overwrite)


def _say_left_out(results: LanguageResults, questions: Path) -> None:
    """Name answers that are missing, belong to no question, or cannot be read."""
    from flawshot.cli.console import say, shown_of

    groups = (
        ("no answer, which counts as wrong", list(results.missing)),
        (f"an answer to no question of {questions}, which is ignored", list(results.foreign)),
        (CANNOT, [f"{name}: {why}, which counts as wrong" for name, why in results.unread.items()]),
    )
    for what, lines in groups:
        first = shown_of(len(lines), SHOWN)
        for line in lines[:first]:
            say(f"warning: {line}" if what == CANNOT else f"warning: {line}: {what}")
        if more := len(lines) - first:
            say(f"warning: and {more} more of this kind ({what}); --verbose names all")


def _print(results: LanguageResults, *, per_category: bool) -> None:
    from flawshot.cli.console import new_table, plain, print_line, print_table

    products = {run.product for run in results.runs if run.product is not None}
    for kind, title in TITLES.items():
        own = [run for run in results.runs if run.kind == kind and (run.product is not None or len(products) > 1)]
        if not own:
            continue
        named = per_category or len(products) == 1
        own = [run for run in own if named or run.category is None]
        names = list(dict.fromkeys(name for run in own for name in run.scores))
        heads = ["product", *(["category"] if named else []), "n"]
        table = new_table(f"{title} [95 % interval]", *heads, *(NAMES[name] for name in names), left=len(heads) - 1)
        for run in own:
            of = [plain("all" if run.product is None else run.product)]
            of += [plain("all" if run.category is None else run.category)] if named else []
            few = " (few)" if run.n_questions < FEW else ""
            table.add_row(*of, f"{run.n_questions}, {run.n_images}{few}", *(_shown(run, name) for name in names))
        print_table(table)
    print_line(LEGEND)
    total = sum(run.n_questions for run in results.runs if run.product is None)
    answered = sum(run.n_answered for run in results.runs if run.product is None)
    read = sum(run.n_read for run in results.runs if run.product is None)
    typer.echo(f"{counted(total, 'question')}: {answered} answered, {read} of them read")


def _shown(run: LanguageRun, name: str) -> str:
    from flawshot.evaluation.intervals import percent

    score: LanguageScore | None = run.scores.get(name)
    if score is None:
        return ""
    if name == "yes_share_true":
        return f"{100 * score.mean:.1f}"
    if score.ci95 is not None:
        shown, other = percent(score.mean, score.ci95), 100
    else:
        other = 100 if name == "median_relative_error" else 1
        shown = f"{other * score.mean:.{1 if other == 100 else 2}f}"
    if score.reference is None or name == "yes_share":
        return shown
    return f"{shown} ({other * score.reference:.{1 if other == 100 else 2}f})"
