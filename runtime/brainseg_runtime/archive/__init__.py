"""Many studies: each once, by what its pixels are, on as many workers as there are, with a row for each.

A run goes through them in this order:

- `references`, `trees`, `sources`: a folder, a list or an address to references, found without reading pixels
  (`references` and `trees` are tested by `test_sources`).
- `rows`, `identity`, `measures`: what is said of a study, what it is known by, and what is measured on its mask (`rows`
  and `identity` are tested by `test_ledger` and `test_work`; `measures` by `test_work`).
- `job`, `units`, `of_slices`, `of_studies`, `work`: one reference to its rows and objects, the same on every engine
  (`job`, `units`, `of_slices` and `of_studies` are tested by `test_work`).
- `engines`, `server`, `local`, `ray_engine`: who has the work done (`engines` and `server` are tested by `test_local`).
- `lines`, `ledger`, `counts`, `drive`: answers taken over one by one, what an earlier run did, and counts that add up
  (`lines` is tested by `test_ledger`, `drive` by `test_local`).
- `tables`, `outliers`, `figures`, `summary`, `page`: the archive as a table, in figures, and to be read (`summary` and
  `page` are tested by `test_archive`).
- `run`: all of it (tested by `test_archive`).

Ray, pyarrow and fsspec come with the extra `archive` and are imported where they are used; the local engine needs none
of them.
"""
