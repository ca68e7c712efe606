"""A generated data set in the `kaggle_3m` layout: drawn heads, imaged by four scanners.

It replaces the real set where that is not at hand. It shows that the software works; it says nothing about patients.

Legend: N slices, H rows, W columns.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from brainseg_runtime.safe_io.files import replace_folder, write_json
from brainseg_train.errors import PhantomError
from brainseg_train.phantom.anatomy import Head, draw_head, smooth_field

MARK = "phantom.json"
"""The file that marks a folder as a phantom."""

_DATE = "20000101"
_SITES = ("P1", "P2", "P1", "P3", "P2", "P1", "P3", "P1", "P2", "P4")
"""The sites of ten patients, repeated: four, three, two and one of them."""


@dataclass(frozen=True, kw_only=True)
class Scanner:
    """How one site's scanner images a head."""

    gain: tuple[float, float, float]
    """Brightness of pre-contrast, FLAIR, post-contrast."""
    gamma: tuple[float, float, float]
    """Contrast: the signal is raised to this power."""
    noise: float
    """Standard deviation of the noise in each of the two receiver channels, as a fraction of full scale."""
    bias: float
    """Strength of the slow brightness change across the head (standard deviation of its logarithm, about)."""


SCANNERS = {
    "P1": Scanner(gain=(1.00, 1.00, 1.00), gamma=(1.00, 1.00, 1.00), noise=0.025, bias=0.15),
    "P2": Scanner(gain=(0.85, 0.90, 0.95), gamma=(1.25, 0.85, 1.15), noise=0.040, bias=0.25),
    "P3": Scanner(gain=(1.10, 0.80, 1.00), gamma=(0.80, 1.15, 0.90), noise=0.035, bias=0.30),
    "P4": Scanner(gain=(0.95, 1.05, 0.85), gamma=(1.10, 1.00, 0.75), noise=0.055, bias=0.20),
}


@dataclass(frozen=True, kw_only=True)
class PhantomPatient:
    """One generated patient."""

    id: str
    images: NDArray[np.uint8]
    """(N, H, W, 3): pre-contrast, FLAIR, post-contrast."""
    masks: NDArray[np.uint8]
    """(N, H, W), 0 or 1."""


