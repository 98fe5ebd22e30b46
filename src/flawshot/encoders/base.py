"""What every encoder is: square crops and their masks in, tokens of features out."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Protocol, Self, runtime_checkable

import torch
from torch.nn import functional

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flawshot.base.records import EncoderRecord
    from flawshot.encoders.options import EncoderOptions, Precision

__all__ = [
    "BaseEncoder",
    "Encoder",
    "TextEncoder",
    "hash_weights",
    "mask_shares",
    "normalized",
    "pick_device",
    "pick_precision",
]


@runtime_checkable
class Encoder(Protocol):
    """An image tower: what features come from.

    Attributes:
        record: Who computes, with which weights, from what input: what a feature bank's manifest says.
        side: The input's side in px.
        dim: Length of a feature vector.
        device: Where it computes.
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


@runtime_checkable
class TextEncoder(Protocol):
    """What an encoder has besides if its features can be compared with those of texts, now or with other options."""

    def no_text(self) -> str:
        """Why :meth:`encode_text` has no features comparable with those of images, in one line; empty where it has."""
        ...

    def text_weights_hash(self) -> str | None:
        """SHA-256 of the text tower's weights, or None where it is not known."""
        ...

    def encode_text(self, prompts: Sequence[str]) -> torch.Tensor:
        """Encode texts.

        Returns:
            float32 ``[prompts, dim]``, not scaled to length one.

        Raises:
            FlawshotError: With what :meth:`no_text` says.
        """
        ...


class BaseEncoder(ABC):
    """An encoder that a name makes and a record rebuilds; registered in :data:`flawshot.encoders.ENCODERS`.

    Attributes:
        family: The name under which it is registered, which its records hold too.
        takes: Which of :class:`EncoderOptions` it takes besides ``model``, ``device`` and ``precision``: the possible
            values, or an empty tuple for any. The first region and layer are its defaults.
        views: The view scheme that suits it, and its sizes (None: the scheme's own).
        record: As for :class:`Encoder`; likewise ``side``, ``dim`` and ``device``.
        remarks: What a user should be told, one line each.
    """

    family: ClassVar[str]
    takes: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    views: ClassVar[tuple[str, tuple[str, ...] | None]] = ("mso", None)
    record: EncoderRecord
    side: int
    dim: int
    device: torch.device
    remarks: Sequence[str] = ()

    @classmethod
    def models(cls) -> Sequence[str]:
        """The models that it knows by name, for a hint where none is known."""
        return ()

    @classmethod
    def accepts(cls, options: EncoderOptions) -> bool:
        """Whether the model named is one of this family's."""
        return options.model in cls.models()

    @classmethod
    @abstractmethod
    def from_options(cls, options: EncoderOptions) -> Self:
        """Make one.

        Args:
            options: Fitted to :attr:`takes`.

        Raises:
            FlawshotError: With one line that names the option.
        """

    @classmethod
    @abstractmethod
    def from_record(
        cls, record: EncoderRecord, *, pretrained: str | None = None, device: str = "auto", precision: str = "auto"
    ) -> Self:
        """Make one that gives features comparable with those of a record; the caller proves that they are.

        Args:
            record: Of this family.
            pretrained: The weights' file where they came from one; the record says its name only.
            device: ``auto``, ``cpu``, ``cuda``, ….
            precision: Of the arithmetic; it may differ from the record's, for another device has another one.

        Raises:
            FlawshotError: With one line; one that begins with ``encoder.`` is taken for the record's field.
        """

    @abstractmethod
    def encode(self, images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """Encode crops, as :meth:`Encoder.encode` says."""


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
        raise FlawshotError(f"{argument('device', wanted)}: is not there; use auto, cpu, or cuda") from error
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
            raise FlawshotError(f"{argument('precision', wanted)}: must be auto, float32, float16 or bfloat16")


def hash_weights(state: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 over names, types, shapes and bytes of a model's tensors; the same whatever file they came from."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def normalized(images: torch.Tensor, mean: torch.Tensor, std: torch.Tensor) -> torch.Tensor:
    """uint8 ``[crops, side, side, 3]`` to float32 ``[crops, 3, side, side]`` by an image normalization in [0, 1]."""
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
