"""Who has references worked on.

- `engine`: what an engine is, and its crew of workers (tested by `test_local`).
- `server`: the process of a local worker (tested by `test_local`).
- `local`: as many processes as pay on this machine.
- `ray_engine`: Ray Data, one loaded model an actor.
"""
