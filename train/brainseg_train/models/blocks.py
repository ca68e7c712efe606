"""The layers that the networks share: convolution blocks, the stem that steps down, upsampling, the logit head.

Every layer here is chosen to fold and quantise whole: batch normalisation always follows a convolution, upsampling is a
nearest-neighbour resize before a convolution (a transposed convolution stays in float in both integer engines), and no
pooling window depends on the image's size.

Legend: N batch, C channels, H rows, W columns.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

STRIDE = 16
"""Every network's image height and width must be divisible by this."""


CONTRAST_FLOOR = 0.05
"""Added to a slice's standard deviation, in [0, 1] units, so that a nearly blank slice is not blown up to noise."""


def standardise(image: Tensor) -> Tensor:
    """Give every sequence of every slice mean 0 and about the same contrast, whatever the scanner.

    Args:
        image: (N, 3, H, W) float32 in [0, 1].

    Returns:
        (N, 3, H, W) float32, in units of the slice's own standard deviation.
    """
    centred = image - _mean(image)
    return centred / (_mean(centred.square()).sqrt() + CONTRAST_FLOOR)


def _mean(image: Tensor) -> Tensor:
    """(N, C, 1, 1) mean of each channel: of blocks, then of the blocks' means.

    Engines that add 16,384 numbers in one go lose three digits and divide the sum among threads, so that the last bits
    depend on how many there are; a block is added by one thread, in one order.
    """
    return functional.avg_pool2d(image, STRIDE).mean(dim=(2, 3), keepdim=True)


class ConvUnit(nn.Sequential):
    """Convolution without bias, batch normalisation and, unless told not to, ReLU: (N, C, H, W) to (N, C', H', W')."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel: int = 3,
        stride: int = 1,
        dilation: int = 1,
        activation: bool = True,
    ) -> None:
        padding = dilation * (kernel - 1) // 2
        layers: list[nn.Module] = [
            nn.Conv2d(in_channels, out_channels, kernel, stride, padding, dilation, bias=False),
            nn.BatchNorm2d(out_channels),
        ]
        if activation:
            layers.append(nn.ReLU(inplace=True))
        super().__init__(*layers)


class DoubleConv(nn.Sequential):
    """Two 3×3 convolution units, the pair that UNet repeats at every level."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(ConvUnit(in_channels, out_channels), ConvUnit(out_channels, out_channels))


class ResidualUnit(nn.Module):
    """Two 3×3 convolution units and a shortcut, added before the last ReLU.

    The shortcut is the input itself where shapes agree, else a 1×1 convolution with batch normalisation.

    Source: He et al., Deep Residual Learning, 2016, fig. 2. Zhang et al. (2018) order each unit normalisation first;
    here normalisation follows its convolution so that it folds into it, which an integer network needs.
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            ConvUnit(in_channels, out_channels, stride=stride, dilation=dilation),
            ConvUnit(out_channels, out_channels, dilation=dilation, activation=False),
        )
        same = in_channels == out_channels and stride == 1
        self.shortcut: nn.Module = (
            nn.Identity() if same else ConvUnit(in_channels, out_channels, kernel=1, stride=stride, activation=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C', H / stride, W / stride)."""
        return functional.relu(self.body(x) + self.shortcut(x))


class Stem(ConvUnit):
    """A 5×5 convolution of stride 2 that takes the three sequences to `width` channels at half the resolution.

    Full-resolution layers are bound by memory, not arithmetic: they cost more time than all the rest of a network of
    this size. `Head` gives the resolution back.
    """

    def __init__(self, width: int) -> None:
        super().__init__(3, width, kernel=5, stride=2)


class Head(nn.Module):
    """One logit per input pixel from features at half the resolution: 1×1 convolution to 4 channels, pixel shuffle.

    Source: Shi et al., Real-Time Single Image Super-Resolution ... Sub-Pixel Convolutional Neural Network, 2016.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(in_channels, 4, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) features to (N, 1, 2 H, 2 W) logits."""
        return functional.pixel_shuffle(self.project(x), 2)


def upsample(x: Tensor) -> Tensor:
    """(N, C, H, W) to (N, C, 2 H, 2 W) by repeating each value; exact in integers."""
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")
