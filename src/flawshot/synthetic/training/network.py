"""What is trained: an open_clip model with the mask as a fourth channel, and heads that training alone needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import nn

from flawshot.encoders.flawshot_tiny import empty_tiny_model, tiny_input
from flawshot.synthetic.flaws import FLAWS
from flawshot.synthetic.surfaces import SURFACES

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Network", "Outputs"]


class Outputs(NamedTuple):
    """What the network says of a batch.

    Attributes:
        trunk: Features before the projection, ``[crops, 520]``.
        image: Features in the space shared with text, of length one, ``[crops, dim]``.
        flaw: Logits of the kinds of flaws.
        surface: Logits of the kinds of surfaces.
        form: Tone, elongation, and how much of the view is covered, ``[crops, 3]``.
        mask: Logits of the mask, ``[crops, 1, grid, grid]``.
    """

    trunk: torch.Tensor
    image: torch.Tensor
    flaw: torch.Tensor
    surface: torch.Tensor
    form: torch.Tensor
    mask: torch.Tensor


class Network(nn.Module):
    """The encoder in training."""

    def __init__(self) -> None:
        super().__init__()
        self.clip: Any = empty_tiny_model()
        dim = self.clip.visual.trunk.num_features
        self.flaw = nn.Linear(dim, len(FLAWS))
        self.surface = nn.Linear(dim, len(SURFACES))
        self.form = nn.Linear(dim, 3)
        self.mask = nn.ModuleList(nn.Conv2d(stage["num_chs"], 1, 1) for stage in self._stages()[-3:])
        self.episode_scale = nn.Parameter(torch.tensor(2.7))

    def forward(self, crops: torch.Tensor, masked: torch.Tensor) -> Outputs:
        """See a batch.

        Args:
            crops: uint8 ``[crops, 4, side, side]``, the mask last.
            masked: Which crops may see their mask, bool ``[crops]``.
        """
        visual = self.clip.visual
        pixels, masks = crops[:, :3], crops[:, 3:].float() * masked[:, None, None, None]
        seen = tiny_input(pixels.float(), masks)
        maps = visual.trunk.maps(seen)
        trunk = visual.trunk.features(maps, seen[:, 3:])
        image = nn.functional.normalize(visual.head(trunk).float(), dim=-1)
        guess: torch.Tensor | None = None
        for layer, map_ in zip(self.mask, maps[1:], strict=True):
            said = nn.functional.interpolate(layer(map_).float(), size=maps[1].shape[-2:], mode="bilinear")
            guess = said if guess is None else guess + said
        assert guess is not None  # noqa: S101  # there are three stages
        return Outputs(trunk, image, self.flaw(trunk), self.surface(trunk), self.form(trunk), guess)

    def _stages(self) -> Any:
        return self.clip.visual.trunk.net.feature_info

    def shipped(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Names and tensors of the model itself, without the heads of training."""
        yield from self.clip.state_dict().items()
