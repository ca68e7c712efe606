"""What each written object says of itself: the model, its digests, the threshold, and that it is for research use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from brainseg_runtime.segmentation.results import Provenance
from brainseg_runtime.version import __version__

RESEARCH: Final = "Research use only"
MANUFACTURER: Final = "brainseg"


@dataclass(frozen=True, kw_only=True, slots=True)
class About:
    """One model's texts.

    Attributes:
        provenance: Model, digests, threshold.
    """

    provenance: Provenance

    @property
    def model(self) -> str:
        """Name and version, at most 64 ASCII characters."""
        return plain(self.provenance.model) or "unnamed model"

    @property
    def name(self) -> str:
        """The model's name without its version."""
        return self.model.rpartition(" ")[0] or self.model

    @property
    def version(self) -> str:
        """The model's version, else this package's."""
        return self.model.rpartition(" ")[2] if " " in self.model else __version__

    @property
    def digest(self) -> str:
        """SHA-256 of the bundle; of the model's file if it was loaded unsealed. 64 characters."""
        return self.provenance.bundle_digest or self.provenance.model_digest

    @property
    def versions(self) -> list[str]:
        """What goes into SoftwareVersions."""
        return [f"brainseg {__version__}", self.model]

    @property
    def parameters(self) -> list[str]:
        """Everything that is needed to compute the mask again, as lines of ASCII."""
        source = self.provenance
        threshold = "unknown" if source.threshold is None else f"{source.threshold:g}"
        return [
            f"brainseg {__version__}",
            f"model {self.model}",
            f"bundle SHA-256 {source.bundle_digest or 'none (unsealed)'}",
            f"model SHA-256 {source.model_digest}",
            f"variant {plain(source.variant)}",
            f"threshold {threshold}",
            RESEARCH,
        ]


def plain(text: str, longest: int = 64) -> str:
    r"""A text for a DICOM string: printable ASCII without backslash, cut to length.

    Examples:
        >>> plain("näme\\1")
        'n?me/1'
    """
    ascii_only = text.encode("ascii", "replace").decode().replace("\\", "/")
    return "".join(letter for letter in ascii_only if letter.isprintable()).strip()[:longest].strip()
