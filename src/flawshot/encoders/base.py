"""The interface of encoders: square crops and their masks in, tokens of features out."""

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
    """An image tower, which computes features.

    Attributes:
        record: The encoder's model, weights and input, as recorded in a feature bank's manifest.
        side: The input's side in px.
        dim: Length of a feature vector.
        device: The device that it runs on.
    """

    record: EncoderRecord
    side: int
    dim: int
    device: torch.device

    def encode(self, images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """Encode crops; on the CPU, several threads may call this at the same time.

        Args:
            images: uint8 ``[crops, side, side, 3]``, on any device.
            masks: uint8 ``[crops, side, side]``, 255 inside, 0 outside, on any device.

        Returns:
            float32 ``[crops, tokens, dim]`` on the encoder's device.
        """
        ...


@runtime_checkable
class TextEncoder(Protocol):
    """Additional methods of an encoder with a text tower, even if its current options rule out comparing texts."""

    def no_text(self) -> str:
        """Why :meth:`encode_text` gives no features comparable with those of images, in one line; else empty."""
        ...

    def text_weights_hash(self) -> str | None:
        """SHA-256 of the text tower's weights, or None if it is not known."""
        ...

    def encode_text(self, prompts: Sequence[str]) -> torch.Tensor:
        """Encode texts.

        Returns:
            float32 ``[prompts, dim]``, not scaled to length one.

        Raises:
            FlawshotError: With the text of :meth:`no_text`, if that is not empty.
        """
        ...


class BaseEncoder(ABC):
    """Base class of encoders that can be made by name and rebuilt from a record; see :data:`flawshot.ENCODERS`.

    Attributes:
        family: The name under which it is registered, also stored in its records.
        takes: The :class:`EncoderOptions` that it supports besides ``model``, ``device`` and ``precision``, with their
            possible values, or an empty tuple for any value. The first region and layer are its defaults.
        views: The view scheme that suits it, and its sizes (None: the scheme's own).
        record: As for :class:`Encoder`; likewise ``side``, ``dim`` and ``device``.
        network: A torch module from crops and masks to tokens that computes what :meth:`encode` does, if there is one;
            it can be compiled and exported. See :class:`flawshot.encoders.network.RegionNetwork`.
        remarks: Remarks for the user, one line each.
    """

    family: ClassVar[str]
    takes: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    views: ClassVar[tuple[str, tuple[str, ...] | None]] = ("mso", None)
    record: EncoderRecord
    side: int
    dim: int
    device: torch.device
    network: torch.nn.Module | None = None
    remarks: Sequence[str] = ()

    @property
    def map_side(self) -> int:
        """The only side of images, in px, that :meth:`maps` takes; 0 if it takes any multiples of 32.

        Raises:
            FlawshotError: If the encoder has no maps.
        """
        raise self._without_maps()

    def _without_maps(self) -> FlawshotError:
        return FlawshotError(
            f"{self.record.name}: has no feature maps, which finding regions needs; name another encoder for it with "
            f"{argument('find_encoder')}"
        )

    def maps(self, images: torch.Tensor) -> list[torch.Tensor]:  # noqa: ARG002
        """Feature maps of whole images, to find regions on them; masks play no part.

        Args:
            images: uint8 ``[images, height, width, 3]``, on any device; see :attr:`map_side` for the sizes.

        Returns:
            float32 ``[images, channels, rows, columns]`` each, the finest first, on the encoder's device.

        Raises:
            FlawshotError: If the encoder has no maps.
        """
        raise self._without_maps()

    @classmethod
    def models(cls) -> Sequence[str]:
        """The names of its models, for suggestions when a name is unknown."""
        return ()

    @classmethod
    def accepts(cls, options: EncoderOptions) -> bool:
        """Whether the model belongs to this family."""
        return options.model in cls.models()

    @classmethod
    @abstractmethod
    def from_options(cls, options: EncoderOptions) -> Self:
        """Make an encoder.

        Args:
            options: The options, with the family's defaults filled in; see :attr:`takes`.

        Raises:
            FlawshotError: With one line that names the option.
        """

    @classmethod
    @abstractmethod
    def from_record(
        cls, record: EncoderRecord, *, pretrained: str | None = None, device: str = "auto", precision: str = "auto"
    ) -> Self:
        """Make an encoder whose features are comparable with those of a record; the caller checks that they are.

        Args:
            record: A record of this family.
            pretrained: The weights file, if the weights came from one; the record has only its name.
            device: ``auto``, ``cpu``, ``cuda``, ….
            precision: Of the arithmetic; it may differ from the record's, since devices differ.

        Raises:
            FlawshotError: With one line; if it begins with ``encoder.``, it is about that field of the record.
        """

    @abstractmethod
    def encode(self, images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """Encode crops; see :meth:`Encoder.encode`."""

    def compile(self, crops: int, *, threads: int = 1) -> str:  # noqa: ARG002
        """Compile the network for a number of crops at a time, if that makes it faster.

        Args:
            crops: The number.
            threads: On the CPU, torch's threads that share the work of one layer; with another number of them, the
                uncompiled network computes. Where crops are divided among threads, as in ``flawshot encode``, it is
                one.

        Returns:
            In one line, what was done and what it gained, for the user.
        """
        return f"encoders of the family {self.family} cannot be compiled; {self.record.name} runs uncompiled"


def pick_device(wanted: str) -> torch.device:
    """The requested device; for ``auto``, the best one available.

    Raises:
        FlawshotError: If the machine has no such device.
    """
    if wanted == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(wanted)
        torch.ones(1, device=device).item()  # fails on devices that cannot compute, such as meta
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise FlawshotError(f"{argument('device', wanted)}: is not available; use auto, cpu, or cuda") from error
    return device


def pick_precision(wanted: str, device: torch.device, *, wide: bool = False) -> Precision:
    """The requested precision; for ``auto``, float16 on a GPU and float32 elsewhere.

    Args:
        wanted: ``auto``, or a precision.
        device: Where it is computed.
        wide: Whether the values may leave the range of float16; ``auto`` is then bfloat16 on GPUs that have it.

    Raises:
        FlawshotError: If there is no such precision.
    """
    match wanted:
        case "auto":
            if device.type != "cuda":
                return "float32"
            return "bfloat16" if wide and torch.cuda.is_bf16_supported() else "float16"
        case "float32" | "float16" | "bfloat16":
            return wanted
        case _:
            raise FlawshotError(f"{argument('precision', wanted)}: must be auto, float32, float16 or bfloat16")


def hash_weights(state: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 over names, types, shapes and bytes of a model's tensors, independent of the file they came from."""
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
    """The share of each patch in the mask; the shares add up to one.

    Args:
        masks: uint8 ``[crops, side, side]``.
        grid: Patches (down, across).

    Returns:
        float32 ``[crops, patches]``; if the mask covers nothing, all patches have equal shares.
    """
    covered = functional.adaptive_avg_pool2d(masks[:, None].float(), grid).flatten(1)
    total = covered.sum(dim=1, keepdim=True)
    return torch.where(total > 0, covered / total.clamp_min(1e-6), 1.0 / covered.shape[1])
