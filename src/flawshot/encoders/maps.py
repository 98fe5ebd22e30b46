"""Feature maps of whole images: what an encoder's tower computes before it pools, for finding regions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["MAP_STEP", "MapReader", "map_reader"]

# Images whose sides are multiples of this, in px, have maps of whole cells.
MAP_STEP = 32
# The strides of the maps that are used, in px; finer ones show single edges.
STRIDES = (4, 8, 16, 32)


class MapReader(NamedTuple):
    """How the maps of a tower are read.

    Attributes:
        read: Takes the tower's input ``[images, channels, height, width]``; gives maps ``[images, channels, rows,
            columns]``, the finest first.
        side: The only side of the input that it takes, in px; 0 if it takes any multiples of :data:`MAP_STEP`.
    """

    read: Callable[[torch.Tensor], list[torch.Tensor]]
    side: int


def map_reader(tower: Any, blank: torch.Tensor) -> MapReader | None:
    """How to read the maps of a tower of open_clip or timm, or None if it has none.

    A convolutional network gives the last map of each stride of 4, 8, 16 and 32 px, and takes images of any size. A
    transformer gives the last layer's patch tokens, and takes the side it was built for.

    Args:
        tower: The image tower.
        blank: An input of the side it was built for, ``[1, channels, side, side]``.
    """
    side = int(blank.shape[-1])
    for read in filter(None, (_open_clip(tower), _timm(getattr(tower, "trunk", tower)))):
        maps = _tried(read, blank)
        if maps and all(each.ndim == 4 and len(each) == 1 and each.shape[-1] > 1 for each in maps):
            return MapReader(read, 0 if _any_size(read, blank) else side)
    return None


def _tried(read: Callable[[torch.Tensor], list[torch.Tensor]], given: torch.Tensor) -> list[torch.Tensor]:
    try:
        with torch.inference_mode():
            return read(given)
    except Exception:  # noqa: BLE001 - of a model that has no maps, or does not take such a size, anything
        return []


def _any_size(read: Callable[[torch.Tensor], list[torch.Tensor]], blank: torch.Tensor) -> bool:
    """Whether a tower takes images of other sizes, also such as are not square, and its maps follow them."""
    side = int(blank.shape[-1])
    height, width = (MAP_STEP * (side // MAP_STEP + more) for more in (1, 2))
    maps = _tried(read, blank.new_zeros(1, blank.shape[1], height, width))
    return len(maps) > 1 and all(each.shape[-2] * width == each.shape[-1] * height for each in maps)


def _open_clip(visual: Any) -> Callable[[torch.Tensor], list[torch.Tensor]] | None:
    from open_clip.modified_resnet import ModifiedResNet  # noqa: PLC0415 - slow to import
    from open_clip.transformer import VisionTransformer  # noqa: PLC0415

    if isinstance(visual, VisionTransformer):

        def tokens(x: torch.Tensor) -> list[torch.Tensor]:
            given = visual(x)  # with its patch tokens, since the encoder asks for them
            down, across = visual.grid_size
            return [given[1].transpose(1, 2).unflatten(2, (down, across))]

        return tokens
    if isinstance(visual, ModifiedResNet):

        def stages(x: torch.Tensor) -> list[torch.Tensor]:
            made = []
            x = visual.layer1(visual.stem(x))
            for stage in (visual.layer2, visual.layer3, visual.layer4):
                made.append(x)
                x = stage(x)
            made.append(x)
            return made

        return stages
    return None


def _timm(model: Any) -> Callable[[torch.Tensor], list[torch.Tensor]] | None:
    indices = _last_of_each(getattr(model, "feature_info", None))
    if not indices or not hasattr(model, "forward_intermediates"):
        return None

    def read(x: torch.Tensor) -> list[torch.Tensor]:
        maps: list[torch.Tensor] = model.forward_intermediates(x, indices=indices, intermediates_only=True, norm=True)
        return maps

    return read


def _last_of_each(info: Any) -> list[int]:
    """The index of the last map of each stride, of those that are used."""
    described: Sequence[Any] = getattr(info, "info", info) or ()
    last: dict[int, int] = {}
    for number, each in enumerate(described):
        reduction = each.get("reduction") if isinstance(each, dict) else None
        if isinstance(reduction, int):
            last[reduction] = number
    wanted = [last[stride] for stride in STRIDES if stride in last]
    # A transformer has one stride, often of 14 px.
    return wanted or list(last.values())[-1:]
