"""Images arrive: by DIMSE, by STOW-RS, or fetched from a PACS by QIDO-RS and WADO-RS; all take one way to the store.

`scp` is the DICOM listener; `admission` says who is let in, `guarded` keeps a hostile or broken peer from stopping the
library's associations, and `messages` lets a data set flow to the disk while it arrives. `stow` takes bodies over HTTP
and `stow_answer` answers; `fetching` asks a PACS for a study; of both, `multipart` takes the body apart as it arrives
and `parts` takes the images in it. What arrives is an `image_file`, whose identifiers `identity` reads and of which
`wholeness` says whether it is cut off; `taking` decides about it and hands it to the store. `classes` says what is
taken.

Nothing here trusts a peer: sizes are capped before the disk, no name from outside becomes a path, and nothing that
identifies a patient gets into a message. A new way for images to arrive ends in `taking.Intake.take`.

`classes` is tested by `test_scp`, `image_file` and `identity` by `test_taking`, `messages`
by `test_guarded`, `parts` and `stow_answer` by `test_stow`.
"""
