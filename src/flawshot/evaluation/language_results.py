"""Results of a model's answers in words, and their JSON file."""

from __future__ import annotations

from typing import Any, Literal

from flawshot.base.store.files import Document

__all__ = ["LanguageResults", "LanguageRun", "LanguageScore"]


class LanguageScore(Document):
    """One score.

    Attributes:
        mean: Its value.
        ci95: Its 95 % interval over images; None for medians and mean errors.
        n: On how many answers it is measured.
        reference: The same score of fixed answers: always yes, the product's most frequent category, ninth or number,
            the whole image, and the product's median size.
    """

    mean: float
    ci95: tuple[float, float] | None
    n: int
    reference: float | None


class LanguageRun(Document):
    """The answers to the questions of one kind, of a product or category or of all.

    Attributes:
        product: The product; None for all together.
        kind: What is asked: ``what``, ``where``, ``part``, ``size``, ``count`` or ``any``.
        category: The category that the questions are about; None for all together.
        n_questions: Number of questions.
        n_images: Number of images that they are about.
        n_answered: Number of questions with an answer.
        n_read: Number of answers that could be read.
        scores: By name, as listed in ``docs/formats.md``; those that cannot be measured are omitted.
    """

    product: str | None
    kind: str
    category: str | None
    n_questions: int
    n_images: int
    n_answered: int
    n_read: int
    scores: dict[str, LanguageScore]


class LanguageResults(Document):
    """All results of a model's answers.

    Attributes:
        runs: One entry per kind of question for all products, each product, and each category of each product.
        missing: The ids of the questions without an answer.
        foreign: The ids of the answers to no question.
        unread: Why answers could not be read, by id.
        provenance: What was evaluated.
    """

    format: Literal["flawshot-language-results"] = "flawshot-language-results"
    version: Literal[1] = 1
    runs: tuple[LanguageRun, ...]
    missing: tuple[str, ...]
    foreign: tuple[str, ...]
    unread: dict[str, str]
    provenance: dict[str, Any]
