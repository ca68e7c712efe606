"""Which series of a study is FLAIR, which the T1 before and which the T1 after contrast, and why.

`sequences` tells what each series is, `contrast` whether a T1 is before or after contrast; here the roles are given
out. Two series that could be FLAIR are an error, since the mask is made on its grid; of several T1s that are known
for what they are, the one that is most like FLAIR is taken. The order of files never matters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Final

import numpy as np

from brainseg_runtime.errors import RolesError, StudyError
from brainseg_runtime.problems import printable
from brainseg_runtime.studies.roles.contrast import Judged, judge
from brainseg_runtime.studies.roles.sequences import Sequence as Kind
from brainseg_runtime.studies.roles.sequences import what_is
from brainseg_runtime.studies.series import Role, Series
from brainseg_runtime.studies.study import Choice

ByHand = str | int | Path | None
"""A SeriesInstanceUID, a SeriesNumber or a path; "none" leaves a T1 out; None: found by the rules."""

NAMES: Final[Mapping[Role, str]] = {"flair": "FLAIR", "pre": "T1 before contrast", "post": "T1 after contrast"}
"""The roles in words."""

_HEAD: Final = (
    "head", "brain", "skull", "crani", "cereb", "encephal", "neuro", "kopf", "schaedel", "schädel", "hirn", "tete",
    "tête", "crane", "crâne", "cabeza", "craneo", "cráneo", "whole",
)  # fmt: skip
"""Parts of what headers call the head in four languages; some scanners call every examination a whole body's."""

_NONE: Final = "none"
_INSIDE: Final = np.linspace(0.1, 0.9, 5)
"""Where a grid is looked at to see how much of it another covers, as fractions of its sides."""
_COVERED: Final = 0.7
_ALONG: Final = 0.9
"""Cosine from which two slice normals count as one orientation."""


def choose(
    series: Sequence[Series], *, flair: ByHand = None, pre: ByHand = None, post: ByHand = None
) -> tuple[tuple[Choice, ...], tuple[str, ...]]:
    """Give out the roles.

    Args:
        series: All series of one study, in any order.
        flair: FLAIR by hand: a SeriesInstanceUID, a SeriesNumber, one of the series' files or its folder.
        pre: T1 before contrast by hand; "none": there is none.
        post: T1 after contrast by hand; "none": there is none.

    Returns:
        A choice for each series, in the given order, with the reason; and warnings, such as a missing sequence.

    Raises:
        RolesError: It cannot be told which series is which, or a series by hand is not in the study; the candidates
            are listed.
        StudyError: The series for FLAIR, or one chosen by hand, is faulty: its own fault; or it is not MR.
    """
    given = _by_hand(series, {"flair": flair, "pre": pre, "post": post})
    kinds = {each.uid: what_is(each.header) for each in series}
    chosen: dict[Role, tuple[Series, str]] = {role: (each, "chosen by hand") for role, each in given.items()}
    if "flair" not in chosen:
        chosen["flair"] = _flair(series, kinds, taken=list(given.values()))
    warnings: list[str] = []
    asked: dict[Role, ByHand] = {"pre": pre, "post": post}
    left = {role for role, value in asked.items() if not _is_none(value)} - set(chosen)
    judged = _judged(series, kinds, [each for each, _ in chosen.values()])
    for role, each, reason, notes in _t1s(series, kinds, judged, chosen, wanted=left):
        chosen[role] = (each, reason)
        warnings += notes
    for each, _ in chosen.values():
        if each.fault is not None:
            raise each.fault
        _check_modality(each)
    missing: list[Role] = [role for role in ("pre", "post") if role not in chosen]
    faulty = [
        each
        for each in series
        if each.fault is not None and kinds[each.uid].kind == "t1" and _left(each, judged, missing)
    ]
    warnings += [f"{name(each)} is faulty and left out; brainseg inspect says why" for each in faulty]
    warnings += [_missing(role) for role in missing]
    warnings += _of_another_body_part(chosen["flair"][0])
    return tuple(_choice(each, chosen, kinds, judged) for each in series), tuple(warnings)


def _of_another_body_part(flair: Series) -> list[str]:
    """The warning of a FLAIR whose header names a body part other than the head; many headers name none."""
    part = flair.header.body_part
    if not part or any(word in part.lower() for word in _HEAD):
        return []
    said = f'wrong body part: the header of FLAIR says "{printable(part)[:16]}", and models know heads alone'
    return [f"{said}; do not use the mask unchecked"]


def _is_none(value: ByHand) -> bool:
    """Whether a role was left out by hand."""
    return isinstance(value, str) and value.lower() == _NONE


