"""What an encoder computes, as one torch module: crops and masks in, tokens of features out."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from flawshot.encoders.base import BaseEncoder, mask_shares, normalized
from flawshot.encoders.compiling import compiled
from flawshot.encoders.maps import map_reader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flawshot.encoders.maps import MapReader

__all__ = ["CropInput", "NetworkEncoder", "RegionNetwork", "prepared"]

# The background's remaining brightness for the region ``masked``.
DIMMED = 0.3


class CropInput(nn.Module):
    """A tower's input from crops and masks: normalized, and with the background dimmed if wanted.

    Args:
        mean: Of each channel in [0, 1].
        std: Likewise.
        dimmed: Whether the background is dimmed to 0.3.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float], *, dimmed: bool = False) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean), persistent=False)
        self.register_buffer("std", torch.tensor(std), persistent=False)
        self.dimmed = dimmed

    def forward(self, images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """uint8 ``[crops, side, side, 3]`` and ``[crops, side, side]`` to float32 ``[crops, 3, side, side]``."""
        if self.dimmed:
            kept = DIMMED + (1 - DIMMED) * masks[..., None].float() / 255
            return normalized(images.float() * kept, self.mean, self.std)
        return normalized(images, self.mean, self.std)


class RegionNetwork(nn.Module):
    """An encoder's computation from pixels to tokens.

    Args:
        entry: Makes the tower's input from crops and masks, as :class:`CropInput` does.
        tower: Takes this input, and returns pooled features ``[crops, dim]``, and patch tokens ``[crops, patches,
            dim]`` or None.
        grid: Patches (down, across), if there are patch tokens.
        pools: Whether patch tokens averaged inside the mask replace the pooled features; if the mask misses a crop,
            all of them are averaged.
        patch_tokens: The number of patch tokens after the first: those nearest to it by cosine, nearest first.
        head: Turns patch tokens, or their averages, ``[vectors, width]`` into features ``[vectors, dim]``; None if they
            are.
        precision: ``float32``, or the type in which the tower computes by autocast.
    """

    def __init__(
        self,
        entry: nn.Module,
        tower: nn.Module,
        *,
        grid: tuple[int, int] | None = None,
        pools: bool = False,
        patch_tokens: int = 0,
        head: Callable[[torch.Tensor], torch.Tensor] | None = None,
        precision: str = "float32",
    ) -> None:
        super().__init__()
        self.entry, self.tower, self.head = entry, tower, head
        self.grid, self.pools, self.patch_tokens = grid, pools, patch_tokens
        self.dtype = None if precision == "float32" else getattr(torch, precision)

    def forward(self, images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """Tokens of crops, float32 ``[crops, tokens, dim]``; see :meth:`flawshot.encoders.base.Encoder.encode`."""
        if self.dtype is None:
            pooled, patches = self.tower(self.entry(images, masks))
        else:
            with torch.autocast(images.device.type, dtype=self.dtype):
                pooled, patches = self.tower(self.entry(images, masks))
        pooled = pooled.float()
        if self.grid is None or not (self.pools or self.patch_tokens):
            return torch.unsqueeze(pooled, 1)
        patches = patches.float()
        if self.pools:
            pooled = self._headed(mask_shares(masks, self.grid)[:, None] @ patches)[:, 0]
        if not self.patch_tokens:
            return torch.unsqueeze(pooled, 1)
        near = nearest_tokens(pooled, self._headed(patches), self.patch_tokens)
        return torch.cat([pooled[:, None], near], dim=1)

    def _headed(self, tokens: torch.Tensor) -> torch.Tensor:
        if self.head is None:
            return tokens
        crops, count, _ = tokens.shape
        return self.head(tokens.flatten(0, 1)).reshape(crops, count, -1)


class NetworkEncoder(BaseEncoder):
    """Base class of encoders that consist of one :class:`RegionNetwork`, in :attr:`network`."""

    network: nn.Module
    _fast: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None

    @torch.inference_mode()
    def encode(self, images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """Encode crops; see :meth:`flawshot.encoders.base.Encoder.encode`."""
        images, masks = (crops.to(self.device, non_blocking=True) for crops in (images, masks))
        features: torch.Tensor = (self._fast or self.network)(images, masks)
        return features

    @property
    def map_side(self) -> int:
        """The side of images that :meth:`maps` takes; see :attr:`flawshot.BaseEncoder.map_side`."""
        return self._map_reader.side

    @torch.inference_mode()
    def maps(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Feature maps of whole images; see :meth:`flawshot.BaseEncoder.maps`."""
        images = images.to(self.device, non_blocking=True)
        return [each.float() for each in self._map_reader.read(self._map_input(images))]

    @cached_property
    def _map_reader(self) -> MapReader:
        blank = self._map_input(torch.zeros(1, self.side, self.side, 3, dtype=torch.uint8, device=self.device))
        reader = map_reader(self._map_tower(), blank)
        if reader is None:
            raise self._without_maps()
        return reader

    def _map_tower(self) -> Any:
        """The image tower whose maps are read; None if the encoder has none."""
        return None

    def _map_input(self, images: torch.Tensor) -> torch.Tensor:
        """The tower's input from uint8 images ``[images, height, width, 3]``; everything is inside the mask."""
        inside = torch.full(images.shape[:3], 255, dtype=torch.uint8, device=images.device)
        made: torch.Tensor = self.network.entry(images, inside)  # type: ignore[operator]
        return made.contiguous(memory_format=torch.channels_last)

    def compile(self, crops: int, *, threads: int = 1) -> str:
        """Compile the network; see :meth:`flawshot.BaseEncoder.compile`."""
        self._fast, remark = compiled(self.network, self.device, self.side, crops, threads=threads)
        return remark


def prepared(model: Any, device: torch.device) -> Any:
    """A model for inference on a device; convolutions keep their weights in the order in which they are fast."""
    return model.eval().requires_grad_(requires_grad=False).to(device, memory_format=torch.channels_last)


def nearest_tokens(pooled: torch.Tensor, tokens: torch.Tensor, count: int) -> torch.Tensor:
    """The ``count`` patch tokens with the greatest cosine to the first token, greatest first."""
    cosines = nn.functional.cosine_similarity(tokens, pooled[:, None], dim=-1)
    order = cosines.topk(count, dim=1).indices
    return tokens.gather(1, order[..., None].expand(-1, -1, tokens.shape[-1]))
