"""Image files: what can be read, how patients and slices are found, and the files that are written.

Pixels come in one way: `slices` hands a file's bytes to the reader of its format (`formats` lists them: `tiff`, `png`,
`jpeg`; `raster` says what a reader is). `finder` finds patients and slices by their names (`names`, `pairing`),
`dataset` says what makes them a data set, and `reading` reads slices ahead and collects what is wrong with them; every
command goes through these. On the way out `writers` lists what is written: masks (`masks`), probability maps
(`probability_map`) and outlines (`overlay`).

To add a format, write its `Reader` and list it in `formats`. To add a kind of file that is written, list it in
`writers`.

`exif`, `libraries`, `masks` and `raster` are tested by `test_slices`, `test_png` and `test_jpeg`.
`pairing` is tested by `test_finder`. `writers` is tested by `test_predict`.
"""

from brainseg_runtime.images.dataset import Patient, SlicePaths, scan_dataset
from brainseg_runtime.images.formats import SUFFIXES, is_image_name
from brainseg_runtime.images.masks import write_mask
from brainseg_runtime.images.reading import patient_problems, read_slice
from brainseg_runtime.images.slices import DecodedImage, decode_image, decode_mask, read_image, read_mask

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