def _left(series: Series, judged: Mapping[str, Judged], missing: Sequence[Role]) -> bool:
    """Whether a T1 may be one that is missing."""
    contrast = judged[series.uid].contrast if series.uid in judged else None
    return bool(missing) if contrast is None else contrast in missing


def _missing(role: Role) -> str:
    """The warning of a missing T1."""
    return f"missing sequence: no {NAMES[role]} was found, so FLAIR is used in its place; the mask may be less accurate"


# --- by hand


def _by_hand(series: Sequence[Series], values: Mapping[Role, ByHand]) -> dict[Role, Series]:
    """The series chosen by hand."""
    given: dict[Role, Series] = {}
    for role, value in values.items():
        if value is None or (role != "flair" and _is_none(value)):
            continue
        matches = [each for each in series if _meant(each, value)]
        if len(matches) != 1:
            raise RolesError(
                f"--{role} {value} {'is no series of this study' if not matches else 'is not one series'}",
                expected="a SeriesInstanceUID, a SeriesNumber, or the path of one series",
                got=_listed(matches or series),
                remedy="give the SeriesInstanceUID; brainseg inspect lists them",
            )
        if matches[0] in given.values():
            raise RolesError(
                f"--{role} {value} is a series that has another role already",
                expected="a series for each role",
                got=name(matches[0]),
                remedy=f"leave --{role} out, or give another series",
            )
        given[role] = matches[0]
    return given


def _check_modality(series: Series) -> None:
    """Refuses another modality, which only a choice by hand can bring: models know MR alone, and mark a CT too."""
    if series.header.modality not in ("", "MR"):
        raise StudyError(
            f"{name(series)} is no MR image",
            expected="modality MR",
            got=printable(series.header.modality)[:16],
            remedy="choose an MR series; brainseg inspect lists them",
        )


def _meant(series: Series, value: str | int | Path) -> bool:
    """Whether a value by hand means a series."""
    if isinstance(value, int) or (isinstance(value, str) and value.isdecimal()):
        return series.header.number == int(value)
    if str(value) == series.uid:
        return True
    path = Path(value).absolute()
    return any(path in (each.absolute(), *each.absolute().parents) for each in series.paths)


# --- FLAIR


def _flair(series: Sequence[Series], kinds: Mapping[str, Kind], taken: Sequence[Series]) -> tuple[Series, str]:
    """The one series that is FLAIR."""
    free = [each for each in series if each not in taken]
    candidates = [each for each in free if kinds[each.uid].kind == "flair"]
    sound = [each for each in candidates if each.fault is None]
    if len(sound) == 1:
        return sound[0], _reason(kinds[sound[0].uid])
    if len(candidates) == 1:
        return candidates[0], _reason(kinds[candidates[0].uid])
    if candidates:
        raise RolesError(
            f"{len(sound or candidates)} series could be FLAIR",
            expected="one",
            got=_listed(sound or candidates),
            remedy="choose one by its number or SeriesInstanceUID with --flair",
        )
    possible = [each for each in free if kinds[each.uid].possible == "flair"] or free
    raise RolesError(
        "no series is known to be FLAIR",
        expected="one, by its inversion, repetition and echo time or by its description",
        got="; ".join(f"{name(each)}: {kinds[each.uid].reason}" for each in possible) or "no series",
        remedy="if one of them is FLAIR, choose it by its number or SeriesInstanceUID with --flair",
    )


# --- T1


def _judged(series: Sequence[Series], kinds: Mapping[str, Kind], taken: Sequence[Series]) -> Mapping[str, Judged]:
    """Before or after contrast, for each T1 that has no role yet."""
    return judge([each for each in series if kinds[each.uid].kind == "t1" and each not in taken], series)


