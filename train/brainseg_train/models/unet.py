"""UNet: an encoder, a decoder and a concatenation across at every level.

Source: Ronneberger et al., U-Net, 2015. Deviations: same-padded convolutions with batch normalisation; a stem of
stride 2 and a sub-pixel head in place of the level at full resolution; a 1×1 convolution and nearest upsampling, in
that order, in place of the transposed convolution: a quarter of the arithmetic and a quarter of the bytes to repeat.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from brainseg_train.models.blocks import ConvUnit, DoubleConv, Head, Stem, standardise, upsample


class UNet(nn.Module):
    """Four levels, at 1/2, 1/4, 1/8 and 1/16 of the input, of `width`, 2, 4 and 8 times `width` channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        channels = [width, 2 * width, 4 * width, 8 * width]
        self.stem = Stem(width)
        self.encoders = nn.ModuleList([ConvUnit(width, width)] + [DoubleConv(c // 2, c) for c in channels[1:]])
        self.reducers = nn.ModuleList(ConvUnit(2 * c, c, kernel=1) for c in reversed(channels[:-1]))
        self.decoders = nn.ModuleList(DoubleConv(2 * c, c) for c in reversed(channels[:-1]))
        self.head = Head(width)

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) float in [0, 1], H and W divisible by 16, to (N, 1, H, W) logits."""
        x = self.stem(standardise(image))
        skips = []
        for level, encoder in enumerate(self.encoders):
            x = encoder(x if level == 0 else functional.max_pool2d(x, 2))
            skips.append(x)
        skips.pop()
        for reducer, decoder in zip(self.reducers, self.decoders, strict=True):
            x = torch.cat([skips.pop(), upsample(reducer(x))], dim=1)
            x = decoder(x)
        logits: Tensor = self.head(x)
        return logits
