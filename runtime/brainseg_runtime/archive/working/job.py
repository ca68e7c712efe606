"""What a run asks of every worker: the same on every engine, and on every machine of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

from brainseg_runtime.errors import ArgumentError
from brainseg_runtime.images.writers import WRITERS
from brainseg_runtime.isolation.messages import LoadRequest
from brainseg_runtime.safe_io.typed_json import Between

OF_SLICES: Final = tuple(WRITERS)
OF_STUDIES: Final = ("seg", "sr", "sc", "rtstruct", "nifti", "preview")
KINDS: Final = (*OF_SLICES, *OF_STUDIES)
"""What can be written, for slices and for studies."""

TRIES: Final = 3
"""How often a reference is begun before the workers that it cost count as its own fault."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What decides the rows and objects besides the studies and the bundle.

    Attributes:
        write: Kinds of objects; each study gets those that fit it.
        threshold: Probability from which a voxel is marked; None: the bundle's own.
        register: Whether a study's T1s are brought onto FLAIR by what they show.
        spacing_mm: Of slices, whose files say none: pixel width and height, slice distance.
    """

    write: tuple[str, ...] = ()
    threshold: float | None = None
    register: bool = True
    spacing_mm: tuple[float, float, float] | None = None

    @property
    def in_words(self) -> Mapping[str, str]:
        """By name, so that settings differ if and only if a word does."""
        return {
            "write": ",".join(self.write) or "nothing",
            "threshold": "the bundle's own" if self.threshold is None else repr(self.threshold),
            "register": "yes" if self.register else "no",
            "spacing": "none" if self.spacing_mm is None else " ".join(map(repr, self.spacing_mm)),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Preview:
    """A picture to make.

    Attributes:
        name: Of the study within its reference.
        slice: Index of the slice to show, where one is shown.
    """

    name: str
    slice: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What workers are told.

    Attributes:
        work: Folder in OUT where each reference has its attempts; every worker must reach it.
        bundle: Digest of the bundle.
        settings: What to compute and write.
        deadline: Seconds that one reference may take.
        previews: By reference, the study of which a picture is made instead; empty: the whole work.
    """

    work: Path
    bundle: str
    settings: Settings
    deadline: Annotated[float, Between(0, 86400)]
    previews: Mapping[str, Preview] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Crew:
    """The workers.

    Attributes:
        load: The model that each loads.
        count: How many.
        address: Of a Ray cluster; None: this machine.
    """

    load: LoadRequest
    count: int
    address: str | None = None


def check_write(text: str | None) -> tuple[str, ...]:
    """The kinds that an option names, each once, in the order of `KINDS`.

    Args:
        text: Names with commas between; None for none.

    Raises:
        ArgumentError: A name is unknown.

    >>> check_write("sr,mask")
    ('mask', 'sr')
    """
    wanted = {part.strip() for part in (text or "").split(",")} - {""}
    if strange := sorted(wanted - set(KINDS)):
        raise ArgumentError("what to write is unknown", expected=", ".join(KINDS), got=", ".join(strange))
    return tuple(kind for kind in KINDS if kind in wanted)
