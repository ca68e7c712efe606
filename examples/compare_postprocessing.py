"""Which post-processing would help at a site: mean volume Dice of each, on patients whose masks are known.

    python examples/compare_postprocessing.py models/deeplab data/kaggle_3m [PATIENT ...]

Post-processing is off by default, since it can remove a second lesion: measure its effect on your own patients
before you use it. Without names, all patients in the folder are used.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime import BrainsegError, PostProcessing, Segmenter, VolumePrediction
from brainseg_runtime.images import Patient, read_slice, scan_dataset
from brainseg_runtime.metrics import count, dice

Choice = Callable[[VolumePrediction], NDArray[np.uint8]]
"""From a volume to its masks, (N, H, W) uint8 of 0 and 1."""

AT_LEAST = (100, 300, 1000)
"""Smallest components that are kept, in voxels; a voxel of `kaggle_3m` has about 0.004 mL."""


def neighbours(fraction: float, threshold: float) -> Choice:
    """Masks after this fraction of each neighbouring slice's probability has been mixed in."""

    def masks(volume: VolumePrediction) -> NDArray[np.uint8]:
        probability = volume.probability
        padded = np.concatenate([probability[:1], probability, probability[-1:]])
        mixed = (1 - 2 * fraction) * probability + fraction * (padded[:-2] + padded[2:])
        return np.asarray(mixed >= threshold, dtype=np.uint8)

    return masks


def choices(threshold: float) -> Mapping[str, Choice]:
    """What is compared, by name; the first is the default."""
    largest = PostProcessing(largest_component=True)
    mixed = neighbours(0.15, threshold)
    small = {
        f"without components below {count} voxels": lambda volume, count=count: PostProcessing(min_voxels=count).apply(
            volume.mask
        )
        for count in AT_LEAST
    }
    return {
        "as predicted": lambda volume: volume.mask,
        **small,
        "largest component": lambda volume: largest.apply(volume.mask),
        "15 % of each neighbouring slice": mixed,
        "25 % of each neighbouring slice": neighbours(0.25, threshold),
        "15 % of each, then the largest": lambda volume: largest.apply(mixed(volume)),
    }


def compare(segmenter: Segmenter, patients: list[Patient]) -> dict[str, NDArray[np.float64]]:
    """Volume Dice of each patient, by choice."""
    offered = choices(segmenter.info.provenance.threshold or 0.5)
    found: dict[str, list[float]] = {name: [] for name in offered}
    for patient in patients:
        pairs = [read_slice(paths) for paths in patient.slices]
        truth = np.stack([mask for _, mask in pairs])
        volume = segmenter.predict_volume([image for image, _ in pairs])
        for name, masks in offered.items():
            found[name].append(dice(count(masks(volume), truth)))
    return {name: np.array(scores) for name, scores in found.items()}


def main(arguments: list[str]) -> int:
    """Print the comparison; returns 1 if something cannot be read, 2 for wrong usage."""
    if len(arguments) < 2:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    bundle, data, *names = arguments
    try:
        patients = [one for one in scan_dataset(Path(data)) if not names or one.id in names]
        missing = sorted(set(names) - {one.id for one in patients})
        if missing:
            sys.stderr.write(f"{data} has no patient {', '.join(missing)}\n")
            return 1
        found = compare(Segmenter.load(bundle), patients)
    except BrainsegError as fault:
        sys.stderr.write(f"{fault}\n")
        return 1
    default = next(iter(found.values()))
    sys.stdout.write(f"{len(patients)} patients, mean Dice of a volume, and its change with standard error\n")
    for name, scores in found.items():
        change = scores - default
        error = change.std(ddof=1) / np.sqrt(len(change)) if len(change) > 1 else float("nan")
        sys.stdout.write(f"{scores.mean():.4f}  {change.mean():+.4f} ± {error:.4f}  worst {scores.min():.3f}  {name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
