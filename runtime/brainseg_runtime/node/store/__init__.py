"""The node's memory: images, queue, results and deliveries, kept through a kill at any moment.

- `store`: `Store`, the one door; everything else here is behind it.
- `part`: what the parts begin with (tested by `test_store`).
- `folder`: `NodeFolder`, the state folder: its lock, its modes, its key.
- `database`: SQLite, one writer at a time, each step a transaction; `schema` holds the tables, and how older
  ones become them.
- `intake`: an image that arrived is moved into its study, or refused.
- `queue`: studies on their way from receiving to done or quarantined.
- `results`: the folder that an isolated process made is taken; rows of results.
- `deliveries`: each object on its way to each destination.
- `listing`: what is shown: studies, results, counts.
- `audit`: one line for each revision of a study that ended.
- `retention`: what is deleted, and when.
- `cleaning`: files and rows brought together when the store is opened.
- `faults`: refusals of the system as errors of the node (tested by `test_disk`).

The order of every step: first the files, flushed, under a name that no row has; then the row, in one transaction; then
what the row no longer names is removed. A kill in between leaves files that no row names, and opening removes them.
"""
