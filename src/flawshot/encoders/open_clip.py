"""Any CLIP that open_clip can build, with weights by tag or from a local file."""

from __future__ import annotations

import difflib
import logging
import math
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import open_clip
import torch
from open_clip.convert import convert_state_dict
from open_clip.transformer import QuickGELU, VisionTransformer

from flawshot.base.errors import FlawshotError
from flawshot.base.records import EncoderRecord
from flawshot.base.store.files import one_line
from flawshot.encoders.base import hash_weights, mask_shares, normalised, pick_device, pick_precision
from flawshot.encoders.weights import read_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Layer", "OpenClipEncoder", "Region", "build_model"]

Layer = Literal["projection", "trunk"]
Region = Literal["crop", "masked", "mask-pool", "alpha"]
REGIONS: tuple[Region, ...] = get_args(Region)
# What is left of the background's brightness where --region masked dims it.
DIMMED = 0.3


class OpenClipEncoder:
    """A CLIP of open_clip's.

    Args:
        model: A name that open_clip knows, such as ``ViT-B-32``.
        pretrained: One of its tags, which is downloaded once, or a local file (``.safetensors``, or saved tensors).
        layer: ``projection`` (CLIP's shared space) or ``trunk`` (before it).
        region: How the mask enters: ``crop`` (not at all), ``masked`` (the background is dimmed to 0.3), or
            ``mask-pool`` (patch tokens averaged inside the mask in place of the CLS token; where the mask misses a
            crop, all of them).
        patch_tokens: How many patch tokens follow the first: those nearest to it by cosine, nearest first.
        activation: ``gelu`` or ``quickgelu``, for local files; the model's own where None, and that is remarked on.
        device: ``auto``, ``cpu``, ``cuda``, ….
        precision: ``auto``, ``float32``, ``float16`` or ``bfloat16``; of the towers' arithmetic, not of the weights.

    Raises:
        FlawshotError: With one line, if there is no such model, tag or file, the weights do not fit, or the model
            has no such layer or tokens.

    Attributes:
        record: What a feature bank's manifest says of it.
        side: The input's side in px.
        dim: Length of a feature vector.
        device: Where it computes.
        remarks: What a user should be told, one line each.
    """

    def __init__(
        self,
        model: str,
        pretrained: str,
        *,
        layer: Layer = "projection",
        region: Region = "crop",
        patch_tokens: int = 0,
        activation: Literal["gelu", "quickgelu"] | None = None,
        device: str = "auto",
        precision: str = "auto",
    ) -> None:
        if region not in REGIONS or region == "alpha":
            raise FlawshotError(
                f"--region {region!r}: must be crop, masked or mask-pool (alpha needs AlphaCLIP weights)"
            )
        built, remarks = build_model(model, pretrained, activation)
        self._set_up(built, model, pretrained, layer, region, patch_tokens, device, precision, remarks)

    def _set_up(  # noqa: PLR0917
        self,
        built: Any,
        model: str,
        pretrained: str,
        layer: Layer,
        region: Region,
        patch_tokens: int,
        device: str,
        precision: str,
        remarks: list[str],
    ) -> None:
        self.device = pick_device(device)
        self._precision = pick_precision(precision, self.device)
        weights_hash = hash_weights(built.visual.state_dict())
        self._model = built.eval().requires_grad_(requires_grad=False).to(self.device)
        self._model_name, self._layer, self._region, self._patch_tokens = model, layer, region, patch_tokens
        self._by_tag = bool(open_clip.get_pretrained_cfg(model, pretrained))
        self.remarks = remarks
        visual = self._model.visual
        self.side = _side(visual, model)
        config = visual.preprocess_cfg
        self._mean = torch.tensor(config["mean"], device=self.device)
        self._std = torch.tensor(config["std"], device=self.device)
        self._tower = _tower(visual, layer, tokens=patch_tokens > 0 or region == "mask-pool", model=model)
        if patch_tokens and patch_tokens > math.prod(_grid(visual)):
            raise FlawshotError(f"--patch-tokens {patch_tokens}: {model} has {math.prod(_grid(visual))} of them")
        quick = any(isinstance(module, QuickGELU) for module in visual.modules())
        first = "mask-pool" if region == "mask-pool" else "cls"
        self.record = EncoderRecord(
            name=f"open_clip {model}",
            weights=Path(pretrained).name,
            weights_hash=weights_hash,
            preprocessing=(
                f"{self.side} px, bicubic, mean {config['mean']}, std {config['std']}, region {region}, layer {layer}, "
                f"{'quickgelu' if quick else 'gelu'}"
            ),
            precision=self._precision,
            tokens=(first, *(f"patch-{number}" for number in range(1, patch_tokens + 1))),
        )
        blank = torch.zeros(1, self.side, self.side, 3, dtype=torch.uint8)
        self.dim = int(self.encode(blank, blank[..., 0]).shape[-1])

    @torch.inference_mode()
    def encode(self, images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """Encode crops, as :meth:`flawshot.encoders.base.Encoder.encode` says."""
        images, masks = images.to(self.device, non_blocking=True), masks.to(self.device, non_blocking=True)
        with torch.autocast(
            self.device.type, dtype=getattr(torch, self._precision), enabled=self._precision != "float32"
        ):
            pooled, tokens = self._tower(self._input(images, masks))
        if tokens is None:
            features: torch.Tensor = pooled.float()[:, None]
            return features
        pooled, tokens = pooled.float(), tokens.float()
        if self._region == "mask-pool":
            pooled = (mask_shares(masks, _grid(self._model.visual))[:, None] @ tokens)[:, 0]
        return torch.cat([pooled[:, None], _nearest(pooled, tokens, self._patch_tokens)], dim=1)

    def _input(self, images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        if self._region == "masked":
            kept = DIMMED + (1 - DIMMED) * masks[..., None].float() / 255
            return normalised(images.float() * kept, self._mean, self._std)
        return normalised(images, self._mean, self._std)

    @property
    def no_text(self) -> str:
        """Why :meth:`encode_text` has no features comparable with those of :meth:`encode`; empty where it has."""
        if self._layer != "projection":
            return f"--layer {self._layer}: its features cannot be compared with text; use projection"
        return self._tokenizer[1]

    @property
    def text_space(self) -> bool:
        """Whether :meth:`encode_text` gives features comparable with those of :meth:`encode`."""
        return not self.no_text

    @cached_property
    def text_weights_hash(self) -> str:
        """SHA-256 of all weights that are not the image tower's."""
        state = self._model.state_dict()
        return hash_weights({name: tensor for name, tensor in state.items() if not name.startswith("visual.")})

    @cached_property
    def _tokenizer(self) -> tuple[Any, str]:
        return _tokenizer(self._model_name, download=self._by_tag)

    @torch.inference_mode()
    def encode_text(self, prompts: Sequence[str]) -> torch.Tensor:
        """Encode texts, as :meth:`flawshot.encoders.base.Encoder.encode_text` says."""
        if self.no_text:
            raise FlawshotError(self.no_text)
        features: torch.Tensor = self._model.encode_text(self._tokenizer[0](list(prompts)).to(self.device))
        return features.float()


def build_model(model: str, pretrained: str, activation: str | None) -> tuple[Any, list[str]]:
    """An open_clip model with its weights, on the CPU, and remarks on them.

    Raises:
        FlawshotError: As :class:`OpenClipEncoder` says.
    """
    config = open_clip.get_model_config(model)
    if config is None:
        near = difflib.get_close_matches(model, open_clip.list_models(), 3, 0.4)
        raise FlawshotError(f"--model {model!r}: is none of open_clip's{', such as ' if near else ''}{', '.join(near)}")
    own = "quickgelu" if config.get("quick_gelu") else "gelu"
    tag = open_clip.get_pretrained_cfg(model, pretrained)
    if tag:
        if activation is not None:
            raise FlawshotError(f"--activation {activation}: is for local files; the tag {pretrained} has its own")
        return _from_tag(model, pretrained, own, "quickgelu" if tag.get("quick_gelu") else "gelu"), []
    path = Path(pretrained)
    if not path.exists() and not path.suffix:
        tags = open_clip.list_pretrained_tags_by_model(model)
        raise FlawshotError(
            f"--pretrained {pretrained!r}: is neither a file nor a tag of {model}: {', '.join(tags) or 'none'}"
        )
    remarks = []
    if activation is None:
        remarks.append(f"{path.name}: a file does not say its activation; took {own} of {model} (--activation decides)")
    built = empty_model(model, quickgelu=(activation or own) == "quickgelu")
    state = convert_state_dict(built, read_weights(path))
    load_into(built, state, path)
    return built, remarks


def empty_model(model: str, *, quickgelu: bool) -> Any:
    """An open_clip model without weights; nothing is downloaded."""
    config = open_clip.get_model_config(model) or {}
    if not quickgelu and config.get("quick_gelu"):
        raise FlawshotError(f"--activation gelu: {model} has QuickGELU; name the model without -quickgelu")
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # open_clip warns that there are no weights; they come next
    try:
        return open_clip.create_model(
            model, pretrained=None, force_quick_gelu=quickgelu, pretrained_image=False, pretrained_text=False
        )
    finally:
        root.setLevel(level)


def load_into(built: Any, state: dict[str, torch.Tensor], path: Path) -> None:
    """Load a state dictionary that must fit.

    Raises:
        FlawshotError: With what is missing, surplus, or of another shape.
    """
    own = built.state_dict()
    missing, surplus = sorted(set(own) - set(state)), sorted(set(state) - set(own))
    shapes = [name for name in own if name in state and own[name].shape != state[name].shape]
    if missing or surplus or shapes:
        parts = [
            f"{len(names)} {what} ({names[0]})"
            for names, what in ((missing, "missing"), (surplus, "surplus"), (shapes, "of another shape"))
            if names
        ]
        raise FlawshotError(f"--pretrained {path}: is not of this --model: {', '.join(parts)}")
    built.load_state_dict(state)


def _from_tag(model: str, pretrained: str, own: str, expected: str) -> Any:
    if own != expected:
        other = f"{model}-quickgelu" if expected == "quickgelu" else model.removesuffix("-quickgelu")
        raise FlawshotError(f"--pretrained {pretrained}: its weights expect {expected}, {model} has {own}; use {other}")
    try:
        return open_clip.create_model(model, pretrained=pretrained, require_pretrained=True)
    except Exception as error:  # the hub's client raises many kinds
        raise FlawshotError(
            f"--pretrained {pretrained}: cannot be downloaded ({one_line(error)[:200]}); offline, give a local file"
        ) from error


def _tokenizer(model: str, *, download: bool) -> tuple[Any, str]:
    """A model's tokenizer, and why there is none. CLIP's own comes with open_clip, others lie on Hugging Face's hub."""
    name = (open_clip.get_model_config(model) or {}).get("text_cfg", {}).get("hf_tokenizer_name")
    options = {"local_files_only": True} if name and not download else {}
    try:
        return open_clip.get_tokenizer(model, **options), ""
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        return None, f"--model {model}: its tokenizer {name} is not at hand ({one_line(error)[:200]})"


def _side(visual: Any, model: str) -> int:
    size = visual.image_size
    height, width = (size, size) if isinstance(size, int) else size
    if height != width:
        raise FlawshotError(f"--model {model}: its input is not square ({height} x {width}), crops are")
    return int(height)


def _grid(visual: Any) -> tuple[int, int]:
    down, across = visual.grid_size
    return int(down), int(across)


def _tower(visual: Any, layer: Layer, *, tokens: bool, model: str) -> Any:
    """A function from normalised input to (pooled, patch tokens or None), both at the layer."""
    if isinstance(visual, VisionTransformer):
        # Without its projection the tower gives what stands before it; what is wanted after it is projected here,
        # patch tokens too, which open_clip leaves unprojected.
        projection, visual.proj, visual.output_tokens = visual.proj, None, True

        def transformer(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
            pooled, patches = visual(x)
            if layer == "projection" and projection is not None:
                pooled, patches = pooled @ projection, patches @ projection
            return pooled, patches if tokens else None

        return transformer
    if tokens:
        raise FlawshotError(f"--model {model}: has no patch tokens; use --region crop or masked, and --patch-tokens 0")
    if layer == "projection":
        return lambda x: (visual(x), None)
    if hasattr(visual, "trunk"):
        return lambda x: (visual.trunk(x), None)
    if hasattr(visual, "stem") and hasattr(visual, "layer4"):
        stages = torch.nn.Sequential(visual.layer1, visual.layer2, visual.layer3, visual.layer4)
        return lambda x: (stages(visual.stem(x)).mean(dim=(2, 3)), None)
    raise FlawshotError(f"--layer trunk: {model} has none that is known; use --layer projection")


def _nearest(pooled: torch.Tensor, tokens: torch.Tensor, count: int) -> torch.Tensor:
    """The ``count`` patch tokens of the greatest cosine to the first token, greatest first."""
    cosines = torch.nn.functional.cosine_similarity(tokens, pooled[:, None], dim=-1)
    order = cosines.topk(count, dim=1).indices
    return tokens.gather(1, order[..., None].expand(-1, -1, tokens.shape[-1]))
