"""Where a data set comes from and under what terms, as stated by its owners: `dataset.json` beside the patients.

Nothing here is guessed or filled in. What nobody states stays open, in the study's record and later in the bundle.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from brainseg_runtime.safe_io.files import read_capped
from brainseg_runtime.safe_io.strict_json import parse
from brainseg_runtime.safe_io.typed_json import from_json
from brainseg_train.errors import ConfigError

FILE: Final = "dataset.json"
"""The file's name, in the data set's folder."""

MAX_LENGTH: Final = 2000
"""Characters of one statement; a citation of many authors takes a few hundred."""

_MAX_BYTES: Final = 64 << 10

_ADDRESS: Final = re.compile(r"https?://[^\s<>\"]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class DataSource:
    """Statements about a data set; None where nothing is stated.

    Examples:
        >>> own = DataSource(name="Our patients", licence="CC-BY-4.0")
        >>> own.over(DataSource(name="another", url="https://example.org")).to_json()
        {'name': 'Our patients', 'licence': 'CC-BY-4.0', 'url': 'https://example.org'}
    """

    name: str | None = None
    """What it is called."""
    licence: str | None = None
    """SPDX identifier, or a short name of the terms."""
    url: str | None = None
    """Where it is described or can be downloaded."""
    citation: str | None = None
    """What to cite."""

    def __post_init__(self) -> None:
        """Refuse text that does not fit on one line of a model card."""
        for key, text in self.to_json().items():
            if not text.strip() or len(text) > MAX_LENGTH or not text.isprintable():
                raise ConfigError(
                    f"the data set's {key} is not usable",
                    expected=f"one line of 1 to {MAX_LENGTH} printable characters",
                    got=ascii(text[:60]),
                )
        if self.url is not None and not _ADDRESS.fullmatch(self.url):
            raise ConfigError("the data set's url is not usable", expected="https://...", got=self.url[:200])

    def __bool__(self) -> bool:
        """Whether anything is stated."""
        return bool(self.to_json())

    def over(self, other: DataSource) -> DataSource:
        """These statements, completed by another's."""
        return DataSource(**(other.to_json() | self.to_json()))

    def to_json(self) -> dict[str, str]:
        """What is stated, by key."""
        return {key: value for key, value in dataclasses.asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, value: object, where: str = FILE) -> Self:
        """What a `dataset.json` states.

        Raises:
            ConfigError: A key is unknown, or a value is not usable text.
        """
        own: Any = value
        if isinstance(value, dict):
            own = {key: item for key, item in value.items() if key != "$schema"}
        return from_json(cls, own, where, error=ConfigError)


def stated_beside(root: Path) -> DataSource:
    """What `dataset.json` in a data set's folder states; nothing where there is no such file.

    Raises:
        ConfigError: The file is damaged, or a statement is not usable.
    """
    path = Path(root) / FILE
    if not path.exists():
        return DataSource()
    data = read_capped(path, _MAX_BYTES, error=ConfigError)
    return DataSource.from_json(parse(data, str(path), limit=_MAX_BYTES, error=ConfigError), str(path))
