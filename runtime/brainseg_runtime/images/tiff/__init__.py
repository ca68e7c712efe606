"""TIFF: bytes to pixels, with everything checked before a decoder sees it.

`reader` is the format's `Reader`; `tags` reads the tags that matter, `layout` finds each strip or tile in the file,
`codecs` has them decompressed by libraries, and `lzw` makes LZW data fit for libtiff. A compression is added in
`codecs`, and as a member of `layout.Compression`.

`reader`, `tags`, `layout` and `codecs` are tested by `test_tiff`, `test_odd_tiffs` and `test_corpus`.
`lzw` is tested by `test_lzw`.
"""

from brainseg_runtime.images.tiff.reader import TIFF, decode_floats

__all__ = ["TIFF", "decode_floats"]
