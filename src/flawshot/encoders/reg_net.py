"""RegNetX-002, the network of flawshot-tiny, in torch alone: importing timm takes a second and a half."""

from __future__ import annotations

from collections import OrderedDict
from typing import cast

import torch
from torch import nn

__all__ = ["RegNetX002"]

STEM = 32
# Radosavovic et al., "Designing Network Design Spaces", CVPR 2020: REGNETX-200MF.
WIDTHS = (24, 56, 152, 368)
DEPTHS = (1, 1, 4, 7)
GROUP = 8


class RegNetX002(nn.Module):
    """The network without its classifier; its modules and weights are named as in timm.

    Attributes:
        feature_info: The number of channels of each stage, as timm states it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvNorm(3, STEM, 3, stride=2)
        before = STEM
        for number, (width, depth) in enumerate(zip(WIDTHS, DEPTHS, strict=True), start=1):
            blocks = [
                (f"b{block}", Bottleneck(before if block == 1 else width, width)) for block in range(1, depth + 1)
            ]
            self.add_module(f"s{number}", nn.Sequential(OrderedDict(blocks)))
            before = width
        self.final_conv = nn.Identity()
        self.feature_info = [{"num_chs": width} for width in WIDTHS]


class ConvNorm(nn.Module):
    """A convolution, its normalization, and an activation."""

    def __init__(
        self, inputs: int, outputs: int, side: int, *, stride: int = 1, groups: int = 1, active: bool = True
    ) -> None:
        super().__init__()
        self.conv: nn.Module = nn.Conv2d(
            inputs, outputs, side, stride=stride, padding=side // 2, groups=groups, bias=False
        )
        self.bn: nn.Module = NormAct(outputs, active=active)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[crops, inputs, rows, columns]`` to ``[crops, outputs, …]``."""
        return cast("torch.Tensor", self.bn(self.conv(x)))


class NormAct(nn.BatchNorm2d):
    """A normalization and an activation."""

    def __init__(self, channels: int, *, active: bool) -> None:
        super().__init__(channels)
        self.act = nn.ReLU(inplace=True) if active else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[crops, channels, rows, columns]`` to the same."""
        return cast("torch.Tensor", self.act(super().forward(x)))


class Bottleneck(nn.Module):
    """A residual block; one that changes the number of channels also halves the sides."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        stride = 1 if inputs == outputs else 2
        self.conv1 = ConvNorm(inputs, outputs, 1)
        self.conv2 = ConvNorm(outputs, outputs, 3, stride=stride, groups=outputs // GROUP)
        self.conv3 = ConvNorm(outputs, outputs, 1, active=False)
        self.downsample: nn.Module = (
            nn.Identity() if stride == 1 else ConvNorm(inputs, outputs, 1, stride=stride, active=False)
        )
        self.act3 = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[crops, inputs, rows, columns]`` to ``[crops, outputs, …]``."""
        made = self.conv3(self.conv2(self.conv1(x)))
        return cast("torch.Tensor", self.act3(made + self.downsample(x)))
