"""Files that file browsers, archivers, synchronisers and editors leave in folders, and nobody put there on purpose."""

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
    """Whether a file or folder of this name is silently ignored, in any folder.

    Names that begin with `._` are macOS's shadows of other files; names that end in `~` are editors' backups.

    Examples:
        >>> is_litter("Thumbs.db"), is_litter("slice.tif~"), is_litter("slice.tif")
        (True, True, False)
    """
    return name.casefold() in _NAMES or name.startswith("._") or name.endswith("~")


def is_hidden(name: str) -> bool:
    """Whether the finder of images ignores this name: litter, and everything that begins with a dot."""
    return name.startswith(".") or is_litter(name)
