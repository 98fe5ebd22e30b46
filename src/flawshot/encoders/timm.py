"""Encoders of all image models of timm: transformers and convolutional networks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import timm
import torch
from torch import nn

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError
from flawshot.base.records import EncoderRecord, OptionValue, shown
from flawshot.base.store.files import one_line
from flawshot.encoders.base import hash_weights, pick_device, pick_precision
from flawshot.encoders.network import CropInput, NetworkEncoder, RegionNetwork, prepared
from flawshot.encoders.open_clip import weights_file
from flawshot.encoders.preprocessing import Preprocessing
from flawshot.encoders.timm_model import PREFIX, build_timm, timm_names, timm_tags

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flawshot.encoders.options import EncoderOptions, MaskUse

__all__ = ["TimmEncoder"]


# The largest side of an encoder's input, in px.
LARGEST_SIDE = 4096


class TimmEncoder(NetworkEncoder):
    """An image model of timm, fed as its weights were trained: side, mean, standard deviation, interpolation.

    The first token is what the model would give its own classifier: the CLS token, pooled tokens, or the pooled map,
    whichever its pooling makes. Only the crop differs: timm's evaluation cuts away the border of many models' images,
    here the encoder sees the whole view.

    Args:
        model: A name that timm knows, such as ``vit_small_patch14_dinov2``, with or without a tag after a dot.
        pretrained: One of the model's tags, or ``yes`` for the one that timm prefers, which is downloaded once; or a
            local file (``.safetensors``, or saved tensors). If None, the tag in the name.
        region: How the mask is used: ``crop`` (not at all), ``masked`` (the background is dimmed to 0.3), or
            ``mask-pool`` (the model's head sees only the average of the patch tokens, or cells of the last map, inside
            the mask; if the mask misses a crop, all of them are averaged).
        patch_tokens: The number of patch tokens, or cells, after the first token: those nearest to it by cosine,
            nearest first, each as the model's head gives it. CLS, register and other extra tokens are none of them.
        preprocessing: For local files: the tag whose mean, standard deviation and interpolation the weights expect; or
            ``clip``, ``imagenet`` or ``inception``; or these values themselves. If None, those of the model's tags,
            with a remark if they differ.
        side: The input's side in px, for models that take several; positions are resampled. Its own if 0.
        device: ``auto``, ``cpu``, ``cuda``, ….
        precision: ``auto``, ``float32``, ``float16`` or ``bfloat16``; of the arithmetic, not of the weights. On a GPU
            ``auto`` is bfloat16 if the GPU has it: some of these models leave the range of float16.

    Raises:
        FlawshotError: With one line, if there is no such model, tag or file, the weights do not fit, or the model does
            not have the tokens or take the side.

    Attributes:
        record: The encoder, as recorded in a feature bank's manifest.
        side: The input's side in px.
        dim: Length of a feature vector.
        device: The device that it runs on.
        remarks: Remarks for the user, one line each.
    """

    family: ClassVar[str] = "timm"
    takes: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "pretrained": (),
        "region": ("crop", "masked", "mask-pool"),
        "patch_tokens": (),
        "preprocessing": (),
        "side": (),
    }

    def __init__(
        self,
        model: str,
        pretrained: str | None = None,
        *,
        region: MaskUse = "crop",
        patch_tokens: int = 0,
        preprocessing: str | Preprocessing | None = None,
        side: int = 0,
        device: str = "auto",
        precision: str = "auto",
    ) -> None:
        if region not in self.takes["region"]:
            raise FlawshotError(
                f"{argument('region', region)}: must be crop, masked or mask-pool (alpha needs AlphaCLIP weights)"
            )
        if not 0 <= side <= LARGEST_SIDE:
            raise FlawshotError(f"{argument('side', side)}: must be from 1 to {LARGEST_SIDE} px")
        if patch_tokens < 0:
            raise FlawshotError(f"{argument('patch_tokens', patch_tokens)}: must be at least 0")
        self.device = pick_device(device)
        arithmetic = pick_precision(precision, self.device, wide=True)
        known = preprocessing if isinstance(preprocessing, Preprocessing) else None
        built = build_timm(model, pretrained, preprocessing if isinstance(preprocessing, str) else None, known)
        name = model.partition(".")[0]
        weights_hash = hash_weights(built.model.state_dict())
        self.side = side or built.side
        _resize(built.model, name, self.side, built.side)
        self.remarks = built.remarks
        tower = TimmTower(prepared(built.model, self.device), tokens=patch_tokens > 0 or region == "mask-pool")
        grid = self._grid(tower, name, patch_tokens)
        options: dict[str, OptionValue] = {
            "model": name,
            "region": region,
            "side": self.side,
            **built.expected.options,
        }
        first = "mask-pool" if region == "mask-pool" else "pooled"
        self.record = EncoderRecord(
            family=self.family,
            name=f"timm {name}",
            weights=built.weights,
            weights_hash=weights_hash,
            options=options,
            precision=arithmetic,
            tokens=(first, *(f"patch-{number}" for number in range(1, patch_tokens + 1))),
        )
        entry = CropInput(built.expected.mean, built.expected.std, dimmed=region == "masked").to(self.device)
        self.network = RegionNetwork(
            entry,
            tower,
            grid=grid,
            pools=region == "mask-pool",
            patch_tokens=patch_tokens,
            head=tower.head,
            precision=arithmetic,
        )

    @classmethod
    def models(cls) -> Sequence[str]:
        """The models that timm knows, by the names that they have here."""
        return timm_names()

    @classmethod
    def accepts(cls, options: EncoderOptions) -> bool:
        """Whether the model's name begins with ``timm/``."""
        return options.model.startswith(PREFIX)

    @classmethod
    def from_options(cls, options: EncoderOptions) -> Self:
        """Make an encoder; see :meth:`BaseEncoder.from_options`."""
        return cls(
            options.model.removeprefix(PREFIX),
            options.pretrained,
            region=cast("MaskUse", options.region),
            patch_tokens=options.patch_tokens,
            preprocessing=options.preprocessing,
            side=options.side,
            device=options.device,
            precision=options.precision,
        )

    @classmethod
    def from_record(
        cls, record: EncoderRecord, *, pretrained: str | None = None, device: str = "auto", precision: str = "auto"
    ) -> Self:
        """Rebuild an encoder; see :meth:`BaseEncoder.from_record`."""
        model = str(record.options["model"])
        if not timm.is_model(model):
            raise FlawshotError(f"encoder.options.model: {shown(model)} is not a model of timm; update timm")
        weights = pretrained or (record.weights if record.weights in timm_tags(model) else weights_file(record, None))
        return cls(
            model,
            weights,
            region=cast("MaskUse", record.options.get("region")),
            patch_tokens=len(record.tokens) - 1,
            preprocessing=Preprocessing.recorded(record.options),
            side=int(cast("int", record.options["side"])),
            device=device,
            precision=precision,
        )

    def _map_tower(self) -> Any:
        return self.network.tower.model  # type: ignore[union-attr]

    def _grid(self, tower: TimmTower, model: str, patch_tokens: int) -> tuple[int, int] | None:
        """Patches (down, across), found by encoding one blank crop; sets :attr:`dim`.

        Raises:
            FlawshotError: If the model does not take the side, or does not have the patch tokens.
        """
        try:
            blank = torch.zeros(1, 3, self.side, self.side, device=self.device)
            with torch.inference_mode():
                pooled, patches = tower(blank)
        except Exception as error:  # of a model that is given a side for which it was not built, anything
            raise FlawshotError(
                f"{argument('side', self.side)}: {PREFIX}{model} cannot encode such crops ({one_line(error)[:100]})"
            ) from error
        if pooled.ndim != 2:
            raise FlawshotError(f"{argument('model', PREFIX + model)}: gives {list(pooled.shape)}, not one vector")
        self.dim = int(pooled.shape[-1])
        if not tower.tokens:
            return None
        count = 0 if patches is None else int(patches.shape[1])
        across = math.isqrt(count)
        if not count or across * across != count or not self._headed(tower, patches):
            raise FlawshotError(
                f"{argument('model', PREFIX + model)}: has no patch tokens that its head takes one by one; use "
                f"{argument('region')} crop or masked, and {argument('patch_tokens', 0)}"
            )
        if patch_tokens > count:
            raise FlawshotError(f"{argument('patch_tokens', patch_tokens)}: {PREFIX}{model} has {count} of them")
        return across, across

    def _headed(self, tower: TimmTower, patches: torch.Tensor) -> bool:
        try:
            with torch.inference_mode():
                return tower.head(patches[0]).shape == (patches.shape[1], self.dim)
        except Exception:  # noqa: BLE001 - of a head that is made for whole maps, anything
            return False


