"""What file browsers, archivers, synchronisers and editors leave in folders, and nobody put there on purpose."""

from __future__ import annotations

from typing import Final

_NAMES: Final = frozenset(
    {
        ".ds_store",
        ".localized",
        ".directory",
        "icon\r",
        "thumbs.db",
        "thumbs.db:encryptable",
        "ehthumbs.db",
        "ehthumbs_vista.db",
        "desktop.ini",
        "__macosx",
        "@eadir",
        "@recycle",
        "#recycle",
        "#snapshot",
        "$recycle.bin",
        "system volume information",
        "lost+found",
    }
)
"""Files and folders of macOS, Windows, KDE and network drives, lower case."""


def is_litter(name: str) -> bool:
    """Whether a file or folder of this name is passed over without a word, wherever it lies.

    Names that begin with `._` are macOS's shadows of other files; names that end in `~` are editors' backups.
    """
    return name.casefold() in _NAMES or name.startswith("._") or name.endswith("~")


def is_hidden(name: str) -> bool:
    """Whether a folder of images shows this name to nobody: litter, and whatever begins with a dot."""
    return name.startswith(".") or is_litter(name)
