"""What flawshot feeds every model of open_clip, beside what open_clip itself makes of the same image.

    python benchmarks/open_clip_models.py

A row per model and preprocessing: the side, mean, standard deviation and filter that flawshot takes from open_clip's
configuration, the number of tags that expect it, and the largest difference between the inputs of the two, after
normalization. The image is square; how open_clip makes others square (by cropping, squashing or padding) does not
matter to crops. Models are built without memory for their weights, and nothing is downloaded.
"""

from __future__ import annotations

import logging
import warnings

import numpy as np
import open_clip
import torch
from PIL import Image

from flawshot import crop_views
from flawshot.encoders.clip_model import clip_preprocessing
from flawshot.encoders.network import CropInput
from flawshot.encoders.preprocessing import CLIP_PREPROCESSING
from flawshot.labelme.shapes import Region
from flawshot.regions.views import Size, View, ViewScheme

SIDE = 300
SIZE = Size(SIDE, relative=False)
TEXT = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}


def row(model: str, tag: str | None, count: int, picture: Image.Image) -> str:
    """A row of the table."""
    expected = clip_preprocessing(model, tag)[0] if tag else CLIP_PREPROCESSING
    with torch.device("meta"):
        made, _, transform = open_clip.create_model_and_transforms(
            model, pretrained=tag, load_weights=False, device="meta", pretrained_text=False
        )
    side = made.visual.image_size[0] if isinstance(made.visual.image_size, tuple) else made.visual.image_size
    region = Region(0, 0, np.ones((SIDE, SIDE), dtype=bool))
    scheme = ViewScheme("whole", (SIZE,), "zero", (View(SIZE),))
    crops = crop_views(picture, region, scheme, side, extent=(0, 0, SIDE, SIDE), interpolation=expected.interpolation)
    ours = CropInput(expected.mean, expected.std)(torch.from_numpy(crops.images), torch.from_numpy(crops.masks))[0]
    mean, std = (", ".join(f"{value:.3f}" for value in values) for values in expected[:2])
    difference = float((ours - transform(picture)).abs().max())
    return f"| {model} | {count} | {side} | {mean} | {std} | {expected.interpolation} | {difference:.0e} |"


def main() -> None:
    """Print the table."""
    warnings.simplefilter("ignore")
    logging.disable(logging.ERROR)  # that the weights are random
    noise = np.random.default_rng(0).integers(0, 256, (SIDE // 4, SIDE // 4, 3), dtype=np.uint8)
    picture = Image.fromarray(noise).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    open_clip.factory.download_pretrained = lambda *_, **__: None
    print(f"open_clip {open_clip.__version__}; a model without tags gets CLIP's values, which is said")
    print("| model | tags | side, px | mean | standard deviation | filter | largest difference |")
    print("|---|---|---|---|---|---|---|")
    for model in open_clip.list_models():
        config = open_clip.get_model_config(model)
        if config is None or model == "flawshot-tiny":
            continue
        if "hf_model_name" in config["text_cfg"]:  # needs another package, and does not matter here
            open_clip.factory._MODEL_CONFIGS[model] = config | {"text_cfg": TEXT}  # noqa: SLF001
        kinds: dict[object, list[str]] = {}
        for tag in open_clip.list_pretrained_tags_by_model(model):
            kinds.setdefault(clip_preprocessing(model, tag)[0], []).append(tag)
        for tags in kinds.values() or [[]]:
            print(row(model, tags[0] if tags else None, len(tags), picture), flush=True)


if __name__ == "__main__":
    main()
