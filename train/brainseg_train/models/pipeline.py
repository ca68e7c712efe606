"""The whole way from raw pixels to a mask as one module: resize, scale, network, resize back, sigmoid, threshold.

The cache, validation, the final evaluation and the exported graph all pass through here, so that what was measured is
what ships. Resizing is two matrix products whose weights are made from the image's size inside the graph:
any size works, and every engine computes the same, which is not so for the antialiased `Resize` operator: OpenVINO
2026.4 halves 256 pixels with an error of 0.28 where these products are exact. Positions are held in integers: OpenVINO
computes floats in bfloat16 on CPUs with AMX unless told not to, and floating positions were then off by 0.19. The
weights are zero but near the diagonal, so along rows the product is taken in parts, each of the rows that it needs.

An image that is not square keeps its proportions: it is treated as if zeros stood around it, the image in the middle of
a square. No pixel is added for that. The square is only where positions are counted from, and pixels that lie outside
the image count in the sums of the weights and nowhere else.

Legend: N batch, C channels, H rows, W columns; nhwc and nchw name the order of axes.
Source of the weights: the triangle filter stretched by the scale when shrinking, half-pixel centres, as in
`torch.nn.functional.interpolate(mode="bilinear", antialias=True, align_corners=False)` and in Pillow.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from brainseg_runtime.contract import MODEL_SIDE

BLOCKS = 16
"""Parts into which the rows of a resized image are cut; 8 and 32 cost as much or more for 256 pixels."""


class Axis(NamedTuple):
    """An image's rows or columns within those of a square.

    Attributes:
        side: Pixels of the square.
        first: Where in it the image begins.
        length: Pixels of the image.
    """

    side: int
    first: int
    length: int

    @classmethod
    def whole(cls, side: int) -> Axis:
        """An axis that the image fills."""
        return cls(side, 0, side)


def in_square(height: int, width: int) -> tuple[Axis, Axis]:
    """Rows and columns of an image in the middle of the smallest square that holds it.

    Args:
        height: Rows of the image, pixels.
        width: Columns of the image, pixels.
    """
    side = torch.sym_max(height, width)
    return Axis(side, (side - height) // 2, height), Axis(side, (side - width) // 2, width)


def preprocess(image_nhwc: Tensor, *, size: int = MODEL_SIDE) -> Tensor:
    """Resize raw slices to the network's size, proportions kept, and scale them to [0, 1].

    Args:
        image_nhwc: (N, H, W, 3) uint8; channels pre-contrast, FLAIR, post-contrast.
        size: Rows and columns of the result, pixels.

    Returns:
        (N, 3, size, size) float32 in [0, 1]; 0 beside an image that is not square.
    """
    batch, height, width, channels = image_nhwc.shape
    rows, across = in_square(height, width)
    columns = resize_weights(across, Axis.whole(size), image_nhwc.device)
    # Rows first, while a row of pixels is still one contiguous run of columns and channels: no transpose at full size.
    flat = image_nhwc.reshape(batch, height, width * channels)
    narrow = resize_rows(flat, rows, Axis.whole(size), unit=255.0)
    narrow_nchw = narrow.reshape(batch, size, width, channels).permute(0, 3, 1, 2)
    return torch.matmul(narrow_nchw, columns.transpose(0, 1))


def shrink(x_nchw: Tensor, *, size: int = MODEL_SIDE) -> Tensor:
    """Resize maps as `preprocess` resizes images.

    Args:
        x_nchw: (N, C, H, W) float32.
        size: Rows and columns of the result, pixels.

    Returns:
        (N, C, size, size) float32; 0 beside a map that is not square.
    """
    rows, columns = in_square(x_nchw.shape[2], x_nchw.shape[3])
    return _resize(x_nchw, (rows, columns), (Axis.whole(size), Axis.whole(size)))


def restore(x_nchw: Tensor, height: int, width: int) -> Tensor:
    """Resize maps of the network's size to that of an image, the way back from `preprocess`.

    Args:
        x_nchw: (N, C, size, size) float32.
        height: Rows of the image, pixels.
        width: Columns of the image, pixels.

    Returns:
        (N, C, height, width) float32.
    """
    rows, columns = (Axis.whole(side) for side in x_nchw.shape[2:])
    return _resize(x_nchw, (rows, columns), in_square(height, width))


def _resize(x_nchw: Tensor, source: tuple[Axis, Axis], target: tuple[Axis, Axis]) -> Tensor:
    """Bilinear resize with antialiasing, half-pixel centres; axes are rows, then columns."""
    batch, channels, height, _ = x_nchw.shape
    columns = resize_weights(source[1], target[1], x_nchw.device)
    wide = torch.matmul(x_nchw.reshape(batch * channels, height, -1), columns.transpose(0, 1))
    return resize_rows(wide, source[0], target[0]).reshape(batch, channels, target[0].length, target[1].length)


def resize_rows(x_nrk: Tensor, source: Axis, target: Axis, *, unit: float = 1.0) -> Tensor:
    """Resize the rows of matrices by a product for each of `BLOCKS` parts of the result.

    A row of the result depends on a few rows of the source that lie together, and so does a part of it: each part's
    product takes a twelfth of the arithmetic's operands for the usual 256 rows.

    Args:
        x_nrk: (N, R, K) of any type; what stands in a row does not matter.
        source: Where those rows lie.
        target: The rows wanted.
        unit: What counts as 1 in the source.

    Returns:
        (N, target.length, K) float32.
    """
    batch, _, width = x_nrk.shape
    index, weights = row_bands(source, target, x_nrk.device)
    # Rows are taken before they are cast, since uint8 is a quarter to copy.
    taken = torch.index_select(x_nrk, 1, index.reshape(-1)).to(torch.float32)
    bands = taken.reshape(batch, BLOCKS, index.shape[1], width)
    return torch.matmul(weights / unit, bands).reshape(batch, -1, width)[:, : target.length]


def row_bands(source: Axis, target: Axis, device: torch.device) -> tuple[Tensor, Tensor]:
    """The matrix of `resize_weights` by parts of its rows, without columns that are zero for all of a part.

    Args:
        source: Rows to resize.
        target: Rows of the result.
        device: Where the tensors are made.

    Returns:
        Which rows of the source each part takes, (BLOCKS, taken) int32; and their weights, (BLOCKS, part, taken)
        float32. BLOCKS times part is at least `target.length`; rows beyond it repeat the last.
    """
    support = source.side + target.side + abs(source.side - target.side)
    part = (target.length + BLOCKS - 1) // BLOCKS
    most = torch.sym_min(source.side, ((part - 1) * source.side + support) // target.side + 2)
    row = torch.arange(BLOCKS * part, device=device, dtype=torch.int32).clamp(max=target.length - 1)
    centre = ((2 * (row + target.first) + 1) * source.side).reshape(BLOCKS, part)
    position = (2 * torch.arange(source.side, device=device, dtype=torch.int32) + 1) * target.side
    # As many rows lie wholly before a part as end at or before its first centre; counted, since engines divide integers
    # in different ways.
    before = (centre[:, :1] >= position[None, :] + support).sum(dim=1, keepdim=True, dtype=torch.int32)
    place = before.clamp(max=source.side - most) + torch.arange(most, device=device, dtype=torch.int32)
    weight = (support - ((2 * place + 1) * target.side)[:, None, :].sub(centre[:, :, None]).abs()).clamp(min=0)
    index = (place - source.first).clamp(min=0).clamp(max=source.length - 1)
    inside = (1 - (index + source.first - place).abs()).clamp(min=0).to(torch.float32)
    return index, _normalised(weight) * inside[:, None, :]


def resize_weights(source: Axis, target: Axis, device: torch.device) -> Tensor:
    """(target.length, source.length) float32 matrix that resizes an axis.

    Over the whole square every row sums to 1; over an image that does not fill it, rows that reach beside it to less.

    Both axes are measured in units of 1 / (2 · target) source pixels, where pixel j of the source lies at
    (2 j + 1) · target and pixel i of the target at (2 i + 1) · source: whole numbers, so that no engine rounds a
    position.
    """
    support = source.side + target.side + abs(source.side - target.side)
    row = torch.arange(target.length, device=device, dtype=torch.int32) + target.first
    centre = (2 * row + 1) * source.side
    position = (2 * torch.arange(source.side, device=device, dtype=torch.int32) + 1) * target.side
    weights = _normalised((support - (position[None, :] - centre[:, None]).abs()).clamp(min=0))
    return weights[:, source.first : source.first + source.length]


def _normalised(weight: Tensor) -> Tensor:
    """Whole numbers of any shape as float32 fractions of their sum along the last axis."""
    return weight.to(torch.float32) / weight.sum(dim=-1, keepdim=True, dtype=torch.int32).to(torch.float32)


class InferencePipeline(nn.Module):
    """A network with everything around it, from raw uint8 slices to mask and probability at the slices' own size.

    Args:
        network: Maps (N, 3, size, size) float in [0, 1] to (N, 1, size, size) logits.
        threshold: A pixel is tumour where its probability is at least this, in (0, 1).
        temperature: Logits are divided by this before the sigmoid (Guo et al., On Calibration of Modern Neural
            Networks, 2017); 1 leaves them.
        size: The network's rows and columns, pixels.
    """

    def __init__(
        self, network: nn.Module, *, threshold: float = 0.5, temperature: float = 1.0, size: int = MODEL_SIDE
    ) -> None:
        super().__init__()
        self.network = network
        self.threshold = threshold
        self.temperature = temperature
        self.size = size

    def forward(self, image_nhwc: Tensor) -> tuple[Tensor, Tensor]:
        """Segment a batch of raw slices.

        Args:
            image_nhwc: (N, H, W, 3) uint8.

        Returns:
            Mask (N, H, W) uint8, 0 or 1, and probability (N, H, W) float32 in [0, 1].
        """
        _, height, width, _ = image_nhwc.shape
        logits = self.network(preprocess(image_nhwc, size=self.size))
        # OpenVINO's sigmoid reaches 1.0000001; a probability does not.
        probability = torch.sigmoid(restore(logits / self.temperature, height, width)).squeeze(1).clamp(max=1.0)
        return (probability >= self.threshold).to(torch.uint8), probability
