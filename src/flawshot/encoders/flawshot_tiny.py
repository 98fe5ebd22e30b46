"""flawshot-tiny: the embedded CLIP, trained on drawn surfaces, with the mask as a fourth channel that may be absent."""

from __future__ import annotations

import copy
import hashlib
import math
from collections import OrderedDict
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, cast, get_args

import torch
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError
from flawshot.base.records import EncoderRecord
from flawshot.base.store.files import Document, read_document
from flawshot.encoders.base import hash_weights, pick_device, pick_precision
from flawshot.encoders.network import NetworkEncoder, RegionNetwork, prepared
from flawshot.encoders.options import LAYERS
from flawshot.encoders.preprocessing import CLIP_PREPROCESSING
from flawshot.encoders.reg_net import RegNetX002
from flawshot.encoders.weights import read_weights

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn

    from flawshot.encoders.options import EncoderOptions, Layer

__all__ = [
    "TINY",
    "TINY_VIEWS",
    "MaskedStem",
    "RegionTrunk",
    "TinyEncoder",
    "TinyRecord",
    "empty_tiny_model",
    "tiny_input",
]

TINY = "flawshot-tiny"
# The input's side in px, and the dimension of the space that was shared with captions in training.
SIDE, SHARED = 96, 128
# The views that it was trained and measured with: a scheme and its sizes.
TINY_VIEWS = ("centre3", ("1.5x", "2x", "3x"))
REMARK = (
    f"{TINY}: a small encoder trained on drawn surfaces, for a first answer; for serious work use a real CLIP, such "
    "as the model ViT-L-14-quickgelu with the weights openai"
)
FOLDER = Path(str(files("flawshot.encoders").joinpath("tiny")))
REMEDY = "those of projection can"
# The least weight of each position when a map is averaged over the mask.
FLOOR = 1e-4
TinyRegion = Literal["crop", "alpha"]


class TinyRecord(Document):
    """The record of the packaged weights; ``flawshot-tiny.record.json``.

    Attributes:
        sha256: Of the weights file.
        commit: The commit whose code trained them.
        command: The command that trained them.
        recipe: The training's parameters, including the seed.
    """

    format: Literal["flawshot-tiny"]
    version: Literal[1]
    sha256: str
    commit: str
    command: str
    recipe: dict[str, int | float]


