"""A folder read by the page and by the runtime: the same slices, roles and kinds of warnings, or a fault of both."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import numpy as np

from brainseg_runtime.errors import BrainsegError
from brainseg_runtime.studies import read_study
from brainseg_runtime.studies.framing import frame_study
from tests.web.core.core_page import CorePage, folder

ONE_GRID_MM: Final = 1e-4
"""Up to which the page takes two grids for one."""
KINDS: Final = {
    "file-unread": r"^a file could not be read", "duplicate-slices": r"cop(y|ies) left out|left out as repetitions",
    "images-expected": r"says that it has \d+ images", "lossy-compression": r"was compressed with loss",
    "inverted": r"stored with low values bright", "single-slice": r"has one slice; its height",
    "spacing-stated": r"its SpacingBetweenSlices says", "series-faulty": r"is faulty and left out",
    "sequence-missing": r"^missing sequence", "body-part": r"^wrong body part", "role-by-time": r"by its time alone",
}  # fmt: skip
"""The page's code of each of the runtime's warnings of reading."""


def kinds(warnings: tuple[str, ...]) -> set[str]:
    """The page's codes for the runtime's warnings; one that has none is a fault of this table."""
    return {next(code for code, pattern in KINDS.items() if re.search(pattern, warning)) for warning in warnings}


def by_runtime(where: Path, **by_hand: str) -> tuple[dict[str, str], Any, set[str], bool] | BrainsegError:
    """Roles by UID, images (N, 256, 256, 3), kinds of warnings, whether the series share a grid; or the error."""
    try:
        study = read_study(where, **by_hand)
        images = frame_study(study, register=False).images
    except BrainsegError as error:
        return error
    grids = [each.grid for each in study.roles.values() if each.grid is not None]
    shared = all(each.same_as(grids[0], ONE_GRID_MM) for each in grids)
    return {role: each.uid for role, each in study.roles.items()}, images, kinds(study.warnings), shared


def read_alike(core: CorePage, where: Path, **by_hand: str) -> dict[str, Any]:
    """The page's answer, compared with the runtime's."""
    expected = by_runtime(where, **by_hand)
    answer = core.ask("open", files=folder(where), byHand=by_hand, save={"pixels": "folder-pixels"})
    if isinstance(expected, BrainsegError):
        assert "fault" in answer, (str(expected), answer)
        return answer
    roles, images, warnings, shared = expected
    if not shared:
        assert answer["fault"] == "grids-differ", answer
        return answer
    assert "fault" not in answer, answer
    assert {each["role"]: each["uid"] for each in answer["series"] if "role" in each} == roles
    np.testing.assert_array_equal(core.values("folder-pixels", "u1", *images.shape), images)
    assert {each["code"] for each in answer["warnings"]} & set(KINDS) == warnings
    return answer
