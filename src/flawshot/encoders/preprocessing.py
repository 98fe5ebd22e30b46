"""How a crop becomes a tower's input: resizing filter, mean and standard deviation."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError
from flawshot.regions.crops import INTERPOLATIONS, Interpolation

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from flawshot.base.records import EncoderRecord, OptionValue

__all__ = ["CLIP_PREPROCESSING", "Preprocessing", "expected_by_file", "interpolation_of"]

# The tags named in a message.
NAMED_TAGS = 8


class Preprocessing(NamedTuple):
    """What a model's weights expect of their input.

    Attributes:
        mean: Of red, green and blue in [0, 1].
        std: Likewise.
        interpolation: The filter that resizes crops.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: Interpolation

    @classmethod
    def of(cls, config: Mapping[str, object], model: str) -> Preprocessing:
        """What open_clip's or timm's configuration of some weights says.

        Raises:
            FlawshotError: If the weights expect something that flawshot does not do.
        """
        filtering = str(config.get("interpolation") or "bicubic")
        if filtering == "random":  # a training recipe; evaluation then uses this
            filtering = "bilinear"
        mean, std = (tuple(map(float, cast("tuple[float, ...]", config[name]))) for name in ("mean", "std"))
        if filtering not in INTERPOLATIONS or len(mean) != 3 or len(std) != 3:
            raise FlawshotError(
                f"{argument('model', model)}: expects {len(mean)} channels resized by {filtering}; flawshot gives 3, "
                f"resized by {' or '.join(INTERPOLATIONS)}"
            )
        return cls(mean, std, filtering)

    @classmethod
    def recorded(cls, options: Mapping[str, OptionValue]) -> Preprocessing:
        """What an encoder's record says.

        Raises:
            KeyError: If it says nothing.
            TypeError: If it has other types.
            ValueError: If it has other values.
        """
        made = cls.of(options, str(options.get("model")))
        if min(made.std) <= 0:
            raise ValueError("std")
        return made

    @property
    def options(self) -> dict[str, OptionValue]:
        """The options of an encoder's record."""
        return {"interpolation": self.interpolation, "mean": self.mean, "std": self.std}


# What OpenAI's CLIP expects, and what descends from it; as open_clip has it, which takes seconds to import.
CLIP_PREPROCESSING = Preprocessing((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711), "bicubic")


def expected_by_file(
    path: Path,
    model: str,
    tags: Mapping[str, Preprocessing],
    like: str | None,
    named: Mapping[str, Preprocessing],
) -> tuple[Preprocessing | None, list[str]]:
    """What a local file's weights expect, which the file itself does not say, and remarks about it.

    It is what the weights of the model's tags expect; if these differ, what the first of them does, with a remark.

    Args:
        path: The file, for remarks.
        model: The model, for remarks.
        tags: What the weights of each tag of the model expect; the usual tag first.
        like: The tag, or one of the names in ``named``, if the user said which.
        named: What weights may expect, by common names.

    Returns:
        What they expect, or None if the model has no tags; remarks, one line each.

    Raises:
        FlawshotError: If ``like`` is unknown.
    """
    if like is not None:
        if like in named:
            return named[like], []
        if like not in tags:
            raise FlawshotError(
                f"{argument('preprocessing', like)}: must be {', '.join(named)}, or a tag of {model}: "
                f"{', '.join(tags) or 'it has none'}"
            )
        return tags[like], []
    if not tags:
        return None, []
    usual = next(iter(tags.values()))
    alike = [tag for tag, each in tags.items() if each == usual]
    others = [tag for tag, each in tags.items() if each != usual]
    if not others:
        return usual, []
    remark = (
        f"{path.name}: does not state its preprocessing; used that of {_listed(alike)}; if its weights are like "
        f"{_listed(others)}, name that tag as its preprocessing"
    )
    return usual, [remark]


def _listed(tags: list[str]) -> str:
    more = f", … ({len(tags)} tags)" if len(tags) > NAMED_TAGS else ""
    return f"{', '.join(tags[:NAMED_TAGS])}{more}"


def interpolation_of(record: EncoderRecord) -> Interpolation:
    """The filter that resizes crops for an encoder: its record's option ``interpolation``, bicubic if it has none."""
    named = record.options.get("interpolation")
    return named if named in INTERPOLATIONS else "bicubic"