def _t1s(
    series: Sequence[Series],
    kinds: Mapping[str, Kind],
    judged: Mapping[str, Judged],
    chosen: Mapping[Role, tuple[Series, str]],
    *,
    wanted: set[Role],
) -> list[tuple[Role, Series, str, list[str]]]:
    """The T1s for the roles that are wanted, each with its reason and warnings."""
    free = [each for each in series if each.uid in judged and each.fault is None]
    roles: list[Role] = [role for role in ("pre", "post") if role in wanted]
    candidates: dict[Role, list[Series]] = {
        role: [each for each in free if judged[each.uid].contrast == role] for role in roles
    }
    unclear = [each for each in free if judged[each.uid].contrast is None]
    if unclear and any(not candidates[role] for role in roles):
        raise RolesError(
            "it cannot be told which T1 was taken before and which after contrast",
            expected="an agent, a word in the description, or times that tell",
            got="; ".join(f"{name(each)}: {judged[each.uid].reason}" for each in unclear),
            remedy='choose with --pre and --post by number or SeriesInstanceUID; "none" leaves one out',
        )
    flair = chosen["flair"][0]
    fixed: dict[Role, list[Series]] = {role: [each] for role, (each, _) in chosen.items() if role != "flair"}
    best = _best_pair(flair, {**candidates, **fixed}, kinds)
    found: list[tuple[Role, Series, str, list[str]]] = []
    for role in roles:
        each = best[role]
        if each is not None:
            count = len(candidates[role])
            reason = judged[each.uid].reason + (f"; of {count} such T1s the one most like FLAIR" if count > 1 else "")
            notes = [_by_time_alone(role, each)] if judged[each.uid].by_time_alone else []
            found.append((role, each, f"{reason}; {_reason(kinds[each.uid])}", notes))
    return found


def _by_time_alone(role: Role, series: Series) -> str:
    """The warning of a T1 that time alone tells."""
    return f"{name(series)} is taken for the {NAMES[role]} by its time alone; check it, or choose it with --{role}"


def _best_pair(
    flair: Series, candidates: Mapping[Role, Sequence[Series]], kinds: Mapping[str, Kind]
) -> dict[Role, Series | None]:
    """The T1s before and after contrast that are most like FLAIR and each other."""
    pre: list[Series | None] = [*candidates.get("pre", ())] or [None]
    post: list[Series | None] = [*candidates.get("post", ())] or [None]

    def cost(pair: tuple[Series | None, Series | None]) -> tuple[float | str, ...]:
        there = [each for each in pair if each is not None]
        echoes = {kinds[each.uid].gradient_echo for each in there}
        likeness = np.sum([_unlike(flair, each) for each in there], axis=0) if there else np.zeros(3)
        return (
            *(float(value) for value in likeness[:2]),
            float(len(echoes)),
            float(sum(kinds[each.uid].fat_suppressed for each in there)),
            float(likeness[2]),
            -sum(each.header.acquired or 0.0 for each in there),
            -float(sum(each.header.number or 0 for each in there)),
            *(each.uid for each in there),
        )

    best = min(product(pre, post), key=cost)
    return {"pre": best[0], "post": best[1]}


def _unlike(flair: Series, other: Series) -> tuple[float, float, float]:
    """How unlike FLAIR's a grid is: does not cover it, is of another orientation, differs in spacing."""
    if flair.grid is None or other.grid is None:
        return 0.0, 0.0, 0.0
    inside = np.stack(np.meshgrid(*([_INSIDE] * 3), indexing="ij"), axis=-1).reshape(-1, 3)
    indices = other.grid.indices(flair.grid.positions(inside * (np.array(flair.grid.shape) - 1)))
    covered = np.all((indices >= -1) & (indices <= np.array(other.grid.shape)), axis=1).mean()
    turned = abs(float(flair.grid.directions[0] @ other.grid.directions[0])) < _ALONG
    spacing = np.abs(np.log(np.array(flair.grid.spacing) / np.array(other.grid.spacing))).sum()
    return float(covered < _COVERED), float(turned), round(float(spacing), 1)


# --- reasons


def name(series: Series) -> str:
    """A series as errors and warnings name it: its number and description, or its file.

    Args:
        series: The series.
    """
    number = "" if series.header.number is None else f" {series.header.number}"
    described = series.header.description or series.header.protocol or series.uid
    return f'series{number} "{described}"'


def _listed(series: Sequence[Series]) -> str:
    """Series for an error, each with its SeriesInstanceUID."""
    return "; ".join(f"{name(each)} ({each.uid})" for each in series) or "no series"


def _reason(kind: Kind) -> str:
    """Why a series is what it is, and that fat is suppressed."""
    return f"{kind.reason}, fat-suppressed" if kind.fat_suppressed else kind.reason


def _choice(
    series: Series,
    chosen: Mapping[Role, tuple[Series, str]],
    kinds: Mapping[str, Kind],
    judged: Mapping[str, Judged],
) -> Choice:
    """A series' place in the study."""
    for role, (each, reason) in chosen.items():
        if each is series:
            return Choice(series=series, role=role, reason=reason)
    if series.fault is not None:
        return Choice(series=series, role=None, reason=f"faulty: {series.fault}")
    reason = _reason(kinds[series.uid])
    if series.uid in judged:
        reason = f"not needed: {judged[series.uid].reason}; {reason}"
    return Choice(series=series, role=None, reason=reason)