class TinyEncoder(NetworkEncoder):
    """flawshot-tiny: a RegNetX-002 at 96 px, 2.4 million parameters, trained on drawn surfaces with drawn flaws.

    Its weights come with the package; nothing is downloaded. ``docs/embedded-encoder.md`` describes what it can and
    cannot do. It is not a general CLIP: it knows no category names beyond the drawn flaws that it was trained on.

    Args:
        region: ``alpha`` (the mask is a fourth channel) or ``crop`` (the mask is absent).
        layer: ``trunk`` (520 features: 368 of the view, 152 of what the mask covers) or ``projection`` (128, the space
            that was shared with captions in training).
        device: ``auto``, ``cpu``, ``cuda``, ….
        precision: ``auto``, ``float32``, ``float16`` or ``bfloat16``.

    Raises:
        FlawshotError: If there is no such region or layer, or the packaged weights are missing or do not match the
            record beside them.
    """

    family: ClassVar[str] = TINY
    takes: ClassVar[Mapping[str, tuple[str, ...]]] = {"region": ("alpha", "crop"), "layer": ("trunk", "projection")}
    views: ClassVar[tuple[str, tuple[str, ...] | None]] = TINY_VIEWS

    def __init__(
        self,
        *,
        region: TinyRegion = "alpha",
        layer: Layer = "trunk",
        device: str = "auto",
        precision: str = "auto",
    ) -> None:
        if region not in get_args(TinyRegion):
            raise FlawshotError(
                f"{argument('region', region)}: {TINY} takes alpha (it sees the mask) or crop (it does not)"
            )
        if layer not in LAYERS:
            raise FlawshotError(f"{argument('layer', layer)}: must be {' or '.join(LAYERS)}")
        path = FOLDER / f"{TINY}.safetensors"
        remedy = "install flawshot again"
        record = read_document(FOLDER / f"{TINY}.record.json", TinyRecord, remedy)
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != record.sha256:
            raise FlawshotError(f"{path}: is missing or not the file that was packaged; {remedy}")
        self.side, self.device = SIDE, pick_device(device)
        arithmetic = pick_precision(precision, self.device)
        self._state = {
            name: tensor.float() if tensor.is_floating_point() else tensor
            for name, tensor in read_weights(path).items()
        }
        self._tower = TinyTower()
        own = {name: tensor for name, tensor in self._state.items() if name.startswith("visual.")}
        self._tower.load_state_dict({name.removeprefix("visual."): tensor for name, tensor in own.items()})
        self.record = EncoderRecord(
            family=self.family,
            name=TINY,
            weights=path.name,
            weights_hash=hash_weights(self._tower.state_dict()),
            # There is only one network, so no further options identify it.
            options={"region": region, "layer": layer, "side": self.side, **CLIP_PREPROCESSING.options},
            precision=arithmetic,
            tokens=("mean",),
        )
        _fuse(prepared(self._tower, self.device))
        entry = TinyInput(masked=region == "alpha").to(self.device)
        output = self._tower if layer == "projection" else self._tower.trunk
        self.network = RegionNetwork(entry, _Pooled(output), precision=arithmetic)
        blank = torch.zeros(1, self.side, self.side, 3, dtype=torch.uint8)
        self.dim = int(self.encode(blank, blank[..., 0]).shape[-1])

    @classmethod
    def models(cls) -> Sequence[str]:
        """The only model's name."""
        return (TINY,)

    @classmethod
    def accepts(cls, options: EncoderOptions) -> bool:
        """Whether the model is ``flawshot-tiny``."""
        return options.model == TINY

    @classmethod
    def from_options(cls, options: EncoderOptions) -> Self:
        """Make an encoder; see :meth:`flawshot.BaseEncoder.from_options`."""
        made = cls(
            region=cast("TinyRegion", options.region),
            layer=cast("Layer", options.layer),
            device=options.device,
            precision=options.precision,
        )
        made.remarks = [REMARK]
        return made

    @classmethod
    def from_record(
        cls, record: EncoderRecord, *, pretrained: str | None = None, device: str = "auto", precision: str = "auto"
    ) -> Self:
        """Rebuild an encoder; see :meth:`flawshot.BaseEncoder.from_record`."""
        if pretrained is not None:
            raise FlawshotError(f"{argument('pretrained', pretrained)}: {TINY} has its own weights; omit it")
        return cls(
            region=cast("TinyRegion", record.options.get("region")),
            layer=cast("Layer", record.options.get("layer")),
            device=device,
            precision=precision,
        )

    @property
    def map_side(self) -> int:
        """0: maps are computed of images of any size; see :attr:`flawshot.BaseEncoder.map_side`."""
        return 0

    @torch.inference_mode()
    def maps(self, images: torch.Tensor) -> list[torch.Tensor]:
        """The maps of the four stages, of strides 4 to 32 px; see :meth:`flawshot.BaseEncoder.maps`."""
        pixels = images.to(self.device).permute(0, 3, 1, 2).float()
        made: list[torch.Tensor] = self._tower.trunk.maps(tiny_input(pixels, torch.zeros_like(pixels[:, :1])))
        return [each.float() for each in made]

    def no_text(self) -> str:
        """Why text cannot be encoded; see :meth:`flawshot.encoders.base.TextEncoder.no_text`."""
        layer = self.record.options["layer"]
        return "" if layer == "projection" else f"features of the layer {layer} cannot be compared with text; {REMEDY}"

    def text_weights_hash(self) -> str | None:
        """SHA-256 of all weights outside the image tower."""
        return hash_weights({name: tensor for name, tensor in self._state.items() if not name.startswith("visual.")})

    @torch.inference_mode()
    def encode_text(self, prompts: Sequence[str]) -> torch.Tensor:
        """Encode texts; see :meth:`flawshot.encoders.base.TextEncoder.encode_text`."""
        if reason := self.no_text():
            raise FlawshotError(reason)
        model, tokenizer = self._text_tower
        features: torch.Tensor = model.encode_text(tokenizer(list(prompts)).to(self.device))
        return features.float()

    @cached_property
    def _text_tower(self) -> tuple[Any, Any]:
        """The model with its text tower, and its tokenizer."""
        import open_clip  # noqa: PLC0415 - slow to import, and only texts need it

        built = empty_tiny_model()
        built.load_state_dict(self._state)
        return prepared(built, self.device), open_clip.get_tokenizer(TINY)


class TinyTower(torch.nn.Module):
    """The image tower: features before the projection, and after it."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = RegionTrunk(RegNetX002())
        self.head = torch.nn.Sequential(OrderedDict(proj=torch.nn.Linear(self.trunk.num_features, SHARED, bias=False)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Projected features of ``[crops, 4, side, side]``."""
        projected: torch.Tensor = self.head(self.trunk(x))
        return projected


