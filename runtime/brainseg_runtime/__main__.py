"""`python -m brainseg_runtime`: the `brainseg` command where no script of that name is on the path."""

from __future__ import annotations

from brainseg_runtime.cli import main

if __name__ == "__main__":
    main()
