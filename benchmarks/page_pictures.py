"""Takes the pictures of `docs/web.md` again: `python -m benchmarks.page_pictures --study DIR`, after `make web`.

The study is one whose licence allows pictures of it, with attribution; the page's caption names it. `page-node.png`
shows made studies alone, and no model.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from PIL import Image

from benchmarks.page_equal import ROOT, WEB
from benchmarks.page_first_mask import node_program, on_one_grid

NAMES: Final = ("page-slice", "page-study", "page-warnings", "page-dark")
COLOURS: Final = 64
"""Enough for grey levels and a page's few colours, at a third of the bytes."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the pictures into docs/ and says how large they are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", type=Path, required=True, help="folder with flair.nii.gz, t1.nii.gz and t1c.nii.gz")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "deeplab", help="a bundle")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="brainseg-page-") as folder:
        made = Path(folder)
        study = on_one_grid(asked.study, made / "study")
        command = [node_program(), "tests/pictures.mjs", asked.model.resolve(), study, made]
        subprocess.run(command, cwd=WEB, check=True)
        for name in NAMES:
            target = ROOT / "docs" / f"{name}.png"
            with Image.open(made / f"{name}.png") as taken:
                taken.convert("RGB").quantize(COLOURS).save(target, optimize=True)
            sys.stdout.write(f"{target.name}: {target.stat().st_size:,} bytes\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
