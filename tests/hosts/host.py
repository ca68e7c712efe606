"""Programs in other languages that run a bundle, and how the tests start them."""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import onnxruntime

ROOT: Final = Path(__file__).resolve().parents[2]
SECONDS: Final = 120
"""Most that one run may take: a few slices, on a machine that has other work too."""

Slices: TypeAlias = tuple[Path, tuple[int, int, int]]
"""A file of (N, H, W, 3) uint8, and N, H, W."""


@dataclass(frozen=True)
class Ran:
    """How a host ended."""

    code: int
    out: str
    err: str

    def json(self) -> dict[str, Any]:
        """What it wrote to standard output, which holds one JSON object and nothing else."""
        found: dict[str, Any] = json.loads(self.out)
        return found


@dataclass(frozen=True)
class Host:
    """A host that is built and can be started."""

    name: str
    """As its JSON says it: ``cpp``, ``csharp``, ``java`` or ``node``."""
    command: tuple[str, ...]
    """Starts it, without its arguments."""

    def segment(
        self,
        bundle: Path,
        slices: tuple[Path, tuple[int, int, int]],
        mask: Path,
        *more: object,
        folder: Path | None = None,
    ) -> Ran:
        """Have it write the masks of slices, and report as JSON."""
        path, (count, height, width) = slices
        sizes = ("--slices", count, "--height", height, "--width", width)
        return self(bundle, "--image", path, *sizes, "--mask", mask, *more, "--json", folder=folder)

    def __call__(self, *arguments: object, folder: Path | None = None) -> Ran:
        """Run it to its end in a folder, or in an empty one, so that no relative path leads into the repository."""
        with tempfile.TemporaryDirectory() as empty:
            done = subprocess.run(
                [*self.command, *map(str, arguments)],
                cwd=folder or empty,
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
            )
            left = list(Path(empty).iterdir())
        assert not left, f"written where nothing was asked for: {left}"
        return Ran(done.returncode, done.stdout, done.stderr)


def library() -> Path:
    """The shared library of onnxruntime in its Python wheel, which any language can open.

    Raises:
        FileNotFoundError: The wheel is laid out in another way.
    """
    folder = Path(onnxruntime.__file__).parent / "capi"
    for pattern in ("libonnxruntime.so.*", "libonnxruntime.*.dylib", "onnxruntime.dll"):
        for found in sorted(folder.glob(pattern)):
            return found
    raise FileNotFoundError(f"no library of onnxruntime in {folder}")
