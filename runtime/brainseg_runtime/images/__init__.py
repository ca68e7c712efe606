"""Image files: what can be read, how a data set is laid out, and the pictures and masks that are written.

Pixels come in through `slices` alone. It hands a file's bytes to `formats`, which knows the readers: `tiff` (with
`tiff_tags`, `tiff_layout`, `tiff_codecs` and `lzw`), `png` and `jpeg`, each a `raster.Reader`. `dataset` finds patients
and slices by name; `overlay` draws outlines.
"""

from brainseg_runtime.images.dataset import Patient, SlicePaths, scan_dataset
from brainseg_runtime.images.formats import SUFFIXES, is_image_name
from brainseg_runtime.images.slices import (
    DecodedImage,
    decode_image,
    decode_mask,
    patient_problems,
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
