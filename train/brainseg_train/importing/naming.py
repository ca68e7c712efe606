"""Names of patients' folders: pseudonyms in the form of `kaggle_3m`, unless the user keeps the studies' own names.

A pseudonym is `STUDY_<site>_<person>_<study>`: the person's part comes from PatientID, or from the subject in a NIfTI
file's name, and the study's from its UID or name, both hashed with a key that only this data set has. So studies of one
person stay together in a split, names stay the same when more studies are added, and without the key nobody can tell
from a list of identifiers whose folder it is.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from pathlib import Path
from typing import Final

from brainseg_runtime.errors import DataError
from brainseg_runtime.safe_io.files import read_capped, write_bytes

KEY_FILE: Final = ".import.key"
_KEY_BYTES: Final = 32
_BRATS: Final = re.compile(r"(BraTS.*-\d{4,6})-\d{2,3}")
_SUBJECT: Final = re.compile(r"(sub-[A-Za-z0-9]+)_")


def key_of(folder: Path, *, begun: bool) -> bytes:
    """The key of a data set, made the first time.

    Args:
        folder: The data set's folder.
        begun: Whether patients were imported there before, so that the key must be there.

    Raises:
        DataError: The key is gone or damaged, though patients were imported with it.
    """
    path = folder / KEY_FILE
    if not path.exists() and not begun:
        write_bytes(path, secrets.token_bytes(_KEY_BYTES))
        path.chmod(0o600)
    key = read_capped(path, _KEY_BYTES + 1, error=DataError) if path.exists() else b""
    if len(key) != _KEY_BYTES:
        raise DataError(
            f"{folder} has lost the key of its patients' names",
            expected=f"{KEY_FILE} of {_KEY_BYTES} bytes",
            got=f"{len(key)} bytes",
            remedy="put the file back, or import all studies into a new folder",
        )
    return key


def pseudonym(key: bytes, site: str, person: str, study: str) -> str:
    """A name that tells nothing without the key.

    Args:
        key: The data set's.
        site: Letters and digits.
        person: Whatever identifies the person.
        study: Whatever identifies the study.

    Examples:
        >>> pseudonym(bytes(32), "SITE1", "Doe", "1.2.3")
        'STUDY_SITE1_f88c45678042_42303468'
    """
    of_person = hmac.new(key, b"person\0" + person.encode(), hashlib.sha256).hexdigest()[:12]
    of_study = int(hmac.new(key, b"study\0" + study.encode(), hashlib.sha256).hexdigest(), 16) % 10**8
    return f"STUDY_{site}_{of_person}_{of_study:08d}"


def subject_of(name: str) -> str:
    """The person in a NIfTI study's name: BIDS's subject, BraTS's patient, else the whole name.

    Examples:
        >>> [subject_of(name) for name in ("sub-01_ses-2", "BraTS-GLI-00005-101", "P7")]
        ['sub-01', 'BraTS-GLI-00005', 'P7']
    """
    match = _SUBJECT.match(f"{name}_") or _BRATS.fullmatch(name)
    return match[1] if match else name
