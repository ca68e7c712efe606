"""Image files: what can be read, how a data set is laid out, and the pictures and masks that are written.

Pixels come in through `slices` alone, which hands a file's bytes to the reader of its format; `finder` finds patients
and slices by name (`names`, `pairing`, `litter`), `dataset` says what makes them a data set, `reading` reads slices
ahead and collects their faults; `overlay` draws outlines.
"""

from brainseg_runtime.images.dataset import Patient, SlicePaths, scan_dataset
from brainseg_runtime.images.formats import SUFFIXES, is_image_name
from brainseg_runtime.images.reading import patient_problems
from brainseg_runtime.images.slices import (
    DecodedImage,
    decode_image,
    decode_mask,
    read_image,
    read_mask,
    read_slice,
    write_mask,
)

__all__ = [
    "SUFFIXES",
    "DecodedImage",
    "Patient",
    "SlicePaths",
    "decode_image",
    "decode_mask",
    "is_image_name",
    "patient_problems",
    "read_image",
    "read_mask",
    "read_slice",
    "scan_dataset",
    "write_mask",
]
