"""A command's patients: found, or generated if none are given, and read with progress."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from brainseg_runtime.errors import DataError
from brainseg_runtime.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from brainseg_runtime.terminal.console import Advance, Console

DEFAULT_DATA: Final = Path("data/kaggle_3m")
"""Where real patients are looked for."""

PHANTOM: Final = "phantom"
"""The value of --data for generated patients."""

PHANTOM_PATIENTS: Final = 40
"""Six of them validate and six test; with thirty, four of each, one odd patient decides the order."""


def find_patients(console: Console, data: str | None, cache: Path | None) -> Path:
    """The folder of patients, generated where need be.

    Args:
        console: Told where generated patients stand in.
        data: The value of `--data`.
        cache: The folder for generated patients; None for the user's cache folder.

    Raises:
        DataError: The folder does not exist.
    """
    if data is not None and data != PHANTOM:
        root = Path(data)
        if not root.is_dir():
            raise DataError(f"{root} does not exist", expected="a folder of patient folders", got="none")
        return root
    if data is None:
        if DEFAULT_DATA.is_dir():
            return DEFAULT_DATA
        console.note(
            f"{DEFAULT_DATA} does not exist; using generated patients (the phantom) instead. "
            "Give a folder of patients with --data."
        )
    return _phantom(console, cache)


def generate_patients(console: Console, out: Path, patients: int, seed: int, *, as_dicom: bool = False) -> None:
    """Generates patients with progress.

    Args:
        console: Shows the progress.
        out: The folder.
        patients: How many.
        seed: Which phantom.
        as_dicom: As DICOM studies instead of slices.

    Raises:
        PhantomError: OUT holds something else.
        MissingExtraError: `as_dicom` without pydicom.
    """
    from brainseg_train.phantom.dicom import write_phantom_studies
    from brainseg_train.phantom.patients import write_phantom

    write = write_phantom_studies if as_dicom else write_phantom
    with console.progress("patients generated", patients) as advance:
        write(out, patients=patients, seed=seed, on_patient=lambda _done, _all: advance())


@contextlib.contextmanager
def slices_read(console: Console) -> Iterator[Callable[[int, int], None]]:
    """A function to call with the numbers of slices read and to read; progress is shown from the first call on."""
    with contextlib.ExitStack() as shown:
        advance: Advance | None = None

        def on_slice(_done: int, total: int) -> None:
            nonlocal advance
            if advance is None:
                advance = shown.enter_context(console.progress("slices read", total))
            advance()

        yield on_slice


def _phantom(console: Console, cache: Path | None) -> Path:
    """The generated patients in the cache folder, made the first time."""
    from brainseg_train.data.dataset import default_cache_folder

    folder = (cache or default_cache_folder()) / f"phantom-{__version__}-{PHANTOM_PATIENTS}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        generate_patients(console, folder, PHANTOM_PATIENTS, 0)
    return folder
