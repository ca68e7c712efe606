"""A node's workers: one study at a time each, in a process of its own, so that a bad study cannot take the node down.

- `worker`: a thread that claims studies, has its process segment them, and says how it ended.
- `server`: the process's side: loads the bundle, then answers for each folder of images.
- `partial`: whether FLAIR shows a part of a head only, whose result is withheld.
- `advice`: what helps, said so that a node's user can do it.
- `disk_faults`: what the disk refuses is told apart from what a study is at fault for.
- `requests`: what crosses the pipe (tested by `test_worker`).
- `scrubbing`: what identifies a patient is taken out of texts before they leave the process.
"""
