"""Encoders of all CLIP models that open_clip can build, with weights by tag or from a local file."""

from __future__ import annotations

import math
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import open_clip
import torch
from open_clip.modified_resnet import ModifiedResNet
from open_clip.transformer import QuickGELU, VisionTransformer

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError, printable
from flawshot.base.records import EncoderRecord, OptionValue, shown
from flawshot.base.store.files import one_line
from flawshot.encoders.base import hash_weights, pick_device, pick_precision
from flawshot.encoders.clip_model import build_model, clip_preprocessing
from flawshot.encoders.network import CropInput, NetworkEncoder, RegionNetwork, prepared
from flawshot.encoders.options import ACTIVATIONS, LAYERS, MASK_USES
from flawshot.encoders.preprocessing import Preprocessing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flawshot.encoders.options import Activation, EncoderOptions, Layer, MaskUse

__all__ = ["OpenClipEncoder", "pretrained_of", "weights_file"]

# QuickGELU's factor.
QUICKNESS = 1.702


class OpenClipEncoder(NetworkEncoder):
    """A CLIP model of open_clip; at the layer ``projection``, its features can be compared with those of texts.

    Args:
        model: A name that open_clip knows, such as ``ViT-B-32``.
        pretrained: One of its tags, which is downloaded once, or a local file (``.safetensors``, or saved tensors).
        layer: ``projection`` (CLIP's shared space) or ``trunk`` (before it).
        region: How the mask is used: ``crop`` (not at all), ``masked`` (the background is dimmed to 0.3), or
            ``mask-pool`` (patch tokens averaged inside the mask replace the CLS token; if the mask misses a crop, all
            of them are averaged).
        patch_tokens: The number of patch tokens after the first: those nearest to it by cosine, nearest first.
        activation: ``gelu`` or ``quickgelu``, for local files; if None, the model's own is used, with a remark.
        preprocessing: For local files: the tag whose mean, standard deviation and interpolation the weights expect; or,
            for any weights, these themselves. If None, those of the model's tags, with a remark if they differ.
        device: ``auto``, ``cpu``, ``cuda``, ….
        precision: ``auto``, ``float32``, ``float16`` or ``bfloat16``; of the towers' arithmetic, not of the weights.

    Raises:
        FlawshotError: With one line, if there is no such model, tag or file, the weights do not fit, or the model
            does not have the layer or the tokens.

    Attributes:
        record: The encoder, as recorded in a feature bank's manifest.
        side: The input's side in px.
        dim: Length of a feature vector.
        device: The device that it runs on.
        remarks: Remarks for the user, one line each.
    """

    family: ClassVar[str] = "open_clip"
    takes: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "pretrained": (),
        "region": ("crop", "masked", "mask-pool"),
        "layer": LAYERS,
        "patch_tokens": (),
        "activation": ACTIVATIONS,
        "preprocessing": (),
    }

    def __init__(
        self,
        model: str,
        pretrained: str,
        *,
        layer: Layer = "projection",
        region: MaskUse = "crop",
        patch_tokens: int = 0,
        activation: Activation | None = None,
        preprocessing: str | Preprocessing | None = None,
        device: str = "auto",
        precision: str = "auto",
    ) -> None:
        if region not in MASK_USES or region == "alpha":
            raise FlawshotError(
                f"{argument('region', region)}: must be crop, masked or mask-pool (alpha needs AlphaCLIP weights)"
            )
        built, remarks = build_model(model, pretrained, activation)
        expected = preprocessing
        if not isinstance(expected, Preprocessing):
            expected, more = clip_preprocessing(model, pretrained, expected)
            remarks += more
        self._set_up(built, expected, model, pretrained, layer, region, patch_tokens, device, precision, remarks)

    @classmethod
    def models(cls) -> Sequence[str]:
        """The models that open_clip knows."""
        return list(open_clip.list_models())

    @classmethod
    def accepts(cls, options: EncoderOptions) -> bool:
        """Whether open_clip knows the model."""
        return options.model in cls.models()

    @classmethod
    def from_options(cls, options: EncoderOptions) -> Self:
        """Make an encoder; see :meth:`BaseEncoder.from_options`."""
        return cls(
            options.model,
            pretrained_of(options),
            layer=cast("Layer", options.layer),
            region=cast("MaskUse", options.region),
            patch_tokens=options.patch_tokens,
            activation=cast("Activation | None", options.activation),
            preprocessing=options.preprocessing,
            device=options.device,
            precision=options.precision,
        )

    @classmethod
    def from_record(
        cls, record: EncoderRecord, *, pretrained: str | None = None, device: str = "auto", precision: str = "auto"
    ) -> Self:
        """Rebuild an encoder; see :meth:`BaseEncoder.from_record`."""
        model = str(record.options.get("model"))
        if model not in cls.models():
            raise FlawshotError(f"encoder.options.model: {shown(model)} is not an open_clip model; update open_clip")
        by_tag = bool(open_clip.get_pretrained_cfg(model, pretrained or record.weights))
        # A tower without either activation, such as a ResNet, is recorded as gelu; the model's own is then right.
        quick = not by_tag and record.options.get("activation") == "quickgelu"
        return cls(
            model,
            pretrained or (record.weights if by_tag else weights_file(record, None)),
            layer=cast("Layer", record.options.get("layer")),
            region=cast("MaskUse", record.options.get("region")),
            patch_tokens=len(record.tokens) - 1,
            activation="quickgelu" if quick else None,
            preprocessing=Preprocessing.recorded(record.options),
            device=device,
            precision=precision,
        )

    def _set_up(  # noqa: PLR0917
        self,
        built: Any,
        expected: Preprocessing,
        model: str,
        pretrained: str,
        layer: Layer,
        region: MaskUse,
        patch_tokens: int,
        device: str,
        precision: str,
        remarks: list[str],
    ) -> None:
        if layer not in LAYERS:
            raise FlawshotError(f"{argument('layer', layer)}: must be {' or '.join(LAYERS)}")
        self.device = pick_device(device)
        arithmetic = pick_precision(precision, self.device)
        weights_hash = hash_weights(built.visual.state_dict())
        quick = any(isinstance(module, QuickGELU) for module in built.visual.modules())
        self._model = prepared(built, self.device)
        _fold_quickgelu(self._model.visual)
        self._model_name = model
        self._by_tag = bool(open_clip.get_pretrained_cfg(model, pretrained))
        self.remarks = remarks
        visual = self._model.visual
        self.side = _side(visual, model)
        tower = _tower(visual, layer, tokens=patch_tokens > 0 or region == "mask-pool", model=model)
        if patch_tokens and patch_tokens > math.prod(_grid(visual)):
            raise FlawshotError(
                f"{argument('patch_tokens', patch_tokens)}: {model} has {math.prod(_grid(visual))} of them"
            )
        first = "mask-pool" if region == "mask-pool" else "cls"
        options: dict[str, OptionValue] = {
            "model": model,
            "region": region,
            "layer": layer,
            "activation": "quickgelu" if quick else "gelu",
            "side": self.side,
            **expected.options,
        }
        self.record = EncoderRecord(
            family=self.family,
            name=f"open_clip {model}",
            weights=Path(pretrained).name,
            weights_hash=weights_hash,
            options=options,
            precision=arithmetic,
            tokens=(first, *(f"patch-{number}" for number in range(1, patch_tokens + 1))),
        )
        self.network = RegionNetwork(
            self._entry(expected).to(self.device),
            tower,
            grid=_grid(visual) if isinstance(tower, TransformerTower) else None,
            pools=region == "mask-pool",
            patch_tokens=patch_tokens,
            precision=arithmetic,
        )
        blank = torch.zeros(1, self.side, self.side, 3, dtype=torch.uint8)
        self.dim = int(self.encode(blank, blank[..., 0]).shape[-1])

    def _entry(self, expected: Preprocessing) -> torch.nn.Module:
        """What makes the tower's input from crops and masks."""
        return CropInput(expected.mean, expected.std, dimmed=self.record.options["region"] == "masked")

    def _map_tower(self) -> Any:
        return self._model.visual

    def no_text(self) -> str:
        """Why text cannot be encoded; see :meth:`flawshot.encoders.base.TextEncoder.no_text`."""
        layer = self.record.options["layer"]
        if layer != "projection":
            return f"features of the layer {layer} cannot be compared with text; those of projection can"
        return self._tokenizer[1]

    def text_weights_hash(self) -> str | None:
        """SHA-256 of all weights outside the image tower."""
        return self._text_weights_hash

    @cached_property
    def _text_weights_hash(self) -> str:
        state = self._model.state_dict()
        return hash_weights({name: tensor for name, tensor in state.items() if not name.startswith("visual.")})

    @cached_property
    def _tokenizer(self) -> tuple[Any, str]:
        return _tokenizer(self._model_name, download=self._by_tag)

    @torch.inference_mode()
    def encode_text(self, prompts: Sequence[str]) -> torch.Tensor:
        """Encode texts; see :meth:`flawshot.encoders.base.TextEncoder.encode_text`."""
        if reason := self.no_text():
            raise FlawshotError(reason)
        features: torch.Tensor = self._model.encode_text(self._tokenizer[0](list(prompts)).to(self.device))
        return features.float()


