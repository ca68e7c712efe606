"""Options shared by commands of `brainseg`, and the model that they select."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from brainseg_runtime.plurals import counted

if TYPE_CHECKING:
    from brainseg_runtime.segmenter import Segmenter


def _lengths(value: tuple[float, float, float] | None) -> tuple[float, float, float] | None:
    """Refuses a spacing outside (0, 1000) mm."""
    if value and not all(0 < each < 1000 for each in value):
        raise typer.BadParameter("expected three lengths in mm, above 0 and below 1000")
    return value or None


BundleArgument: TypeAlias = Annotated[
    Path, typer.Argument(metavar="BUNDLE", help="The model's folder, such as models/resunet.")
]
ProviderOption: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="What runs the model: auto, cpu, openvino, cuda, ... One that is not available is an error.",
    ),
]
THREADS = "Threads of one inference; default: the usable cores, at most 4. Masks do not depend on it."
DigestOption: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="HEX", help="Refuse any bundle but the one with this digest (SHA-256 of its manifest)."),
]
SpacingOption: TypeAlias = Annotated[
    tuple[float, float, float] | None,
    typer.Option(
        metavar="X Y Z",
        help="Pixel width, pixel height and slice distance in mm: gives volumes in mL and, in evaluate, scores in mm.",
        callback=_lengths,
    ),
]
ReportOption: TypeAlias = Annotated[
    Path | None, typer.Option(metavar="FILE.html", help="Write a page to read, in one self-contained HTML file.")
]


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelOptions:
    """How to run a bundle's model."""

    provider: ProviderOption = "auto"
    variant: Annotated[str, typer.Option(metavar="NAME", help="auto, fp32, int8, ... as the bundle offers.")] = "auto"
    threads: Annotated[int | None, typer.Option(metavar="N", min=1, max=256, help=THREADS)] = None
    digest: DigestOption = None

    def load(self, bundle: Path) -> Segmenter:
        """The model, verified and ready.

        Args:
            bundle: The bundle's folder.

        Raises:
            BrainsegError: The bundle, the provider or the variant is not available.
        """
        from brainseg_runtime.segmenter import Segmenter

        return Segmenter.load(
            bundle, digest=self.digest, provider=self.provider, variant=self.variant, threads=self.threads
        )


def running(segmenter: Segmenter) -> str:
    """Model, variant, provider and threads in words."""
    info = segmenter.info
    return f"{info.provenance.model} ({info.variant}) on {info.provider}, {counted(info.threads, 'thread')}"
