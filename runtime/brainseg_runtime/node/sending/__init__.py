"""A node's senders: results to their destinations, each object until it is accepted, refused for good, or given up.

- `sender`: a thread for each destination: what is due, in order; retries with growing pauses.
- `channel`: what a sender needs of a way to a destination, and how an attempt can end (tested by `test_sender`).
- `dimse`: C-STORE, with C-FIND for what may have arrived already; `hanging_up` closes its connections.
- `stow`: STOW-RS, with QIDO-RS for the same.
- `commitment`: storage commitment, asked for.
- `reaching`: whether destinations answer, before the node is started.

An object always goes out as the bytes that its file holds, under the same UID, so that an archive that has it already
keeps one. A further kind of destination is a module here with a `Channel`, entered in `sender.open_channel`.
"""
