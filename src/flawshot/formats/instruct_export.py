"""Export of a catalog as conversations about its images, in LLaVA's format, for vision-language models."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError, Problem, printable
from flawshot.base.wording import counted
from flawshot.formats import Option
from flawshot.formats.export_images import export_images, save_image
from flawshot.formats.exporting import IMAGE_OPTIONS, Exported, export_folder, json_lines, write_json_file
from flawshot.formats.instruct_questions import (
    KINDS,
    AskedImage,
    Flaw,
    ImageQuestion,
    image_questions,
    presence_questions,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from flawshot.catalog import Catalog
    from flawshot.formats.export_images import ExportImage

__all__ = ["IMAGE_TOKEN", "export_instruct"]

OPTIONS = {
    "out": Option("A new folder.", "OUT"),
    **IMAGE_OPTIONS,
    "no_images": Option("Write the conversations only; image is then the path in DATA."),
    "seed": Option("Chooses the wording, and which images are asked about without an answer of yes.", "N", 0),
    "test": Option("Put this share of each product's images that are in no split into the split test.", "SHARE", 0),
    "group": Option(
        "Images for whose paths this regular expression captures the same text are not divided.",
        "REGEX",
    ),
}
# What stands for the image in a conversation; a label that contains it would stand for a second image.
IMAGE_TOKEN = "<image>"  # noqa: S105
VERSION = 1


def export_instruct(
    catalog: Catalog,
    out: Path,
    *,
    good: Path | None = None,
    link: bool = False,
    no_images: bool = False,
    seed: int = 0,
    test: float = 0.0,
    group: str | None = None,
    overwrite: bool = False,
) -> Exported:
    """Write ``instruct[_<split>].jsonl``: questions about images and their answers, as LLaVA's conversations.

    The questions are what an image shows, where it is (as a box and as a ninth of the image), how large it is, how
    many there are, and whether there is any. All answers come from the annotations. Of the last kind, as many answers
    are yes as no; no comes from good images and from images of other categories.

    ``instruct[_<split>].json`` contains the same as one array, which LLaVA's training reads, and
    ``questions[_<split>].jsonl`` the questions alone, which its ``model_vqa.py`` reads.

    Args:
        catalog: The instances; its data folder must be available.
        out: The output folder.
        good: A further folder of images without flaws.
        link: Whether to hard-link images instead of copying them.
        no_images: Whether to write no images.
        seed: Chooses the wording of each question, and the images that balance yes and no.
        test: The share of each product's images without a split that is put into the split ``test``; at least one image
            of each stays in ``train``.
        group: A regular expression; images with the same captured text in their paths are not separated by ``test``.
        overwrite: Whether an earlier export at ``out`` may be replaced.

    Returns:
        The number of questions.

    Raises:
        FlawshotError: If ``out`` exists or cannot be written, or an argument is invalid.
    """
    if not 0 <= test < 1:  # also not a number
        raise FlawshotError(f"{argument('test', test)}: must be a share from 0 to below 1, such as 0.2")
    if group is not None and not test:
        raise FlawshotError(f"{argument('group', group)}: is for {argument('test')}; name a share, too")
    problems: list[Problem] = []
    with export_folder(out, "instruct", data=catalog.root, overwrite=overwrite) as folder:
        images = []
        for image in export_images(catalog, problems, good=good, beyond=out):
            asked = _asked(image, problems, "" if no_images else "images/")
            if asked is not None and (no_images or save_image(image, folder / asked.file, problems, link=link)):
                images.append(asked)
        if not images:
            raise FlawshotError(f"{catalog.root}: has no image to ask about; the first problem: {problems[0].marked}")
        if test:
            images = _divided(images, test, group, seed)
            problems += _lacking(images)
        questions = _questions(images, seed, problems)
        for split, own in questions.items():
            records = [_record(question, seed) for question in own]
            (folder / f"instruct{split}.jsonl").write_bytes(json_lines(records))
            write_json_file(folder / f"instruct{split}.json", records)
            (folder / f"questions{split}.jsonl").write_bytes(json_lines([_bare(question) for question in own]))
    every = [question for own in questions.values() for question in own]
    kinds = Counter(question.kind for question in every)
    summary = f"{counted(len(images), 'image')}, {sum(not image.flaws for image in images)} of them good; "
    summary += ", ".join(f"{kinds[kind]} {kind}" for kind in KINDS)
    return Exported(len(every), tuple(problems), summary)


def _asked(image: ExportImage, problems: list[Problem], folder: str) -> AskedImage | None:
    """An image with its defects; None, with a problem, if not all are known or can be named."""
    flaws = []
    for region in image.regions:
        label = region.truth
        if label is None:
            message = "has regions that were only predicted; it is left out, since its answers would be guesses"
            problems.append(Problem(image.path, "predicted", message))
            return None
        if IMAGE_TOKEN in label:
            message = f"has the label {printable(label, 80)}, which would stand for an image; it is left out"
            problems.append(Problem(image.path, "image-token", message))
            return None
        flaws.append(Flaw(label, region.instance.box, region.instance.area))
    if IMAGE_TOKEN in image.product:
        message = f"has the product {printable(image.product, 80)}, which would stand for an image; it is left out"
        problems.append(Problem(image.path, "image-token", message))
        return None
    return AskedImage(
        image.path, f"{folder}{image.path}", image.product, image.split, image.width, image.height, tuple(flaws)
    )


def _divided(images: Sequence[AskedImage], share: float, group: str | None, seed: int) -> list[AskedImage]:
    """The images, those of each product without a split divided into train and test; groups stay together."""
    units: dict[str, list[AskedImage]] = {}
    products: dict[str, list[str]] = {}
    for image in images:
        if image.split is None:
            unit = _group_of(image.path, group)
            units.setdefault(unit, []).append(image)
            products.setdefault(image.product, []).append(unit)
    parts: dict[str, str] = {}
    for product, places in sorted(products.items()):
        sizes = Counter(places)
        order = [unit for unit in sorted(sizes) if unit not in parts]
        random.Random(f"{seed} test {product}").shuffle(order)
        # Against rounding: a fifth of 30 images is 6, not 6.000000000000001.
        wanted = round(share * len(places), 9)
        number = sum(count for unit, count in sizes.items() if parts.get(unit) == "test")
        if "train" not in {parts.get(unit) for unit in sizes} and order:
            parts[order.pop()] = "train"
        for unit in order:
            parts[unit] = "test" if number < wanted else "train"
            number += sizes[unit] if parts[unit] == "test" else 0
    names = {image.path: parts[unit] for unit, own in units.items() for image in own}
    return [image if image.split is not None else replace(image, split=names[image.path]) for image in images]


def _lacking(images: Sequence[AskedImage]) -> list[Problem]:
    """What is missing from the splits of divided images: a product's images, or a category that only test has."""
    found: dict[str, dict[str, set[str]]] = {}
    for image in images:
        found.setdefault(image.product, {}).setdefault(image.split or "", set()).update(image.categories)
    problems = []
    for product, splits in sorted(found.items()):
        for name in ("train", "test"):
            if name not in splits:
                message = f"has no image in {name}; it has too few images, or groups, to be divided"
                problems.append(Problem(product, "no-split", message, "warning"))
        for category in sorted(splits.get("test", set()) - splits.get("train", set())):
            message = "is in test, but on no image in train"
            problems.append(Problem(f"{product}: {category}", "untrained", message, "warning"))
    return problems


