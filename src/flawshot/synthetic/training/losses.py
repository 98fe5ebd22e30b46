"""What training minimizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from flawshot.synthetic.training.network import Outputs

__all__ = ["Targets", "episode_loss", "losses"]


class Targets(NamedTuple):
    """What a batch really shows.

    Attributes:
        shape: Products, categories a product, instances a category: the order of the crops.
        flaw: Kinds, int64 ``[crops]``.
        surface: Kinds, int64 ``[crops]``.
        form: Tone, elongation, cover, float32 ``[crops, 3]``.
        mask: 0 to 1, float32 ``[crops, 1, side, side]``.
        masked: Which crops saw their mask, bool ``[crops]``.
        text: Features of the captions of every so many crops, of length one, ``[captions, dim]``.
    """

    shape: tuple[int, int, int]
    flaw: torch.Tensor
    surface: torch.Tensor
    form: torch.Tensor
    mask: torch.Tensor
    masked: torch.Tensor
    text: torch.Tensor


def episode_loss(features: torch.Tensor, shape: tuple[int, int, int], scale: torch.Tensor) -> torch.Tensor:
    """Classify each instance among its product's categories by the prototypes of the others.

    Args:
        features: ``[products * categories * instances, dim]``.
        shape: Products, categories, instances.
        scale: What cosines are multiplied by.

    References:
        Snell et al.: "Prototypical Networks for Few-shot Learning", NeurIPS 2017, with every instance left out in turn.
    """
    products, categories, instances = shape
    unit = functional.normalize(features, dim=-1).view(products, categories, instances, -1)
    total = unit.sum(dim=2)
    others = functional.normalize(total[:, :, None] - unit, dim=-1)
    own = (unit * others).sum(dim=-1)
    scores = torch.einsum("pcid,pkd->pcik", unit, functional.normalize(total, dim=-1))
    same = torch.eye(categories, dtype=torch.bool, device=features.device)[None, :, None, :]
    logits = scale * torch.where(same, own[..., None], scores)
    labels = torch.arange(categories, device=features.device)[None, :, None].expand(products, categories, instances)
    return functional.cross_entropy(logits.reshape(-1, categories), labels.reshape(-1))


def losses(
    out: Outputs, targets: Targets, logit_scale: torch.Tensor, episode_scale: torch.Tensor
) -> dict[str, torch.Tensor]:
    """All parts of the loss, weighed; their sum is minimized."""
    told = out.image[:: len(out.image) // len(targets.text)]
    clip = logit_scale * told @ targets.text.T
    places = torch.arange(len(clip), device=clip.device)
    grid = functional.adaptive_avg_pool2d(targets.mask, (out.mask.shape[-2], out.mask.shape[-1]))
    unseen = ~targets.masked
    mask = functional.binary_cross_entropy_with_logits(out.mask[unseen], grid[unseen])
    return {
        "episode": episode_loss(out.trunk, targets.shape, episode_scale),
        "clip": 0.25 * (functional.cross_entropy(clip, places) + functional.cross_entropy(clip.T, places)) / 2,
        "flaw": 0.5 * functional.cross_entropy(out.flaw, targets.flaw, label_smoothing=0.05),
        "surface": 0.05 * functional.cross_entropy(out.surface, targets.surface),
        "form": 0.3 * functional.mse_loss(out.form, targets.form),
        "mask": 1.0 * mask,
    }
