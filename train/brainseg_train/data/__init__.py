"""The data set: from folders of slices to arrays at the network's size, and which patients train.

`slices` finds and reads the slices and counts what is in them. `dataset` opens a set for training by way of the `cache`
(`cache_entry` is one entry of it); `check` reads the same slices for a `check_report`. `splitting` makes a `split`,
`split_file` takes one from the user, `leakage` proves that a split leaks nothing, `persons` finds a folder's person.
`head` finds head and brain in a slice and `midline` its line of symmetry; `head_maps` keeps them in the cache for
augmentation.
`source` is what is stated about where the data comes from, `csv_table` reads the tables that a user gives.

Tested elsewhere: `splitting` and `leakage` by `test_split.py`, `cache_entry` by `test_cache.py`, `check_report` by
`test_check.py`, `csv_table` by `test_persons.py` and `test_split_file.py`.
"""
