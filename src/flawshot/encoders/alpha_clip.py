"""AlphaCLIP: CLIP with the mask as a fourth channel, based on open_clip's vision transformer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self, cast

import open_clip
import torch
from open_clip.transformer import VisionTransformer

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError
from flawshot.encoders.clip_model import empty_model
from flawshot.encoders.network import CropInput
from flawshot.encoders.open_clip import OpenClipEncoder, pretrained_of, weights_file
from flawshot.encoders.options import LAYERS
from flawshot.encoders.preprocessing import CLIP_PREPROCESSING
from flawshot.encoders.weights import read_weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flawshot.base.records import EncoderRecord
    from flawshot.encoders.options import EncoderOptions, Layer
    from flawshot.encoders.preprocessing import Preprocessing

__all__ = ["AlphaClipEncoder"]

# AlphaCLIP's normalization of a mask in [0, 1].
ALPHA_MEAN, ALPHA_STD = 0.5, 0.26


class AlphaPatchEmbedding(torch.nn.Module):
    """CLIP's patch embedding of the image plus a second one of the mask."""

    def __init__(self, image: torch.nn.Conv2d) -> None:
        super().__init__()
        self.image = image
        self.alpha = torch.nn.Conv2d(1, image.out_channels, image.kernel_size, image.stride, bias=False)  # type: ignore[arg-type]
        torch.nn.init.zeros_(self.alpha.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[crops, 4, side, side]`` to ``[crops, width, grid, grid]``."""
        embedded: torch.Tensor = self.image(x[:, :3]) + self.alpha(x[:, 3:])
        return embedded


class AlphaInput(CropInput):
    """AlphaCLIP's input: the normalized crop, and its mask as a fourth channel."""

    def forward(self, images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """uint8 ``[crops, side, side, 3]`` and ``[crops, side, side]`` to float32 ``[crops, 4, side, side]``."""
        alpha = (masks[:, None].float() / 255 - ALPHA_MEAN) / ALPHA_STD
        return torch.cat([super().forward(images, masks), alpha], dim=1)


class AlphaClipEncoder(OpenClipEncoder):
    """AlphaCLIP.

    Args:
        model: A vision transformer of OpenAI's geometry, such as ``ViT-L-14``; always with QuickGELU.
        pretrained: A local AlphaCLIP checkpoint of the image tower (such as ``clip_l14_grit20m_fultune_2xe.pth``), or
            of a whole CLIP with ``visual.`` before the image tower's names.
        layer: ``projection`` or ``trunk``.
        patch_tokens: The number of patch tokens after the CLS token: those nearest to it by cosine, nearest first.
        device: ``auto``, ``cpu``, ``cuda``, ….
        precision: ``auto``, ``float32``, ``float16`` or ``bfloat16``.

    Raises:
        FlawshotError: If there is no such model or file, or the weights do not fit.

    References:
        Sun et al.: "Alpha-CLIP: A CLIP Model Focusing on Wherever You Want", CVPR 2024, arXiv 2312.03818.
    """

    family: ClassVar[str] = "alpha_clip"
    takes: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "pretrained": (),
        "region": ("alpha",),
        "layer": LAYERS,
        "patch_tokens": (),
        "activation": ("quickgelu",),
    }

    def __init__(
        self,
        model: str,
        pretrained: str,
        *,
        layer: Layer = "projection",
        patch_tokens: int = 0,
        device: str = "auto",
        precision: str = "auto",
    ) -> None:
        name = model.removesuffix("-quickgelu")
        if open_clip.get_model_config(name) is None:
            raise FlawshotError(
                f"{argument('model', model)}: is not an open_clip model; AlphaCLIP has ViT-L-14 and ViT-B-16"
            )
        path = Path(pretrained)
        state = read_weights(path)
        built = empty_model(name, quickgelu=True)
        if not isinstance(built.visual, VisionTransformer):
            raise FlawshotError(
                f"{argument('model', model)}: is not a vision transformer, which {argument('region', 'alpha')} needs; "
                "use one such as ViT-L-14"
            )
        built.visual.conv1 = AlphaPatchEmbedding(built.visual.conv1)
        self._has_text, remarks = _load(built, state, path)
        self._set_up(
            built, CLIP_PREPROCESSING, name, pretrained, layer, "alpha", patch_tokens, device, precision, remarks
        )
        self.record = self.record.model_copy(update={"name": f"AlphaCLIP {name}"})

    @classmethod
    def accepts(cls, options: EncoderOptions) -> bool:
        """Whether open_clip knows the model, and the region is ``alpha``."""
        return options.region == "alpha" and super().accepts(options)

    @classmethod
    def from_options(cls, options: EncoderOptions) -> Self:
        """Make an encoder; see :meth:`flawshot.BaseEncoder.from_options`."""
        return cls(
            options.model,
            pretrained_of(options),
            layer=cast("Layer", options.layer),
            patch_tokens=options.patch_tokens,
            device=options.device,
            precision=options.precision,
        )

    @classmethod
    def from_record(
        cls, record: EncoderRecord, *, pretrained: str | None = None, device: str = "auto", precision: str = "auto"
    ) -> Self:
        """Rebuild an encoder; see :meth:`flawshot.BaseEncoder.from_record`."""
        return cls(
            str(record.options.get("model")),
            weights_file(record, pretrained),
            layer=cast("Layer", record.options.get("layer")),
            patch_tokens=len(record.tokens) - 1,
            device=device,
            precision=precision,
        )

    def _entry(self, expected: Preprocessing) -> torch.nn.Module:
        return AlphaInput(expected.mean, expected.std)

    def no_text(self) -> str:
        """Why text cannot be encoded; empty if the checkpoint contains a text tower."""
        if not self._has_text:
            return f"{self.record.weights}: contains only an image tower, no text tower"
        return super().no_text()


def _load(built: torch.nn.Module, state: dict[str, torch.Tensor], path: Path) -> tuple[bool, list[str]]:
    """Load a checkpoint with AlphaCLIP's names; returns whether it has a text tower, and what is missing or surplus."""
    whole = any(name.startswith("visual.") for name in state)
    own = built.state_dict()
    given = {_rename(name if whole else f"visual.{name}"): tensor for name, tensor in state.items()}
    text = {name for name in own if not name.startswith("visual.")}
    has_text = text <= set(given)
    fits = {name: tensor for name, tensor in given.items() if name in own and own[name].shape == tensor.shape}
    misshapen = sorted(set(given) & set(own) - set(fits))
    if misshapen:
        raise FlawshotError(
            f"{argument('pretrained', path)}: does not fit the {argument('model')}: {_plain(misshapen[0])} has a "
            "different shape"
        )
    alpha = "visual.conv1.alpha.weight"
    missing = sorted(name for name in set(own) - set(given) - {alpha} if name.startswith("visual."))
    if missing:
        raise FlawshotError(
            f"{argument('pretrained', path)}: lacks {len(missing)} of the image tower's weights ({_plain(missing[0])})"
        )
    built.load_state_dict(fits, strict=False)
    surplus = sorted(set(given) - set(own))
    said = []
    if alpha not in given:
        said.append("missing: conv1_alpha.weight, so the mask has no effect")
    if surplus:
        said.append(f"surplus: {len(surplus)} ({_plain(surplus[0])})")
    return has_text, [f"{path.name}: {'; '.join(said)}"] if said else []


def _rename(name: str) -> str:
    """Map AlphaCLIP's name of a tensor to ours; its input projection of the attention is a linear layer."""
    name = re.sub(r"\.attn\.in_proj\.(weight|bias)$", r".attn.in_proj_\1", name)
    name = re.sub(r"\.conv1_alpha\.weight$", ".conv1.alpha.weight", name)
    return re.sub(r"\.conv1\.weight$", ".conv1.image.weight", name)


def _plain(name: str) -> str:
    return name.removeprefix("visual.").replace("conv1.image", "conv1").replace("conv1.alpha", "conv1_alpha")
