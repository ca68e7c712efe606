"""The held-out slices, as they are and perturbed, and a network's Dice on each kind.

Perturbations are of the resized slices, on the device, so that all of them take seconds; `brainseg evaluate --stress`
perturbs native slices through the whole product, and its figures are the ones that are reported of a bundle.

Legend: N slices, H rows, W columns, P patients.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from brainseg_train.data.head_maps import StoredMaps
from brainseg_train.learning.healthy import replace_half
from brainseg_train.models.pipeline import restore

if TYPE_CHECKING:
    from brainseg_train.data.dataset import DataSet
    from brainseg_train.learning.device import Placement
    from experiments.job import Job

BATCH = 128
FLAIR = 1
Pairs = dict[str, tuple[Tensor, Tensor]]


class Cases:
    """The slices that one job holds out.

    Args:
        dataset: All slices.
        maps: Of all heads.
        job: Whose held-out patients are taken.
        placement: Where and in which arithmetic a network runs.
    """

    def __init__(self, dataset: DataSet, maps: StoredMaps, job: Job, placement: Placement) -> None:
        self.placement = placement
        self.rows = dataset.indices(job.held)
        self.patients = [dataset.patients[i].id for i in np.unique(dataset.patient_of_slice[self.rows])]
        whose = np.unique(dataset.patient_of_slice[self.rows], return_inverse=True)[1]
        self._whose = torch.from_numpy(whose).to(placement.device)
        images = torch.from_numpy(dataset.images[self.rows]).to(placement.device).permute(0, 3, 1, 2).float() / 255
        masks = torch.from_numpy(dataset.masks[self.rows]).to(placement.device)[:, None].float()
        held = torch.from_numpy(self.rows)
        brain, depth = (each[held][:, None].to(placement.device) for each in (maps.brain, maps.depth))
        self._pairs = perturbed(images, masks, brain.float() / 255, (depth > 0).float())
        height, width = dataset.size
        bits = np.unpackbits(dataset.native_masks[self.rows], axis=1, count=height * width)
        self._native = torch.from_numpy(bits.reshape(-1, height, width)).to(placement.device).bool()
        lines = maps.midlines[held].to(placement.device)
        usable = lines[:, 3] != 0
        self._healthy = replace_half(images[usable], lines[usable]) if bool(usable.any()) else images[:0]

    def measure(self, network: nn.Module) -> dict[str, Any]:
        """Volume Dice of each patient by case, and what is marked where nothing is.

        Args:
            network: In evaluation mode, on the placement's device.

        Returns:
            `patients`, their names; `native`, each one's Dice at native size; `cases`, by name each one's Dice at the
            network's size; `healthy_pixels`, the mean marked in a slice that was made healthy, None without such.
        """
        found: dict[str, Any] = {"patients": self.patients, "cases": {}}
        for name, (images, masks) in self._pairs.items():
            logits = self.logits(network, images)
            found["cases"][name] = self._dice(logits >= 0, masks[:, 0] >= 0.5 - 1e-6)
            if name == "as it is":
                height, width = self._native.shape[1:]
                parts = (restore(part[:, None], height, width)[:, 0] >= 0 for part in logits.split(BATCH))
                found["native"] = self._dice(torch.cat(list(parts)), self._native)
        marked = (self.logits(network, self._healthy) >= 0).sum(dim=(1, 2)).float()
        found["healthy_pixels"] = float(marked.mean()) if len(marked) else None
        return found

    @torch.inference_mode()
    def logits(self, network: nn.Module, images: Tensor) -> Tensor:
        """(N, H, W) float32."""
        found = [images.new_zeros((0, *images.shape[2:]))]
        for part in images.split(BATCH) if len(images) else ():
            with self.placement.autocast():
                found.append(network(part.contiguous(memory_format=self.placement.memory_format)).float()[:, 0])
        return torch.cat(found)

    def _dice(self, predicted: Tensor, true: Tensor) -> list[float]:
        """Each patient's volume Dice; 1 where both are empty."""
        counts = torch.zeros(3, len(self.patients), dtype=torch.int64, device=predicted.device)
        sums = [each.sum(dim=(1, 2)) for each in (predicted & true, predicted, true)]
        counts.index_add_(1, self._whose, torch.stack(sums))
        both, one, other = counts.double().cpu()
        return torch.where(one + other > 0, 2 * both / (one + other).clamp(min=1), torch.ones(())).tolist()


def perturbed(images: Tensor, masks: Tensor, brain: Tensor, head: Tensor) -> Pairs:
    """Images and masks of every case, in 8 bits again as a file would hold them.

    Args:
        images: (N, 3, H, W) float32 in [0, 1].
        masks: (N, 1, H, W) float32, 0 or 1.
        brain: (N, 1, H, W) float32 in [0, 1].
        head: (N, 1, H, W) float32, 0 or 1.
    """
    ring = head * (1 - brain)
    flair = images[:, FLAIR : FLAIR + 1]
    zeros = torch.zeros_like(flair)
    pre, post = images[:, :1], images[:, 2:]
    only_flair = torch.tensor([0.0, 1.0, 0.0], device=images.device).view(1, 3, 1, 1)
    peak = functional.avg_pool2d(images, 5, stride=1, padding=2).amax(dim=(2, 3), keepdim=True).clamp(min=0.02)
    pairs = {
        "as it is": (images, masks),
        **{f"head {round(100 * size)} %": (shrunk(images, size), shrunk(masks, size)) for size in (0.75, 0.5, 0.4)},
        "scalp dimmed": (images * (1 - 0.75 * only_flair * ring), masks),
        "scalp dark": (images * (1 - 0.95 * only_flair * ring), masks),
        "scalp bright": (_within(images * (1 + 0.8 * ring)), masks),
        "stripped": (images * brain, masks),
        "without pre": (torch.cat([flair, flair, post], dim=1), masks),
        "without post": (torch.cat([pre, flair, flair], dim=1), masks),
        "FLAIR alone": (flair.expand(-1, 3, -1, -1), masks),
        "FLAIR and zeros": (torch.cat([zeros, flair, zeros], dim=1), masks),
        "T1s swapped": (images.flip(1), masks),
        "mirrored": (images.flip(3), masks.flip(3)),
        "gamma 0.7": (images**0.7, masks),
        "gamma 1.4": (images**1.4, masks),
        "clipped": ((1.1 * images / peak).clamp(0, 1), masks),
        "blurred": (functional.avg_pool2d(images, 3, stride=1, padding=1), masks),
    }
    return {name: ((image * 255).round() / 255, mask) for name, (image, mask) in pairs.items()}


def shrunk(images: Tensor, size: float) -> Tensor:
    """(N, C, H, W) with the picture at a fraction of its size in the middle, black around it."""
    side = images.shape[2]
    inner = round(side * size)
    small = functional.interpolate(images, size=(inner, inner), mode="bilinear", antialias=True)
    before = (side - inner) // 2
    return functional.pad(small, (before, side - inner - before) * 2)


def _within(images: Tensor) -> Tensor:
    """Each channel scaled down where it goes beyond 1."""
    return images / images.amax(dim=(2, 3), keepdim=True).clamp(min=1)