def pretrained_of(options: EncoderOptions) -> str:
    """The tag or file of the weights, which the user must name.

    Raises:
        FlawshotError: If none is named.
    """
    if options.pretrained is None:
        raise FlawshotError(
            f"{argument('pretrained')}: name the weights of {options.model}: one of its tags, such as openai, or a file"
        )
    return options.pretrained


def weights_file(record: EncoderRecord, pretrained: str | None) -> str:
    """The weights file that a record requires.

    Raises:
        FlawshotError: If it is not given.
    """
    if pretrained is None:
        raise FlawshotError(
            f"encoder.weights: came from the file {printable(record.weights, 80)}; say where it is with "
            f"{argument('pretrained')}"
        )
    return pretrained


def _tokenizer(model: str, *, download: bool) -> tuple[Any, str]:
    """A model's tokenizer, or why there is none. CLIP's own comes with open_clip; others are on Hugging Face's hub."""
    name = (open_clip.get_model_config(model) or {}).get("text_cfg", {}).get("hf_tokenizer_name")
    options = {"local_files_only": True} if name and not download else {}
    try:
        return open_clip.get_tokenizer(model, **options), ""
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        return None, f"the tokenizer {name} of {model} is not available ({one_line(error)[:100]})"


def _side(visual: Any, model: str) -> int:
    size = visual.image_size
    height, width = (size, size) if isinstance(size, int) else size
    if height != width:
        raise FlawshotError(f"{argument('model', model)}: its input is not square ({height} x {width}), crops are")
    return int(height)


