"""ResUNet: the U shape built of residual units.

Source: Zhang et al., Road Extraction by Deep Residual U-Net, 2018. Deviations: normalisation after each convolution
(see `ResidualUnit`); a stem of stride 2 and a sub-pixel head in place of the level at full resolution; the decoder's
channels are reduced by a 1×1 convolution before upsampling, where it is four times cheaper.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from brainseg_train.models.blocks import ConvUnit, Head, ResidualUnit, Stem, standardise, upsample


class ResUNet(nn.Module):
    """Four levels, at 1/2, 1/4, 1/8 and 1/16 of the input, of `width`, 2, 4 and 8 times `width` channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        channels = [width, 2 * width, 4 * width, 8 * width]
        self.stem = Stem(width)
        self.encoders = nn.ModuleList(
            [ResidualUnit(width, width)]
            + [nn.Sequential(ResidualUnit(c // 2, c, stride=2), ResidualUnit(c, c)) for c in channels[1:]]
        )
        self.reducers = nn.ModuleList(ConvUnit(2 * c, c, kernel=1) for c in reversed(channels[:-1]))
        self.decoders = nn.ModuleList(ResidualUnit(2 * c, c) for c in reversed(channels[:-1]))
        self.head = Head(width)

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) float in [0, 1], H and W divisible by 16, to (N, 1, H, W) logits."""
        x = self.stem(standardise(image))
        skips = []
        for encoder in self.encoders:
            x = encoder(x)
            skips.append(x)
        skips.pop()
        for reducer, decoder in zip(self.reducers, self.decoders, strict=True):
            x = torch.cat([skips.pop(), upsample(reducer(x))], dim=1)
            x = decoder(x)
        logits: Tensor = self.head(x)
        return logits
