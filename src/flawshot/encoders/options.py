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
    """What a user says of an encoder, whatever its family; None where nothing was said.

    Attributes:
        model: Which model, by a name that one family takes.
        pretrained: A tag of its weights, or their file.
        region: How the mask enters.
        layer: Which layer gives the features.
        patch_tokens: How many patch tokens follow the first token.
        activation: Of the weights in a file that does not say it.
        device: ``auto``, ``cpu``, ``cuda``, ….
        precision: ``auto``, ``float32``, ``float16`` or ``bfloat16``.
    """

    model: str
    pretrained: str | None = None
    region: str | None = None
    layer: str | None = None
    patch_tokens: int = 0
    activation: str | None = None
    device: str = "auto"
    precision: str = "auto"

    def fitted(self, takes: Mapping[str, tuple[str, ...]]) -> EncoderOptions:
        """The same with a family's defaults where nothing was said; see :attr:`BaseEncoder.takes`.

        Raises:
            FlawshotError: With one line, if the family does not take one of them, or not its value.
        """
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
                    f"{argument(name, value)}: is nothing that {self.model} takes; omit it, or name another "
                    f"{argument('model')}"
                )
            elif values and value not in values:
                raise FlawshotError(f"{argument(name, value)}: {self.model} takes {' or '.join(values)}")
        return replace(self, **defaults)
