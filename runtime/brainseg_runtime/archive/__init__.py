"""Many studies: each once, by what its pixels are, on as many workers as there are, with a row for each.

A run goes through the rooms in this order:

- `finding`: a folder, a list or an address to references, found without reading pixels.
- `working`: one reference to its rows and objects, the same on every engine.
- `engines`: who has the work done: processes of this machine, or Ray's.
- `ledger`: answers taken over one by one, what an earlier run did, and counts that add up.
- `results`: the archive as a table, in figures, and to be read.
- `run`: all of it (tested by `test_archive`).

Ray, pyarrow and fsspec come with the extra `archive` and are imported where they are used; the local engine needs none
of them.
"""
