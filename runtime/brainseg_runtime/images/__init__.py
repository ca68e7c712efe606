"""Image files: what can be read, how a data set is laid out, and the pictures and masks that are written.

Pixels come in through `slices` alone, which hands a file's bytes to the reader of its format; `dataset` finds patients
and slices by name; `overlay` draws outlines.
"""

from brainseg_runtime.images.dataset import Patient, SlicePaths, scan_dataset
from brainseg_runtime.images.slices import (
    DecodedImage,
    decode_image,
    patient_problems,
    read_image,
    read_mask,
    read_slice,
    write_mask,
)

__all__ = [
    "DecodedImage",
    "Patient",
    "SlicePaths",
    "decode_image",
    "patient_problems",
    "read_image",
    "read_mask",
    "read_slice",
    "scan_dataset",
    "write_mask",
]
