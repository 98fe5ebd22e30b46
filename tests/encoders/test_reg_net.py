"""Outside reference: timm's network of the same name, with any weights, before and after layers are joined."""

from __future__ import annotations

import subprocess
import sys

import timm
import torch

from flawshot.encoders.reg_net import RegNetX002


def test_it_computes_what_timms_network_does():
    torch.manual_seed(0)
    theirs = timm.create_model("regnetx_002", num_classes=0).eval()
    state = theirs.state_dict()
    for name, tensor in state.items():  # statistics that normalize nothing would hide an error
        if name.endswith(("running_mean", "bias")):
            tensor.normal_(std=0.1)
        elif name.endswith("running_var"):
            tensor.uniform_(0.5, 2)
    ours = RegNetX002().eval()
    ours.load_state_dict(state)
    assert list(ours.state_dict()) == list(state)
    x = torch.randn(2, 3, 96, 128)
    with torch.inference_mode():
        expected = theirs.forward_intermediates(x, intermediates_only=True)[1:]
        x = ours.stem(x)
        made = [x := stage(x) for stage in (ours.s1, ours.s2, ours.s3, ours.s4)]
    assert len(made) == len(expected) == 4
    for one, other in zip(made, expected, strict=True):
        assert torch.equal(one, other)
    assert [each["num_chs"] for each in ours.feature_info] == [each.shape[1] for each in expected]


def test_the_encoder_is_there_without_packages_that_take_seconds_to_import():
    code = (
        "import sys, torch, flawshot\n"
        "encoder = flawshot.make_encoder('flawshot-tiny', device='cpu')\n"
        "blank = torch.zeros(1, 96, 96, 3, dtype=torch.uint8)\n"
        "encoder.encode(blank, blank[..., 0]), encoder.maps(blank)\n"
        "print(*{'open_clip', 'timm', 'torchvision', 'torch._dynamo'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
