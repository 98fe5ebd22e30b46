"""flawshot-tiny: the embedded CLIP, trained on drawn surfaces, with the mask as a fourth channel that may be absent."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import open_clip
import torch
from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD

from flawshot.encoders.open_clip import empty_model

if TYPE_CHECKING:
    from torch import nn

__all__ = ["TINY", "MaskedStem", "empty_tiny_model", "tiny_input"]

TINY = "flawshot-tiny"
FOLDER = Path(str(files("flawshot.encoders").joinpath("tiny")))


class MaskedStem(torch.nn.Module):
    """A first convolution of the image plus a second one of the mask; where the mask is 0, the first alone."""

    def __init__(self, image: nn.Conv2d) -> None:
        super().__init__()
        self.image = image
        self.mask = torch.nn.Conv2d(
            1,
            image.out_channels,
            image.kernel_size,  # type: ignore[arg-type]
            image.stride,  # type: ignore[arg-type]
            image.padding,  # type: ignore[arg-type]
            bias=False,
        )
        torch.nn.init.zeros_(self.mask.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[crops, 4, side, side]`` to ``[crops, width, side / 2, side / 2]``."""
        embedded: torch.Tensor = self.image(x[:, :3]) + self.mask(x[:, 3:])
        return embedded


def empty_tiny_model() -> Any:
    """The model without weights."""
    if TINY not in open_clip.list_models():
        open_clip.add_model_config(FOLDER / f"{TINY}.json")
    built = empty_model(TINY, quickgelu=False)
    built.visual.trunk.stem.conv = MaskedStem(built.visual.trunk.stem.conv)
    return built


def tiny_input(pixels: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """What the model sees.

    Args:
        pixels: 0 to 255, float32 ``[crops, 3, side, side]``.
        masks: 0 to 255, float32 ``[crops, 1, side, side]``; all 0 where they are absent.

    Returns:
        float32 ``[crops, 4, side, side]``, in channels_last order.
    """
    mean = torch.tensor(OPENAI_DATASET_MEAN, device=pixels.device)[:, None, None]
    std = torch.tensor(OPENAI_DATASET_STD, device=pixels.device)[:, None, None]
    image = (pixels / 255 - mean) / std
    return torch.cat([image, masks / 255], dim=1).contiguous(memory_format=torch.channels_last)
