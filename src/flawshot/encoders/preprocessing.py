"""How a crop becomes a tower's input: resizing filter, mean and standard deviation."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError
from flawshot.regions.crops import INTERPOLATIONS, Interpolation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flawshot.base.records import EncoderRecord, OptionValue

__all__ = ["Preprocessing", "interpolation_of"]


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


def interpolation_of(record: EncoderRecord) -> Interpolation:
    """The filter that resizes crops for an encoder: its record's option ``interpolation``, bicubic if it has none."""
    named = record.options.get("interpolation")
    return named if named in INTERPOLATIONS else "bicubic"