def make_patient(index: int, seed: int, *, slices: tuple[int, int] = (20, 40), side: int = 256) -> PhantomPatient:
    """Generate one patient; the same arguments give the same bytes, however many patients there are.

    Args:
        index: Which patient, from 0; site and missing sequences follow from it.
        seed: Which phantom, from 0.
        slices: Fewest and most slices.
        side: Rows and columns, even, pixels.

    Raises:
        PhantomError: An argument is out of range.

    Examples:
        >>> patient = make_patient(0, seed=7, slices=(2, 2), side=32)
        >>> patient.id, patient.images.shape, patient.masks.shape
        ('TCGA_P1_0001_20000101', (2, 32, 32, 3), (2, 32, 32))
    """
    _check(index, seed, slices, side)
    rng = np.random.default_rng(np.random.SeedSequence([seed, index]))
    count = int(rng.integers(slices[0], slices[1] + 1))
    head = draw_head(rng, count, side // 2)
    site = _SITES[index % len(_SITES)]
    images = _scan(rng, head, SCANNERS[site])
    # As in the real set, FLAIR replaces a missing sequence, and who lacks the first lacks the last too.
    if index % 8 == 3:
        images[..., 2] = images[..., 1]
    if index % 16 == 11:
        images[..., 0] = images[..., 1]
    masks = (_double(head.lesion) > 0.0).astype(np.uint8)
    return PhantomPatient(id=f"TCGA_{site}_{index + 1:04d}_{_DATE}", images=images, masks=masks)


def write_phantom(
    out: Path,
    *,
    patients: int,
    seed: int = 0,
    slices: tuple[int, int] = (20, 40),
    side: int = 256,
    on_patient: Callable[[int, int], None] | None = None,
) -> Path:
    """Write a phantom, whole or not at all.

    Args:
        out: Folder of the data set; an older phantom there is replaced, anything else is an error.
        patients: How many, at least 1.
        seed: Which phantom, from 0.
        slices: Fewest and most slices of a patient.
        side: Rows and columns, even, pixels.
        on_patient: Called with the number of patients written and of all.

    Returns:
        `out`.

    Raises:
        PhantomError: An argument is out of range, or `out` holds something that is not a phantom.
        FileWriteError: A file could not be written.
    """
    out = Path(out)
    check_phantom(out, patients, seed, slices, side)
    with replace_folder(out) as folder:
        with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
            jobs = [pool.submit(_write_patient, folder, index, seed, slices, side) for index in range(patients)]
            try:
                for done, job in enumerate(jobs, start=1):
                    job.result()
                    if on_patient is not None:
                        on_patient(done, patients)
            finally:
                pool.shutdown(cancel_futures=True)
        mark = {"phantom": 1, "patients": patients, "seed": seed, "slices": list(slices), "side": side}
        write_json(folder / MARK, mark)
    return out


def check_phantom(out: Path, patients: int, seed: int, slices: tuple[int, int], side: int) -> None:
    """Refuse arguments of a phantom that are out of range, and a folder that holds something else.

    Args:
        out: Where it is to be written.
        patients: How many.
        seed: Which phantom.
        slices: Fewest and most slices of a patient.
        side: Rows and columns, pixels.

    Raises:
        PhantomError: An argument is out of range, or `out` holds something that is not a phantom.
    """
    if patients < 1:
        raise PhantomError("a phantom cannot be made", expected="at least 1 patient", got=patients)
    _check(patients - 1, seed, slices, side)
    if out.exists() and not (out / MARK).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise PhantomError(
            f"{out} holds something else and is not replaced",
            expected="nothing, an empty folder or a phantom",
            got="a folder without phantom.json, or a file",
            remedy="name another folder",
        )


def _check(index: int, seed: int, slices: tuple[int, int], side: int) -> None:
    """Refuse arguments that are out of range."""
    if index < 0 or index > 9998:
        raise PhantomError("a phantom patient cannot be made", expected="an index from 0 to 9998", got=index)
    if seed < 0:
        raise PhantomError("a phantom cannot be made", expected="a seed of at least 0", got=seed)
    if not 1 <= slices[0] <= slices[1] <= 1000:
        raise PhantomError("a phantom cannot be made", expected="1 to 1000 slices, fewest first", got=slices)
    if side % 2 or not 32 <= side <= 2048:
        raise PhantomError("a phantom cannot be made", expected="an even side from 32 to 2048 pixels", got=side)


def _scan(rng: np.random.Generator, head: Head, scanner: Scanner) -> NDArray[np.uint8]:
    """(N, H, W, 3) at twice the head's resolution: contrast, bias field, Rician noise, full scale at 99.5 %.

    Source: Gudbjartsson and Patz, The Rician Distribution of Noisy MRI Data, 1995.
    """
    channels = []
    for signal, gain, gamma in zip(head.signal, scanner.gain, scanner.gamma, strict=True):
        bias = np.exp(scanner.bias * smooth_field(rng, (2, 3, 3), signal.shape))
        clean = gain * rng.uniform(0.95, 1.05) * np.clip(signal, 0.0, None) ** gamma * bias
        noisy = np.stack([_add_noise(rng, one, scanner.noise) for one in _double(clean)])
        noisy *= np.float32(255.0) / np.quantile(noisy[:, ::4, ::4], 0.995)
        channels.append(np.clip(np.rint(noisy), 0.0, 255.0).astype(np.uint8))
    return np.stack(channels, axis=-1)


def _add_noise(rng: np.random.Generator, clean: NDArray[np.float64], noise: float) -> NDArray[np.float32]:
    """Magnitude of a signal with normal noise in both receiver channels; a slice at a time stays in the cache."""
    real, imaginary = rng.standard_normal((2, *clean.shape), dtype=np.float32) * np.float32(noise)
    real += clean.astype(np.float32)
    magnitude: NDArray[np.float32] = np.sqrt(real * real + imaginary * imaginary)
    return magnitude


def _double(field: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, h, w) to (N, 2 h, 2 w), bilinear with half-pixel centres."""
    for axis in (1, 2):
        along = np.moveaxis(field, axis, 0)
        doubled = np.empty((*field.shape[:axis], 2 * field.shape[axis], *field.shape[axis + 1 :]))
        target = np.moveaxis(doubled, axis, 0)
        before, after = np.concatenate([along[:1], along[:-1]]), np.concatenate([along[1:], along[-1:]])
        target[0::2] = 0.75 * along + 0.25 * before
        target[1::2] = 0.75 * along + 0.25 * after
        field = doubled
    return field


def _write_patient(folder: Path, index: int, seed: int, slices: tuple[int, int], side: int) -> None:
    """Generate a patient and write its folder of image and mask files, numbered from 1."""
    patient = make_patient(index, seed, slices=slices, side=side)
    home = folder / patient.id
    home.mkdir()
    for number, (image, mask) in enumerate(zip(patient.images, patient.masks, strict=True), start=1):
        stem = f"{patient.id}_{number}"
        tifffile.imwrite(home / f"{stem}.tif", image, photometric="rgb", metadata=None)
        tifffile.imwrite(home / f"{stem}_mask.tif", mask * np.uint8(255), photometric="minisblack", metadata=None)
