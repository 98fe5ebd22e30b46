"""Questions about annotated images with their answers: what, where, how large, how many, and whether there is any."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from flawshot.formats.detailed import NINTHS, ninth

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = [
    "DECIMALS",
    "KINDS",
    "AskedImage",
    "Flaw",
    "ImageQuestion",
    "QuestionKind",
    "box_text",
    "image_questions",
    "percent_text",
    "presence_questions",
]

QuestionKind = Literal["what", "where", "part", "size", "count", "any"]
KINDS: tuple[QuestionKind, ...] = ("what", "where", "part", "size", "count", "any")
# The fewest decimals of a box's shares of width and height; larger images have more, so that a tenth of a pixel counts.
DECIMALS = 4
PIXEL_PARTS = 10
# Of a share of the image's area in percent: significant digits.
DIGITS = 4
PARTS = ", ".join(name for row in NINTHS for name in row)
# The ways to ask, one of which the seed chooses for each question.
PHRASES: dict[QuestionKind, tuple[str, ...]] = {
    "what": (
        "Which type of defect does this image of {product} show? Answer with one of: {choices}.",
        "What kind of defect can be seen in this image of {product}? Choose one of: {choices}.",
        "Name the type of the defect in this image of {product}. The types are: {choices}.",
    ),
    "where": (
        "Where is {target}? Answer with [x1, y1, x2, y2], in shares of the image's width and height from 0 to 1.",
        "Give the box of {target} as [x1, y1, x2, y2], in shares of the image's width and height from 0 to 1.",
        "Locate {target}: answer with [x1, y1, x2, y2], in shares of the image's width and height from 0 to 1.",
    ),
    "part": (
        f"In which part of the image is the center of {{target}}? Answer with one of: {PARTS}.",
        f"Which ninth of the image contains the center of {{target}}? Choose one of: {PARTS}.",
        f"Say where {{target}} is centered. Answer with one of: {PARTS}.",
    ),
    "size": (
        "How large is {target}? Answer in percent of the image's area.",
        "What share of the image's area does {target} cover, in percent?",
        "Give the area of {target} in percent of the image's area.",
    ),
    "count": (
        "How many {what} does this image show? Answer with a number.",
        "Count the {what} in this image. Answer with a number.",
        "What is the number of {what} in this image?",
    ),
    "any": (
        "Is there any {what} in this image? Answer yes or no.",
        "Does this image show any {what}? Answer yes or no.",
        "Can any {what} be seen in this image? Answer yes or no.",
    ),
}
IN_BOX = (
    "Which type of defect is in the box {box} of this image of {product}? Answer with one of: {choices}.",
    "What kind of defect does the box {box} of this image of {product} contain? Choose one of: {choices}.",
    "Name the type of the defect in the box {box} of this image of {product}. The types are: {choices}.",
)


class Flaw(NamedTuple):
    """One annotated defect: its category, half-open box (x0, y0, x1, y1) in px, and area in px."""

    category: str
    box: tuple[int, int, int, int]
    area: int


@dataclass(frozen=True, slots=True)
class AskedImage:
    """An image that questions are about.

    Attributes:
        path: Its path relative to the data root (POSIX).
        file: Its path in the export.
        product: Its product; empty if it is unknown.
        split: Its split, or None.
        width: In px.
        height: In px.
        flaws: Its defects; none if it is good.
    """

    path: str
    file: str
    product: str
    split: str | None
    width: int
    height: int
    flaws: tuple[Flaw, ...]

    @property
    def categories(self) -> list[str]:
        """The categories of its defects, sorted."""
        return sorted({flaw.category for flaw in self.flaws})


@dataclass(frozen=True, slots=True)
class ImageQuestion:
    """A question about an image with its answer.

    Attributes:
        image: The image.
        kind: What is asked.
        text: The question.
        answer: The answer in words.
        category: The category that the question names or asks for; empty if it is about any defect.
        choices: The categories to choose from, of "what".
        box: The box of "where" as shares of width and height.
        part: The ninth of "part".
        percent: The share of the image's area of "size", in percent.
        area: The same in px.
        count: The number of "count".
        present: Whether there is any, of "any".
        about: What distinguishes it from others of its kind about the image.
    """

    image: AskedImage
    kind: QuestionKind
    text: str
    answer: str
    category: str = ""
    choices: tuple[str, ...] = ()
    box: tuple[float, ...] = ()
    part: str = ""
    percent: float | None = None
    area: int | None = None
    count: int | None = None
    present: bool | None = None
    about: str = ""

    @property
    def id(self) -> str:
        """A name that no other question of an export has."""
        return f"{self.image.path}#{self.kind}{f':{self.about}' if self.about else ''}"


def box_text(box: Sequence[float], longer: int = 1) -> str:
    """A box of shares as it is written, with as many decimals as an image's longer side, in px, needs.

    >>> box_text((0.5, 0, 1, 0.25)), box_text((0.5, 0, 1, 0.25), 20_000)
    ('[0.5000, 0.0000, 1.0000, 0.2500]', '[0.500000, 0.000000, 1.000000, 0.250000]')
    """
    decimals = max(DECIMALS, math.ceil(math.log10(PIXEL_PARTS * longer)))
    return f"[{', '.join(f'{value:.{decimals}f}' for value in box)}]"


def percent_text(percent: float) -> str:
    """A share in percent as it is written: with four significant digits, and never as a power of ten.

    >>> percent_text(12.3456), percent_text(0.000012345678)
    ('12.35 %', '0.00001235 %')
    """
    return f"{percent:.{max(0, DIGITS - 1 - math.floor(math.log10(percent)))}f} %"


def image_questions(
    image: AskedImage, choices: Mapping[str, Sequence[str]], seed: int
) -> tuple[list[ImageQuestion], int]:
    """The questions about an image, except whether there is any.

    "Where", "part" and "size" are about the only instance of a category, or about the largest one, unless two are
    equally large. "What" is about the image if it shows one category, and otherwise about a box; it is not asked of
    products with one category.

    Args:
        image: The image.
        choices: The categories of each product.
        seed: Chooses the wording.

    Returns:
        The questions, and how many were not asked because two instances are equally large.
    """
    made: list[ImageQuestion] = []
    ties = 0
    types = tuple(choices.get(image.product, ()))
    for category in image.categories:
        own = sorted((flaw for flaw in image.flaws if flaw.category == category), key=lambda flaw: -flaw.area)
        tied = len(own) > 1 and own[0].area == own[1].area
        ties += tied
        if not tied:
            made += _of_flaw(image, own[0], "the" if len(own) == 1 else "the largest", seed)
        if len(types) > 1 and (not tied or len(image.categories) == 1):
            made.append(_what(image, own[0], types, seed))
        if len(image.categories) > 1:
            made.append(_count(image, category, len(own), seed))
    made.append(_count(image, "", len(image.flaws), seed))
    return sorted(made, key=lambda question: (KINDS.index(question.kind), question.about)), ties


def _of_flaw(image: AskedImage, flaw: Flaw, article: str, seed: int) -> Iterator[ImageQuestion]:
    target = f"{article} defect of type {flaw.category}"
    box = _shares(image, flaw.box)
    where = ninth(flaw.box, image.width, image.height)
    percent = 100 * flaw.area / (image.width * image.height)
    about = flaw.category
    text = _phrase(image, "where", about, seed).format(target=target)
    yield ImageQuestion(
        image, "where", text, box_text(box, max(image.width, image.height)), flaw.category, box=box, about=about
    )
    text = _phrase(image, "part", about, seed).format(target=target)
    yield ImageQuestion(image, "part", text, where, flaw.category, part=where, about=about)
    text = _phrase(image, "size", about, seed).format(target=target)
    answer = percent_text(percent)
    yield ImageQuestion(image, "size", text, answer, flaw.category, percent=percent, area=flaw.area, about=about)


def _what(image: AskedImage, flaw: Flaw, types: tuple[str, ...], seed: int) -> ImageQuestion:
    alone = len(image.categories) == 1
    phrases = PHRASES["what"] if alone else IN_BOX
    box = box_text(_shares(image, flaw.box), max(image.width, image.height))
    text = _chosen(phrases, f"{seed} {image.path} what {flaw.category}").format(
        product=image.product, choices=", ".join(types), box=box
    )
    about = "" if alone else flaw.category
    return ImageQuestion(image, "what", text, flaw.category, flaw.category, choices=types, about=about)


def _count(image: AskedImage, category: str, number: int, seed: int) -> ImageQuestion:
    text = _phrase(image, "count", category, seed).format(what=f"defects{f' of type {category}' if category else ''}")
    return ImageQuestion(image, "count", text, str(number), category, count=number, about=category)


def presence_questions(images: Sequence[AskedImage], seed: int) -> tuple[list[ImageQuestion], Counter[str]]:
    """Whether there is any: as often yes as no, in each split, for each category of a product and for any defect.

    No is the answer for good images of the product, and for images of its other categories, as equally often as there
    are enough of them. Whether there is any defect at all is answered no by good images only. If there are too few,
    fewer are asked with the answer yes, chosen by the seed.

    Args:
        images: All images.
        seed: Chooses the images and the wording.

    Returns:
        The questions, and the number of those with the answer yes that are not asked, by product and category.
    """
    made: list[ImageQuestion] = []
    unasked: Counter[str] = Counter()
    groups: dict[tuple[str, str], list[AskedImage]] = {}
    for image in images:
        groups.setdefault((image.split or "", image.product), []).append(image)
    for (split, product), own in sorted(groups.items()):
        good = [image for image in own if not image.flaws]
        flawed = [image for image in own if image.flaws]
        for category in ["", *sorted({each for image in flawed for each in image.categories})]:
            rng = random.Random(f"{seed} {split} {product} {category}")
            has = [image for image in flawed if not category or category in image.categories]
            lacks = [image for image in flawed if category not in image.categories] if category else []
            none = _alternating(rng.sample(good, len(good)), rng.sample(lacks, len(lacks)))
            number = min(len(has), len(none))
            if number < len(has):
                unasked[f"{product}: {category or 'any defect'}"] += len(has) - number
            pairs = [(image, True) for image in rng.sample(has, number)] + [(image, False) for image in none[:number]]
            made += [_any(image, category, seed, present=present) for image, present in pairs]
    return sorted(made, key=lambda question: question.id), unasked


def _any(image: AskedImage, category: str, seed: int, *, present: bool) -> ImageQuestion:
    text = _phrase(image, "any", category, seed).format(what=f"defect{f' of type {category}' if category else ''}")
    answer = "Yes" if present else "No"
    return ImageQuestion(image, "any", text, answer, category, present=present, about=category)


def _alternating(first: Sequence[AskedImage], second: Sequence[AskedImage]) -> list[AskedImage]:
    """The items of two lists in turns, and then what is left of the longer one."""
    shared = min(len(first), len(second))
    turns = [each for pair in zip(first, second, strict=False) for each in pair]
    return [*turns, *first[shared:], *second[shared:]]


def _phrase(image: AskedImage, kind: QuestionKind, about: str, seed: int) -> str:
    return _chosen(PHRASES[kind], f"{seed} {image.path} {kind} {about}")


def _chosen(phrases: Sequence[str], key: str) -> str:
    return random.Random(key).choice(phrases)


def _shares(image: AskedImage, box: tuple[int, int, int, int]) -> tuple[float, ...]:
    sides = (image.width, image.height, image.width, image.height)
    return tuple(value / side for value, side in zip(box, sides, strict=True))