class _Pooled(torch.nn.Module):
    """A tower that gives pooled features only."""

    def __init__(self, visual: torch.nn.Module) -> None:
        super().__init__()
        self.visual = visual

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Features ``[crops, dim]``."""
        return self.visual(x), None


class TinyInput(torch.nn.Module):
    """The model's input from crops and masks.

    Args:
        masked: Whether the model sees the mask.
    """

    def __init__(self, *, masked: bool) -> None:
        super().__init__()
        self.masked = masked

    def forward(self, images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """uint8 ``[crops, side, side, 3]`` and ``[crops, side, side]`` to float32 ``[crops, 4, side, side]``."""
        seen = masks[:, None].float()
        return tiny_input(images.permute(0, 3, 1, 2).float(), seen if self.masked else seen * 0)


class MaskedStem(torch.nn.Module):
    """The sum of a convolution of the image and one of the mask; if the mask is 0, only the former counts."""

    def __init__(self, image: nn.Conv2d) -> None:
        super().__init__()
        self.image = image
        self.mask = torch.nn.Conv2d(
            1,
            image.out_channels,
            image.kernel_size,  # type: ignore[arg-type]
            image.stride,  # type: ignore[arg-type]
            image.padding,  # type: ignore[arg-type]
            bias=False,
        )
        torch.nn.init.zeros_(self.mask.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[crops, 4, side, side]`` to ``[crops, width, side / 2, side / 2]``."""
        embedded: torch.Tensor = self.image(x[:, :3]) + self.mask(x[:, 3:])
        return embedded

    def joined(self) -> nn.Conv2d:
        """An equivalent single convolution over all four channels."""
        joined = copy.deepcopy(self.image)
        joined.in_channels = 4
        joined.weight = torch.nn.Parameter(torch.cat([self.image.weight, self.mask.weight], 1), requires_grad=False)
        return joined


def _fuse(visual: nn.Module) -> None:
    """Fuse each convolution with its normalization, and the stem's two: the same function with less work."""
    modules: list[Any] = list(visual.modules())
    for module in modules:
        if isinstance(getattr(module, "bn", None), torch.nn.BatchNorm2d):
            conv = module.conv.joined() if isinstance(module.conv, MaskedStem) else module.conv
            module.conv, module.bn = fuse_conv_bn_eval(conv, module.bn), module.bn.act
    visual.to(memory_format=torch.channels_last)


class RegionTrunk(torch.nn.Module):
    """A RegNet that sees the mask twice: as a fourth channel, and where it averages its third stage.

    The third stage's map is averaged over the mask, the last stage's over the whole view. The surroundings of a flaw,
    whose variety training cannot cover, are thus kept out of a part of the features by construction, not by learning.
    If the mask is 0 everywhere, both are averaged over the view.

    Attributes:
        num_features: Number of features: those of the last stage, then those of the third.
    """

    def __init__(self, net: Any) -> None:
        super().__init__()
        net.stem.conv = MaskedStem(net.stem.conv)
        self.net = net
        self.widths = tuple(int(stage["num_chs"]) for stage in net.feature_info[-2:])
        self.num_features = sum(self.widths)

    def maps(self, x: torch.Tensor) -> list[torch.Tensor]:
        """The maps of the four stages for ``[crops, 4, side, side]``."""
        out = []
        x = self.net.stem(x)
        for stage in (self.net.s1, self.net.s2, self.net.s3, self.net.s4):
            x = stage(x)
            out.append(x)
        return out

    def features(self, maps: list[torch.Tensor], masks: torch.Tensor) -> torch.Tensor:
        """Average the maps under masks ``[crops, 1, side, side]``, 0 to 1; float32 ``[crops, num_features]``."""
        third, last = maps[2].float(), self.net.final_conv(maps[3]).float()
        weights = functional.interpolate(masks.float(), size=third.shape[-2:], mode="area") + FLOOR
        inside = (third * weights).sum(dim=(2, 3)) / weights.sum(dim=(2, 3))
        parts = [functional.normalize(part, dim=-1) for part in (last.mean(dim=(2, 3)), inside)]
        return torch.cat(parts, dim=-1) * math.sqrt(self.num_features / len(parts))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features of ``[crops, 4, side, side]``."""
        return self.features(self.maps(x), x[:, 3:])


def empty_tiny_model() -> Any:
    """The model without weights, with its text tower; of timm's network, whose trunk has the same weights as ours."""
    import open_clip  # noqa: PLC0415 - slow to import

    from flawshot.encoders.clip_model import empty_model  # noqa: PLC0415

    if TINY not in open_clip.list_models():
        open_clip.add_model_config(FOLDER / f"{TINY}.json")
    built = empty_model(TINY, quickgelu=False)
    visual = built.visual
    visual.trunk = RegionTrunk(visual.trunk)
    visual.head.proj = torch.nn.Linear(
        visual.trunk.num_features, visual.head.proj.out_features, bias=visual.head.proj.bias is not None
    )
    return built


def tiny_input(pixels: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """The model's input.

    Args:
        pixels: 0 to 255, float32 ``[crops, 3, side, side]``.
        masks: 0 to 255, float32 ``[crops, 1, side, side]``; all 0 if the mask is absent.

    Returns:
        float32 ``[crops, 4, side, side]``, in channels_last order.
    """
    mean = torch.tensor(CLIP_PREPROCESSING.mean, device=pixels.device)[:, None, None]
    std = torch.tensor(CLIP_PREPROCESSING.std, device=pixels.device)[:, None, None]
    image = (pixels / 255 - mean) / std
    return torch.cat([image, masks / 255], dim=1).contiguous(memory_format=torch.channels_last)
