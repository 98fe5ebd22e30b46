"""What every encoder is: square crops and their masks in, tokens of features out."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import torch
from torch.nn import functional

from flawshot.base.errors import FlawshotError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flawshot.base.records import EncoderRecord

__all__ = ["Encoder", "Precision", "hash_weights", "mask_shares", "normalised", "pick_device", "pick_precision"]

Precision = Literal["float32", "float16", "bfloat16"]


@runtime_checkable
class Encoder(Protocol):
    """A CLIP image tower, and a text tower where there is one.

    Attributes:
        record: Who computes, with which weights, from what input: what a feature bank's manifest says.
        side: The input's side in px.
        dim: Length of a feature vector.
        device: Where it computes.

    An encoder may also have ``text_space``, whether :meth:`encode_text` gives features comparable with those of
    :meth:`encode` (no where it is absent); ``no_text``, why not, in one line; and ``text_weights_hash``, SHA-256 of the
    text tower's weights.
    """

    record: EncoderRecord
    side: int
    dim: int
    device: torch.device

    def encode(self, images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """Encode crops; on the CPU several threads may call it at once.

        Args:
            images: uint8 ``[crops, side, side, 3]``, on any device.
            masks: uint8 ``[crops, side, side]``, 255 inside, 0 outside, on any device.

        Returns:
            float32 ``[crops, tokens, dim]`` on the encoder's device.
        """
        ...

    def encode_text(self, prompts: Sequence[str]) -> torch.Tensor:
        """Encode texts.

        Returns:
            float32 ``[prompts, dim]``, not scaled to length one.

        Raises:
            FlawshotError: If there is no text tower, or its features are not comparable with the image's.
        """
        ...


def pick_device(wanted: str) -> torch.device:
    """The device named, or the best there is for ``auto``.

    Raises:
        FlawshotError: If the machine has no such device.
    """
    if wanted == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(wanted)
        torch.ones(1, device=device).item()  # a device that holds no numbers, such as meta, is none to compute on
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise FlawshotError(f"--device {wanted!r}: is not there; use auto, cpu, or cuda") from error
    return device


def pick_precision(wanted: str, device: torch.device) -> Precision:
    """The precision named, or float16 on a GPU and float32 elsewhere for ``auto``.

    Raises:
        FlawshotError: If there is no such precision.
    """
    match wanted:
        case "auto":
            return "float16" if device.type == "cuda" else "float32"
        case "float32" | "float16" | "bfloat16":
            return wanted
        case _:
            raise FlawshotError(f"--precision {wanted!r}: must be auto, float32, float16 or bfloat16")


def hash_weights(state: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 over names, types, shapes and bytes of a model's tensors; the same whatever file they came from."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def normalised(images: torch.Tensor, mean: torch.Tensor, std: torch.Tensor) -> torch.Tensor:
    """uint8 ``[crops, side, side, 3]`` to float32 ``[crops, 3, side, side]`` by an image normalisation in [0, 1]."""
    return ((images.permute(0, 3, 1, 2).float() / 255.0) - mean[:, None, None]) / std[:, None, None]


def mask_shares(masks: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
    """How much of each patch the mask covers, scaled to add up to one.

    Args:
        masks: uint8 ``[crops, side, side]``.
        grid: Patches (down, across).

    Returns:
        float32 ``[crops, patches]``; where the mask covers nothing, all patches count alike.
    """
    covered = functional.adaptive_avg_pool2d(masks[:, None].float(), grid).flatten(1)
    total = covered.sum(dim=1, keepdim=True)
    return torch.where(total > 0, covered / total.clamp_min(1e-6), 1.0 / covered.shape[1])
