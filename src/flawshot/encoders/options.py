"""What a user may say of an encoder; light, for the command line reads it before torch is loaded."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ACTIVATIONS",
    "LAYERS",
    "MASK_USES",
    "PRECISIONS",
    "Activation",
    "EncoderOptions",
    "Layer",
    "MaskUse",
    "Precision",
]

# How the mask enters: not at all, by dimming the background, by pooling tokens inside it, or as an extra channel.
MaskUse = Literal["crop", "masked", "mask-pool", "alpha"]
# CLIP's shared space of images and texts, or the layer before it.
Layer = Literal["projection", "trunk"]
Activation = Literal["gelu", "quickgelu"]
Precision = Literal["float32", "float16", "bfloat16"]
MASK_USES: tuple[MaskUse, ...] = get_args(MaskUse)
LAYERS: tuple[Layer, ...] = get_args(Layer)
ACTIVATIONS: tuple[Activation, ...] = get_args(Activation)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


@dataclass(frozen=True, slots=True)
class EncoderOptions:
    """A user's options for an encoder of any family; None where not specified.

    Attributes:
        model: The model's name, which one family accepts.
        pretrained: The weights: a tag or a file.
        region: How the mask is used.
        layer: The layer that gives the features.
        patch_tokens: The number of patch tokens that follow the first token.
        activation: The activation, if the weights are a file that does not state it.
        preprocessing: The tag whose preprocessing the weights expect, if they are a file.
        side: The input's side in px, if it is not the model's own; 0 where not specified.
        device: ``auto``, ``cpu``, ``cuda``, ….
        precision: ``auto``, ``float32``, ``float16`` or ``bfloat16``.
    """

    model: str
    pretrained: str | None = None
    region: str | None = None
    layer: str | None = None
    patch_tokens: int = 0
    activation: str | None = None
    preprocessing: str | None = None
    side: int = 0
    device: str = "auto"
    precision: str = "auto"

    def fitted(self, takes: Mapping[str, tuple[str, ...]]) -> EncoderOptions:
        """The options with a family's defaults filled in; see :attr:`BaseEncoder.takes`.

        Raises:
            FlawshotError: With one line, if the family does not support an option or its value.
        """
        for name in ("patch_tokens", "side"):
            if getattr(self, name) < 0:
                raise FlawshotError(f"{argument(name, getattr(self, name))}: must be at least 0")
        defaults: dict[str, Any] = {}
        for field in fields(self):
            name, value = field.name, getattr(self, field.name)
            if name in {"model", "device", "precision"}:
                continue
            values = takes.get(name)
            if not value:
                if values and name in {"region", "layer"}:
                    defaults[name] = values[0]
            elif values is None:
                raise FlawshotError(
                    f"{argument(name, value)}: is not supported by {self.model}; omit it, or choose another "
                    f"{argument('model')}"
                )
            elif values and value not in values:
                raise FlawshotError(f"{argument(name, value)}: {self.model} takes {' or '.join(values)}")
        return replace(self, **defaults)
