"""Simplified DeepLab: convolutional encoder, atrous spatial pyramid with an image-level branch, light decoder.

Source: Chen et al., DeepLabv3, 2017 (the pyramid) and DeepLabv3+, 2018 (the decoder). Deviations: a residual encoder of
this project's width in place of ResNet or Xception; rates 2, 4 and 6 at one eighth of 128 pixels, where the paper's 6,
12 and 18 would reach past the image; the image-level branch is projected and added, which equals concatenating its
constant map before the projection and costs one vector.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from brainseg_train.models.blocks import ConvUnit, Head, ResidualUnit, Stem, standardise, upsample

RATES = (2, 4, 6)


class AtrousPyramid(nn.Module):
    """Parallel 1×1 and dilated 3×3 convolutions and the image's mean, projected to `out_channels`."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [ConvUnit(in_channels, out_channels, kernel=1)]
            + [ConvUnit(in_channels, out_channels, dilation=rate) for rate in RATES]
        )
        self.image_level = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, kernel_size=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, kernel_size=1, bias=False),
        )
        self.project = ConvUnit(out_channels * len(self.branches), out_channels, kernel=1, activation=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, out_channels, H, W)."""
        local = self.project(torch.cat([branch(x) for branch in self.branches], dim=1))
        return functional.relu(local + self.image_level(x.mean(dim=(2, 3), keepdim=True)))


class DeepLab(nn.Module):
    """Encoder to 1/8 of the input at 4 times `width` channels, pyramid of as many, two decoder steps back to 1/2."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = Stem(width)
        self.low = ResidualUnit(width, width)
        self.middle = nn.Sequential(ResidualUnit(width, 2 * width, stride=2), ResidualUnit(2 * width, 2 * width))
        self.deep = nn.Sequential(
            ResidualUnit(2 * width, 4 * width, stride=2),
            ResidualUnit(4 * width, 4 * width),
            ResidualUnit(4 * width, 4 * width, dilation=2),
        )
        self.pyramid = AtrousPyramid(4 * width, 4 * width)
        self.reduce_middle = ConvUnit(4 * width, 2 * width, kernel=1)
        self.decode_middle = ConvUnit(4 * width, 2 * width)
        self.reduce_low = ConvUnit(2 * width, width, kernel=1)
        self.decode_low = nn.Sequential(ConvUnit(2 * width, width), ConvUnit(width, width))
        self.head = Head(width)

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) float in [0, 1], H and W divisible by 16, to (N, 1, H, W) logits."""
        low = self.low(self.stem(standardise(image)))
        middle = self.middle(low)
        x = self.pyramid(self.deep(middle))
        x = self.decode_middle(torch.cat([middle, upsample(self.reduce_middle(x))], dim=1))
        x = self.decode_low(torch.cat([low, upsample(self.reduce_low(x))], dim=1))
        logits: Tensor = self.head(x)
        return logits
