"""TIFF: bytes to pixels, with everything checked before a decoder sees it.

`reader` is the format's `Reader`; `tags` reads the tags that matter, `layout` finds each strip or tile in the file,
`codecs` has them decompressed by libraries, and `lzw` makes LZW data fit for libtiff. A compression is added in
`codecs`, and as a member of `layout.Compression`.

All are tested in tests/runtime/images: by test_tiff, test_odd_tiffs, test_writers and test_lzw.
"""

from brainseg_runtime.images.tiff.reader import TIFF, decode_floats

__all__ = ["TIFF", "decode_floats"]
