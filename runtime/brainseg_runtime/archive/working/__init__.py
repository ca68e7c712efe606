"""One reference to its rows and objects; engines differ in nothing of this.

- `rows`: what is said of a study, and an answer to a reference (tested by `test_ledger` and `test_work`).
- `identity`: what a study is known by (tested by `test_ledger` and `test_work`).
- `measures`: what is measured on its mask (tested by `test_work`).
- `job`: what to do with every reference; `units`: what is segmented at a time (both tested by `test_work`).
- `of_slices`, `of_studies`: the two kinds of unit (tested by `test_work`).
- `work`: a reference, with its tries.
"""
