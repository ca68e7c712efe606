"""A node beside a PACS: images arrive, studies are segmented, results go back, and nobody touches it (extra `node`).

- `config`: the settings, one TOML file; `records`: what the parts hand to each other (tested by `test_store`).
- `extra`: the libraries, which are all there or the node does not start.
- `tls`: contexts for both sides of a connection; `dicomweb`: sessions with a DICOMweb service (tested by
  `sending/test_stow`); `commitment_answer`: what a PACS says of storage commitment (tested by
  `tests/runtime/node/receiving/test_scp` and `sending/test_commitment`).
- `watching`: the log, the HTTP application and its metrics.
- `store`: images, queue, results and deliveries on the disk, through a kill at any moment.
- `receiving`: images arrive, by DIMSE, STOW-RS or fetched.
- `working`: studies are segmented, each in an isolated process.
- `sending`: results go to their destinations.
- `heap`: memory that does not grow over weeks.
- `keeper`: what the clock demands; `service_manager`: what systemd is told.
- `node`: all of it, started in order and stopped in order; `leaving`: the process's end.
- `check`: whether a node would start, and its destinations answer (tested by `test_serve`).
- `asking`: a running node asked over HTTP (tested by tests/runtime/commands/test_node).
- `fetch_route`: the route for a study that is to be fetched (tested by tests/runtime/commands/test_node).

The way of a study: `receiving` writes an image into `store`'s folder and hands it over as an `Arrival`; `keeper` calls
the study complete once it is quiet; a worker claims it as `Work`, and its process makes a `MadeResult` of it; `store`
takes the result and queues a `Delivery` for each object and destination; a sender sends them until each is accepted.

A way for images to arrive is added in `receiving`, a kind of destination in `sending`, what is shown in `watching`.
"""