class TimmTower(nn.Module):
    """A model of timm that gives its pooled features, and its patch tokens or the cells of its last map.

    Args:
        model: The model, without its classifier.
        tokens: Whether patch tokens are wanted.
    """

    def __init__(self, model: Any, *, tokens: bool) -> None:
        super().__init__()
        self.model, self.tokens = model, tokens
        self.prefix = int(getattr(model, "num_prefix_tokens", 0))
        self.channels_last = str(getattr(model, "output_fmt", "NCHW")).endswith("NHWC")
        self.flat = True

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Features ``[crops, dim]`` and ``[crops, patches, width]``."""
        last = self.model.forward_features(x)
        pooled = self.model.forward_head(last, pre_logits=True)
        if not self.tokens or not isinstance(last, torch.Tensor) or last.ndim not in {3, 4}:
            return pooled, None
        self.flat = last.ndim == 3
        if self.flat:
            return pooled, last[:, self.prefix :]
        return pooled, last.flatten(1, 2) if self.channels_last else last.flatten(2).transpose(1, 2)

    def head(self, vectors: torch.Tensor) -> torch.Tensor:
        """The features that the model gives if all its last tokens or cells are the same: ``[vectors, dim]``.

        Args:
            vectors: float32 ``[vectors, width]``, one of them for each result.
        """
        if self.flat:
            # The CLS token and its like too, since the model may pool by taking the first.
            last = vectors[:, None].expand(-1, self.prefix + 1, -1)
        else:
            last = vectors[:, None, None] if self.channels_last else vectors[:, :, None, None]
        features: torch.Tensor = self.model.forward_head(last, pre_logits=True)
        return features


def _resize(model: Any, name: str, side: int, own: int) -> None:
    """Resample the positions of a model for another side; convolutional networks have none."""
    if side == own or not hasattr(model, "set_input_size"):
        return
    patch = getattr(getattr(model, "patch_embed", None), "patch_size", None)
    down = patch[0] if isinstance(patch, tuple) else 1
    if side % down:
        raise FlawshotError(f"{argument('side', side)}: must be a multiple of {down}, the patches of {PREFIX}{name}")
    try:
        model.set_input_size(img_size=(side, side))
    except Exception as error:  # of a side that its patches do not divide, anything
        reason = f" ({one_line(error)[:100]})" if str(error) else ""
        raise FlawshotError(f"{argument('side', side)}: {PREFIX}{name} does not take it{reason}") from error