def _grid(visual: Any) -> tuple[int, int]:
    down, across = visual.grid_size
    return int(down), int(across)


class TransformerTower(torch.nn.Module):
    """A vision transformer that gives the CLS token and the patch tokens, both at the same layer."""

    def __init__(self, visual: VisionTransformer, layer: Layer) -> None:
        super().__init__()
        # Without its projection the tower returns the features before it. For the layer ``projection``, all tokens are
        # projected here, including the patch tokens, which open_clip does not project.
        self.projection = visual.proj if layer == "projection" else None
        visual.proj, visual.output_tokens = None, True
        self.visual = visual

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features ``[crops, dim]`` and ``[crops, patches, dim]``."""
        pooled, patches = self.visual(x)
        return (pooled, patches) if self.projection is None else (pooled @ self.projection, patches @ self.projection)


class PooledTower(torch.nn.Module):
    """An image tower that gives pooled features only."""

    def __init__(self, visual: torch.nn.Module) -> None:
        super().__init__()
        self.visual = visual

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Features ``[crops, dim]``."""
        return self.visual(x), None


class ResNetTower(PooledTower):
    """CLIP's ResNet before its attention pooling: the last map, averaged."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Features ``[crops, dim]``."""
        x = self.visual.stem(x)  # type: ignore[operator]
        for stage in (self.visual.layer1, self.visual.layer2, self.visual.layer3, self.visual.layer4):
            x = stage(x)  # type: ignore[operator]
        return x.mean(dim=(2, 3)), None


def _fold_quickgelu(visual: torch.nn.Module) -> None:
    """Move QuickGELU's factor into the layers around it: x sigmoid(1.702 x) is SiLU(1.702 x) / 1.702, in one step."""
    for block in visual.modules():
        if isinstance(getattr(block, "gelu", None), QuickGELU):
            wide: Any = block
            for parameter in (wide.c_fc.weight, wide.c_fc.bias):
                parameter.mul_(QUICKNESS)
            wide.c_proj.weight.div_(QUICKNESS)
            wide.gelu = torch.nn.SiLU(inplace=True)


def _tower(visual: Any, layer: Layer, *, tokens: bool, model: str) -> torch.nn.Module:
    """The image tower up to a layer."""
    if isinstance(visual, VisionTransformer):
        return TransformerTower(visual, layer)
    if tokens:
        raise FlawshotError(
            f"{argument('model', model)}: has no patch tokens; use {argument('region')} crop or masked, and "
            f"{argument('patch_tokens', 0)}"
        )
    if layer == "projection":
        return PooledTower(visual)
    if hasattr(visual, "trunk"):
        return PooledTower(visual.trunk)
    if isinstance(visual, ModifiedResNet):
        return ResNetTower(visual)
    raise FlawshotError(
        f"{argument('layer', 'trunk')}: is not known for {model}; use {argument('layer', 'projection')}"
    )
