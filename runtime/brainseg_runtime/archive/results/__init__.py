"""All rows as a table, in figures, and to be read.

- `tables`: Parquet or CSV, and the quarantine.
- `outliers`: the studies to look at first.
- `figures`: distributions, by site and by scanner.
- `summary`: `archive.json`, field by field (tested by `test_archive`).
- `page`: `archive.html` (tested by `test_archive`).
"""
