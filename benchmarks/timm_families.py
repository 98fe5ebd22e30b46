"""Which models of timm flawshot encodes with: one of each of timm's families, with random weights.

    python benchmarks/timm_families.py [NAME …]

A row per model: its parameters, the side of its input, the length of its features, its patch tokens (or why there are
none), and the largest difference from the features that timm itself computes of the same input, as a share of the
largest feature. The models are the smallest ones of timm's modules, and the best known.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from pathlib import Path

import timm
import torch
from safetensors.torch import save_model
from timm.data import resolve_model_data_config

from flawshot import FlawshotError
from flawshot.encoders.timm import TimmEncoder

# fmt: off
MODELS = [
    "beit_base_patch16_224", "cait_xxs24_224", "coat_tiny", "coatnet_pico_rw_224", "convit_tiny",
    "convmixer_768_32", "convnextv2_atto", "cpubone_nano", "crossvit_tiny_240", "cs3darknet_focus_s", "csatv2",
    "cspnext_tiny", "davit_tiny", "deit_tiny_patch16_224", "densenet121", "dla46x_c", "dm_nfnet_f0", "dpn48b",
    "edgenext_xx_small", "efficientformer_l1", "efficientformerv2_s0", "efficientvim_m1", "efficientvit_b0",
    "efficientvit_m0", "ese_vovnet19b_slim_dw", "eva02_tiny_patch14_224", "fasternet_t0", "fastvit_t8",
    "focalnet_tiny_srf", "gcvit_xxtiny", "gemma4_vit_167m", "ghostnet_050", "gmlp_ti16_224", "halonet_h1",
    "hardcorenas_b", "hgnetv2_b0", "hiera_tiny_224", "hrnet_w18_small", "iformer_t", "inception_next_atto",
    "inception_resnet_v2", "inception_v3", "inception_v4", "lcnet_035", "lcnetv2_small", "legacy_seresnet18",
    "legacy_xception", "levit_128s", "lowformer_b0", "mambaout_femto", "mobilenetv3_small_050",
    "mobilenetv4_conv_small", "mobilenetv5_base", "mobileone_s0", "mobilevit_xxs", "mvitv2_tiny",
    "naflexvit_base_patch16_parfac_gap", "nasnetalarge", "nest_tiny", "nextvit_small", "pit_ti_224",
    "pnasnet5large", "poolformerv2_s12", "pvt_v2_b0", "qwen3_vit_88m", "rdnet_tiny", "regnetx_002",
    "repghostnet_050", "repvit_m1", "res2next50", "resnest14d", "resnet10t", "resnet50_clip", "resnetv2_18",
    "rexnet_100", "sam2_hiera_tiny", "samvit_base_patch16_224", "selecsls42", "sequencer2d_s", "shvit_s1",
    "skresnet18", "starnet_s050", "swiftformer_xs", "swin_tiny_patch4_window7_224", "swinv2_cr_tiny_224",
    "swinv2_tiny_window8_256", "tf_efficientnet_lite0", "tiny_vit_5m_224", "tnt_s_legacy_patch16_224", "tresnet_m",
    "twins_svt_small", "vgg11", "visformer_tiny", "vit_base_patch16_clip_224", "vit_base_patch16_siglip_224",
    "vit_relpos_small_patch16_224", "vit_small_patch14_reg4_dinov2", "vit_small_patch16_dinov3",
    "vit_tiny_patch16_224", "vit_tiny_r_s16_p8_224", "vitamin_small_224", "volo_d1_224", "xception41p",
    "xcit_nano_12_p8_224",
]
# fmt: on


def row(name: str, folder: Path) -> str:
    """A model's row."""
    torch.manual_seed(0)
    model = timm.create_model(name, pretrained=False, num_classes=0).eval()
    path = folder / "random.safetensors"
    save_model(model, str(path))
    millions = sum(each.numel() for each in model.parameters()) / 1e6
    try:
        encoder = TimmEncoder(name, str(path), device="cpu")
    except FlawshotError as error:
        return f"| {name} | {millions:.1f} | | | | refused: {str(error).partition(': ')[2]} |"
    try:
        grid = TimmEncoder(name, str(path), region="mask-pool", device="cpu").network.grid
        patches = "{} x {}".format(*grid)
    except FlawshotError:
        patches = "none"
    images = torch.randint(0, 256, (2, encoder.side, encoder.side, 3), dtype=torch.uint8)
    config = resolve_model_data_config(model)
    mean, std = (torch.tensor(encoder.record.options[each])[:, None, None] for each in ("mean", "std"))
    assert config["input_size"][1] == encoder.side  # noqa: S101 - a claim of the row
    with torch.inference_mode():
        own = model((images.permute(0, 3, 1, 2).float() / 255 - mean) / std)
    ours = encoder.encode(images, images[..., 0])[:, 0]
    difference = float((ours - own).abs().max() / own.abs().max().clamp_min(1e-12))
    return f"| {name} | {millions:.1f} | {encoder.side} | {encoder.dim} | {patches} | {difference:.0e} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=MODELS, metavar="NAME")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # of the models' own code
    print(f"timm {timm.__version__}, random weights, CPU")
    print("| model | parameters, millions | side, px | features | patch tokens | largest difference |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        for model in options.models:
            print(row(model, Path(name)), flush=True)


if __name__ == "__main__":
    main()
