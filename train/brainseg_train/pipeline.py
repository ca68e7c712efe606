"""The whole way from raw pixels to a mask as one module: resize, scale, network, resize back, sigmoid, threshold.

Training's cache, validation, the final evaluation and the exported graph all pass through here, so that what was
measured is what ships. Resizing is two matrix products whose weights are made from the image's size inside the graph:
any size works, and every engine computes the same, which is not so for the antialiased `Resize` operator: OpenVINO
2026.4 halves 256 pixels with an error of 0.28 where these products are exact. Positions are held in integers: OpenVINO
computes floats in bfloat16 on CPUs with AMX unless told not to, and floating positions were then off by 0.19. The
weights are zero but near the diagonal, so along rows the product is taken in parts, each of the rows that it needs.

Legend: N batch, C channels, H rows, W columns; nhwc and nchw name the order of axes.
Source of the weights: the triangle filter stretched by the scale when shrinking, half-pixel centres, as in
`torch.nn.functional.interpolate(mode="bilinear", antialias=True, align_corners=False)` and in Pillow.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from brainseg_runtime.contract import MODEL_SIDE

BLOCKS = 16
"""Parts into which the rows of a resized image are cut; 8 and 32 cost as much or more for 256 pixels."""


def preprocess(image_nhwc: Tensor, *, size: int = MODEL_SIDE) -> Tensor:
    """Resize raw slices to the network's size and scale them to [0, 1].

    Args:
        image_nhwc: (N, H, W, 3) uint8; channels pre-contrast, FLAIR, post-contrast.
        size: Rows and columns of the result, pixels.

    Returns:
        (N, 3, size, size) float32 in [0, 1].
    """
    batch, height, width, channels = image_nhwc.shape
    columns = resize_weights(width, size, image_nhwc.device)
    # Rows first, while a row of pixels is still one contiguous run of columns and channels: no transpose at full size.
    narrow = resize_rows(image_nhwc.reshape(batch, height, width * channels), size, unit=255.0)
    narrow_nchw = narrow.reshape(batch, size, width, channels).permute(0, 3, 1, 2)
    return torch.matmul(narrow_nchw, columns.transpose(0, 1))


def resize(x_nchw: Tensor, height: int, width: int) -> Tensor:
    """Bilinear resize with antialiasing, half-pixel centres.

    Args:
        x_nchw: (N, C, H, W) float32.
        height: Rows of the result, pixels.
        width: Columns of the result, pixels.

    Returns:
        (N, C, height, width) float32.
    """
    batch, channels, rows, _ = x_nchw.shape
    columns = resize_weights(x_nchw.shape[3], width, x_nchw.device)
    wide = torch.matmul(x_nchw.reshape(batch * channels, rows, -1), columns.transpose(0, 1))
    return resize_rows(wide, height).reshape(batch, channels, height, width)


def resize_rows(x_nrk: Tensor, target: int, *, unit: float = 1.0) -> Tensor:
    """Resize the rows of matrices by a product for each of `BLOCKS` parts of the result.

    A row of the result depends on a few rows of the source that lie together, and so does a part of it: each part's
    product takes a twelfth of the arithmetic's operands for the usual 256 rows.

    Args:
        x_nrk: (N, R, K) of any type; what stands in a row does not matter.
        target: Rows of the result.
        unit: What counts as 1 in the source.

    Returns:
        (N, target, K) float32.
    """
    batch, source, width = x_nrk.shape
    index, weights = row_bands(source, target, x_nrk.device)
    # Rows are taken before they are cast, since uint8 is a quarter to copy.
    taken = torch.index_select(x_nrk, 1, index.reshape(-1)).to(torch.float32)
    bands = taken.reshape(batch, BLOCKS, index.shape[1], width)
    return torch.matmul(weights / unit, bands).reshape(batch, -1, width)[:, :target]


def row_bands(source: int, target: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The matrix of `resize_weights` by parts of its rows, without columns that are zero for all of a part.

    Args:
        source: Rows to resize.
        target: Rows of the result.
        device: Where the tensors are made.

    Returns:
        Which rows of the source each part takes, (BLOCKS, taken) int32; and their weights, (BLOCKS, part, taken)
        float32. BLOCKS times part is at least `target`; rows beyond it repeat the last.
    """
    support = source + target + abs(source - target)
    part = (target + BLOCKS - 1) // BLOCKS
    most = torch.sym_min(source, ((part - 1) * source + support) // target + 2)
    row = torch.arange(BLOCKS * part, device=device, dtype=torch.int32).clamp(max=target - 1).reshape(BLOCKS, part)
    centre = (2 * row + 1) * source
    position = (2 * torch.arange(source, device=device, dtype=torch.int32) + 1) * target
    # As many rows lie wholly before a part as end at or before its first centre; counted, since engines divide integers
    # in different ways.
    before = (centre[:, :1] >= position[None, :] + support).sum(dim=1, keepdim=True, dtype=torch.int32)
    index = before.clamp(max=source - most) + torch.arange(most, device=device, dtype=torch.int32)
    weight = (support - ((2 * index + 1) * target)[:, None, :].sub(centre[:, :, None]).abs()).clamp(min=0)
    return index, _normalised(weight)


def resize_weights(source: int, target: int, device: torch.device) -> Tensor:
    """(target, source) float32 matrix that resizes an axis of `source` pixels to `target`; every row sums to 1.

    Both axes are measured in units of 1 / (2 · target) source pixels, where pixel j of the source lies at
    (2 j + 1) · target and pixel i of the target at (2 i + 1) · source: whole numbers, so that no engine rounds a
    position.
    """
    support = source + target + abs(source - target)
    centre = (2 * torch.arange(target, device=device, dtype=torch.int32) + 1) * source
    position = (2 * torch.arange(source, device=device, dtype=torch.int32) + 1) * target
    return _normalised((support - (position[None, :] - centre[:, None]).abs()).clamp(min=0))


def _normalised(weight: Tensor) -> Tensor:
    """Whole numbers of any shape as float32 shares of their sum along the last axis."""
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
        probability = torch.sigmoid(resize(logits / self.temperature, height, width)).squeeze(1).clamp(max=1.0)
        return (probability >= self.threshold).to(torch.uint8), probability