def _group_of(path: str, pattern: str | None) -> str:
    if pattern is None:
        return path
    try:
        match = re.search(pattern, path)
    except re.error as error:
        raise FlawshotError(f"{argument('group', pattern)}: is not a regular expression ({error})") from error
    caught = None if match is None else match.groups() or (match.group(),)
    if caught is None or not all(caught):
        raise FlawshotError(f"{argument('group', pattern)}: does not match {path}; every image needs a group")
    return "/".join(caught)


def _questions(images: Sequence[AskedImage], seed: int, problems: list[Problem]) -> dict[str, list[ImageQuestion]]:
    """The questions by the end of their file's name, those about an image together."""
    choices: dict[str, list[str]] = {}
    for image in images:
        choices.setdefault(image.product, []).extend(image.categories)
    types = {product: sorted(set(labels)) for product, labels in choices.items()}
    every: dict[str, list[ImageQuestion]] = {image.path: [] for image in images}
    for image in images:
        own, ties = image_questions(image, types, seed)
        every[image.path] += own
        if ties:
            message = "has two largest instances of a category, so neither is asked for; its other questions are"
            problems.append(Problem(image.path, "tied", message, "warning"))
    present, unasked = presence_questions(images, seed)
    for question in present:
        every[question.image.path].append(question)
    for what, number in unasked.items():
        message = (
            f"{counted(number, 'image that shows it is', 'images that show it are')} not asked whether there is any"
        )
        problems.append(Problem(what, "unbalanced", f"{message}; too few images do not show it", "warning"))
    made: dict[str, list[ImageQuestion]] = {}
    for image in images:
        made.setdefault(f"_{image.split}" if image.split else "", []).extend(every[image.path])
    return made


def _record(question: ImageQuestion, seed: int) -> dict[str, Any]:
    """A question as LLaVA's conversation, and what it takes to judge an answer."""
    image = question.image
    return {
        "id": question.id,
        "image": image.file,
        "conversations": [
            {"from": "human", "value": f"{IMAGE_TOKEN}\n{question.text}"},
            {"from": "gpt", "value": question.answer},
        ],
        "flawshot": {
            "version": VERSION,
            "kind": question.kind,
            "source": image.path,
            "product": image.product,
            "split": image.split,
            "width": image.width,
            "height": image.height,
            "category": question.category,
            "choices": list(question.choices),
            "box": list(question.box),
            "part": question.part,
            "percent": question.percent,
            "area": question.area,
            "count": question.count,
            "present": question.present,
            "seed": seed,
        },
    }


def _bare(question: ImageQuestion) -> dict[str, Any]:
    return {"question_id": question.id, "image": question.image.file, "text": question.text, "category": question.kind}
