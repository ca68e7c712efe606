"""The whole way from raw pixels to a mask as one module: resize, scale, network, resize back, sigmoid, threshold.

Training's cache, validation, the final evaluation and the exported graph all pass through here, so that what was
measured is what ships. Resizing is two matrix products whose weights are made from the image's size inside the graph:
any size works, and every engine computes the same, which is not so for the antialiased `Resize` operator: OpenVINO
2026.4 halves 256 pixels with an error of 0.28 where these products are exact. Positions are held in integers: OpenVINO
computes floats in bfloat16 on CPUs with AMX unless told not to, and floating positions were then off by 0.19.

Legend: N batch, C channels, H rows, W columns; nhwc and nchw name the order of axes.
Source of the weights: the triangle filter stretched by the scale when shrinking, half-pixel centres, as in
`torch.nn.functional.interpolate(mode="bilinear", antialias=True, align_corners=False)` and in Pillow.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from brainseg_runtime.contract import MODEL_SIDE


def preprocess(image_nhwc: Tensor, *, size: int = MODEL_SIDE) -> Tensor:
    """Resize raw slices to the network's size and scale them to [0, 1].

    Args:
        image_nhwc: (N, H, W, 3) uint8; channels pre-contrast, FLAIR, post-contrast.
        size: Rows and columns of the result, pixels.

    Returns:
        (N, 3, size, size) float32 in [0, 1].
    """
    batch, height, width, channels = image_nhwc.shape
    rows = resize_weights(height, size, image_nhwc.device) / 255.0
    columns = resize_weights(width, size, image_nhwc.device)
    # Rows first, while a row of pixels is still one contiguous run of columns and channels: no transpose at full size.
    flat = image_nhwc.to(torch.float32).reshape(batch, height, width * channels)
    narrow = torch.matmul(rows, flat).reshape(batch, size, width, channels).permute(0, 3, 1, 2)
    return torch.matmul(narrow, columns.transpose(0, 1))


def resize(x_nchw: Tensor, height: int, width: int) -> Tensor:
    """Bilinear resize with antialiasing, half-pixel centres.

    Args:
        x_nchw: (N, C, H, W) float.
        height: Rows of the result, pixels.
        width: Columns of the result, pixels.

    Returns:
        (N, C, height, width) of the input's dtype.
    """
    rows = resize_weights(x_nchw.shape[2], height, x_nchw.device)
    columns = resize_weights(x_nchw.shape[3], width, x_nchw.device)
    return torch.matmul(torch.matmul(rows, x_nchw), columns.transpose(0, 1))


def resize_weights(source: int, target: int, device: torch.device) -> Tensor:
    """(target, source) float32 matrix that resizes an axis of `source` pixels to `target`; every row sums to 1.

    Both axes are measured in units of 1 / (2 · target) source pixels, where pixel j of the source lies at
    (2 j + 1) · target and pixel i of the target at (2 i + 1) · source: whole numbers, so that no engine rounds a
    position.
    """
    support = source + target + abs(source - target)
    centre = (2 * torch.arange(target, device=device, dtype=torch.int32) + 1) * source
    position = (2 * torch.arange(source, device=device, dtype=torch.int32) + 1) * target
    weight = (support - (position[None, :] - centre[:, None]).abs()).clamp(min=0)
    return weight.to(torch.float32) / weight.sum(dim=1, keepdim=True, dtype=torch.int32).to(torch.float32)


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
