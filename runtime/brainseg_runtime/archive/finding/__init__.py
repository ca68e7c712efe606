"""Where the studies are, found without reading pixels.

- `references`: a reference, which is what one worker takes at a time (tested by `test_sources`).
- `trees`: a folder's or a zip's studies and patients (tested by `test_sources`).
- `sources`: a folder, a Parquet or CSV list, or an fsspec address to references.
"""
