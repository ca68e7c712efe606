"""How often the guard of studies warns: on real patients as they are, and on the same patients with a made fault.

    python -m benchmarks.guard_rates DATA [--every 1] [--faulty 6]

DATA is a folder of patients in the `kaggle_3m` layout, whose slices are the frame already. Prints the table of
docs/guard.md.

Legend: N slices, H rows, W columns.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.images import read_image
from brainseg_runtime.images.dataset import scan_dataset
from brainseg_runtime.images.slices import read_mask
from brainseg_runtime.studies.guard.checks import inspect_study
from brainseg_runtime.studies.guard.measures import depths
from brainseg_runtime.studies.head import inside_head

Images = NDArray[np.uint8]


def fat_suppressed(images: Images) -> Images:
    """FLAIR with the scalp at a fifth of its brightness."""
    return _at_the_edge(images, 14, 0.2, channels=(1,))


def skull_stripped(images: Images) -> Images:
    """All sequences without scalp and skull."""
    return _at_the_edge(images, 22, 0.0, channels=(0, 1, 2))


def _at_the_edge(images: Images, depth: int, factor: float, channels: tuple[int, ...]) -> Images:
    """Brightness changed within a depth from the head's edge."""
    made = images.copy()
    edge = depths(inside_head(images[..., 1].astype(np.float32)), depth + 1) <= depth
    for channel in channels:
        made[..., channel][edge] = made[..., channel][edge] * factor
    return made


def saturated(images: Images) -> Images:
    """Six times as bright."""
    return np.minimum(images.astype(np.uint16) * 6, 255).astype(np.uint8)


def shrunk(images: Images) -> Images:
    """The head at half its size, in the frame's middle."""
    made = np.zeros_like(images)
    made[:, 64:192, 64:192] = images[:, ::2, ::2]
    return made


def cut_off(images: Images) -> Images:
    """The head moved sideways by a third of the frame."""
    made = np.zeros_like(images)
    made[:, :, 85:] = images[:, :, :-85]
    return made


def moved(images: Images) -> Images:
    """The T1s 25 pixels away from FLAIR."""
    made = images.copy()
    for channel in (0, 2):
        made[..., channel] = np.roll(images[..., channel], (25, 25), axis=(1, 2))
    return made


def half_covered(images: Images) -> Images:
    """T1 before contrast in the upper half of the slices only."""
    made = images.copy()
    made[: len(images) // 2, ..., 0] = 0
    return made


def jumping(images: Images) -> Images:
    """Every second slice moved by 30 pixels."""
    made = images.copy()
    made[::2] = np.roll(images[::2], 30, axis=1)
    return made


def emptied(images: Images) -> Images:
    """Every third slice of FLAIR without content, as from files that were decoded in part."""
    made = images.copy()
    made[1::3, ..., 1] = 0
    return made


def two_legs(images: Images) -> Images:
    """The head pressed to half its width, twice side by side."""
    half = images[:, :, ::2]
    return np.concatenate([half, half], axis=2)


def rod(images: Images) -> Images:
    """The head pressed to half its width, as a neck or a sagittal slab is."""
    made = np.zeros_like(images)
    made[:, :, 64:192] = images[:, :, ::2]
    return made


FAULTS: Final[Mapping[str, tuple[str, Callable[[Images], Images]]]] = {
    "FLAIR and T1 before contrast exchanged": ("sequence order", lambda images: images[..., [1, 0, 2]]),
    "FLAIR and T1 after contrast exchanged": ("sequence order", lambda images: images[..., [0, 2, 1]]),
    "a T1 in all three places": ("sequence order", lambda images: images[..., [0, 0, 0]]),
    "scalp dark on FLAIR": ("fat-suppressed scalp", fat_suppressed),
    "scalp and skull removed": ("skull-stripped", skull_stripped),
    "six times as bright": ("saturation", saturated),
    "head at half its size": ("field of view", shrunk),
    "head cut off": ("field of view", cut_off),
    "two legs": ("field of view", two_legs),
    "a rod": ("no axial head", rod),
    "T1s moved by 25 pixels": ("alignment", moved),
    "T1 in half the slices": ("coverage", half_covered),
    "every second slice moved": ("motion", jumping),
    "every third slice of FLAIR empty": ("empty slices", emptied),
    "inverted": ("bright background", lambda images: 255 - images),
}
"""What each fault is, the check that should see it, and how it is made."""

MASKS: Final[Mapping[str, tuple[str, Callable[[NDArray[np.bool_]], NDArray[np.bool_]]]]] = {
    "all of the brain in three slices": ("implausible mask", lambda deep: deep & (_middle(deep) < 2)),
    "fifty spots": ("scattered mask", lambda deep: deep & _spots(deep.shape)),
}
"""Made masks, from the brain."""


def _middle(deep: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Distance of each slice from the middle one, (N, 1, 1)."""
    return np.abs(np.arange(len(deep)) - len(deep) // 2)[:, None, None]


def _spots(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Squares of 6 x 6 pixels, 16 apart, in every third slice."""
    n, rows, columns = np.indices(shape)
    return np.asarray((rows % 16 < 6) & (columns % 16 < 6) & (n % 3 == 0))


def names(warnings: tuple[str, ...]) -> set[str]:
    """The checks that warned."""
    return {warning.partition(":")[0] for warning in warnings}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--every", type=int, default=1, help="of the patients as they are, take every Nth")
    parser.add_argument("--faulty", type=int, default=6, help="of the patients with a made fault, take every Nth")
    options = parser.parse_args()
    alarms: Counter[str] = Counter()
    hits: Counter[str] = Counter()
    others: Counter[str] = Counter()
    whole = faulty = 0
    for number, patient in enumerate(scan_dataset(options.data)):
        images = np.stack([read_image(each.image) for each in patient.slices])
        truth = np.stack([read_mask(each.mask) for each in patient.slices if each.mask is not None])
        if number % options.every == 0:
            whole += 1
            alarms.update(names(inspect_study(images, mask=truth)))
        if number % options.faulty == 0:
            faulty += 1
            expected = names(inspect_study(images))
            for name, (check, make) in FAULTS.items():
                found = names(inspect_study(make(images)))
                hits[name] += check in found
                others[name] += bool(found - expected)
            deep = depths(inside_head(images[..., 1].astype(np.float32)), 30) >= 30
            for name, (check, mark) in MASKS.items():
                hits[name] += check in names(inspect_study(images, mask=mark(deep).view(np.uint8)))
    print(f"{whole} patients as they are, {faulty} with each made fault\n")  # noqa: T201
    print("| check | warns on patients as they are |\n|---|---|")  # noqa: T201
    for check in sorted({check for check, _ in (*FAULTS.values(), *MASKS.values())} | set(alarms)):
        print(f"| {check} | {alarms[check]} of {whole} |")  # noqa: T201
    print("\n| made fault | the check that should see it | it did | any new warning |\n|---|---|---|---|")  # noqa: T201
    for name, (check, _) in (*FAULTS.items(), *MASKS.items()):
        any_new = f"{others[name]} of {faulty}" if name in FAULTS else "-"
        print(f"| {name} | {check} | {hits[name]} of {faulty} | {any_new} |")  # noqa: T201


if __name__ == "__main__":
    main()
