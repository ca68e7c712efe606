"""Whether a T1 was taken before or after a contrast agent: by its description, its agent tag, and the time.

A description that says so is believed first, since some sites enter the agent once for the whole examination. Agent
tags are believed if the T1s differ in them. Time decides what is left: contrast stays, so a T1 after the first series
that certainly has it is one with contrast.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from brainseg_runtime.studies.roles.wording import Contrast, contrast_named, plain, why_left_out
from brainseg_runtime.studies.series import Series, SeriesHeader

_NO_AGENT: Final = frozenset(
    {"", "no", "none", "n", "nil", "n a", "na", "0", "ohne", "sans", "sin", "false", "unknown"}
)
_REPEAT_S: Final = 300.0
"""Two like T1s that began within this time are taken for a repetition: an injection and the wait need longer."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What is known of a T1.

    Attributes:
        contrast: Before or after contrast; None if it cannot be told.
        reason: Why.
        by_time_alone: Whether nothing but the time since a like T1 tells, which a reader should know.
    """

    contrast: Contrast | None
    reason: str
    by_time_alone: bool = False


def has_agent(header: SeriesHeader) -> bool:
    """Whether ContrastBolusAgent names an agent; "NONE" and the like do not."""
    words = plain(header.agent)
    return words not in _NO_AGENT and re.match(r"(no|ohne|sans|sin|without) ", words) is None


def judge(t1s: Sequence[Series], study: Sequence[Series]) -> Mapping[str, Judged]:
    """Before or after contrast, for each T1 of a study.

    Args:
        t1s: The T1s.
        study: All series, whose agents, descriptions and times count too.

    Returns:
        By the series' uid.
    """
    named = {each.uid: contrast_named(each.header.description) for each in t1s}
    agents = _agents_tell(t1s, named)
    known: dict[str, Judged] = {}
    for each in t1s:
        contrast = named[each.uid]
        if contrast is not None:
            known[each.uid] = Judged(contrast=contrast, reason=f"{contrast}-contrast by its description")
        elif agents and has_agent(each.header):
            known[each.uid] = Judged(contrast="post", reason="post-contrast by its agent tag")
    first = _first_contrast(study, known, agents=agents)
    for each in t1s:
        if each.uid not in known:
            known[each.uid] = _by_time(each, first, _first_number(t1s, known))
    return known if first is not None or _post(known) else _pairs_by_time(t1s, known)


def _post(known: Mapping[str, Judged]) -> bool:
    """Whether any T1 is known to be post-contrast."""
    return any(each.contrast == "post" for each in known.values())


def _agents_tell(t1s: Sequence[Series], named: Mapping[str, Contrast | None]) -> bool:
    """Whether agent tags tell T1s apart: not if one called "pre" has an agent, nor if several all have one."""
    if any(has_agent(each.header) and named[each.uid] == "pre" for each in t1s):
        return False
    return len(t1s) < 2 or not all(has_agent(each.header) for each in t1s) or "post" in named.values()


def _first_contrast(study: Sequence[Series], known: Mapping[str, Judged], *, agents: bool) -> float | None:
    """Time of the first series that certainly has contrast: a T1 known to, one with an agent, or a bolus' passage."""
    times = []
    for each in study:
        header, judged = each.header, known.get(each.uid)
        if header.acquired is None or (judged is not None and judged.contrast == "pre"):
            continue
        words = plain(header.description)
        bolus = (why_left_out(words) or "").startswith(("perfusion", "a subtraction")) and "asl" not in words
        if (judged is not None) or (agents and has_agent(header)) or bolus:
            times.append(header.acquired)
    return min(times, default=None)


def _first_number(t1s: Sequence[Series], known: Mapping[str, Judged]) -> float | None:
    """Lowest SeriesNumber of the T1s known to be post-contrast; infinity if they have none; None if there is none."""
    post = [each.header.number for each in t1s if each.uid in known and known[each.uid].contrast == "post"]
    return min((number for number in post if number is not None), default=math.inf) if post else None


def _by_time(series: Series, first: float | None, first_number: float | None) -> Judged:
    """A T1 without agent and without words; without times, one numbered before those with contrast is before it."""
    acquired, number = series.header.acquired, series.header.number
    if first is None and first_number is None:
        return Judged(contrast="pre", reason="pre-contrast: nothing in the study speaks of a contrast agent")
    if first is None or acquired is None or acquired == first:  # equal times are what de-identification leaves
        if first_number is not None and (number is None or number < first_number):
            return Judged(contrast="pre", reason="pre-contrast: another T1 is called post-contrast, this one is not")
        return Judged(contrast=None, reason="a T1 with no agent, no word on contrast and no time")
    if acquired < first:
        return Judged(contrast="pre", reason="pre-contrast by time: taken before the first series with contrast")
    return Judged(contrast="post", reason="post-contrast by time: taken after the first series with contrast")


def _pairs_by_time(t1s: Sequence[Series], known: dict[str, Judged]) -> Mapping[str, Judged]:
    """Where nothing speaks of contrast, two like T1s far apart in time are those before and after it."""
    unnamed = [each for each in t1s if contrast_named(each.header.description) is None]
    for series in unnamed:
        like = [each for each in unnamed if each is not series and _alike(series, each)]
        if not like:
            continue
        times = [each.header.acquired for each in (series, *like)]
        own = series.header.acquired
        if own is None or any(time is None for time in times) or len(like) > 1:
            known[series.uid] = Judged(contrast=None, reason="one of several like T1s, none with a word on contrast")
            continue
        other = like[0].header.acquired or 0.0
        if abs(own - other) < _REPEAT_S:
            known[series.uid] = Judged(contrast=None, reason="one of two like T1s within five minutes")
        else:
            contrast: Contrast = "pre" if own < other else "post"
            known[series.uid] = Judged(
                contrast=contrast, reason=f"{contrast}-contrast by time alone: one of two like T1s", by_time_alone=True
            )
    return known


def _alike(a: Series, b: Series) -> bool:
    """Whether two T1s are of one sequence and orientation."""
    if ("GR" in a.header.scanning_sequence) != ("GR" in b.header.scanning_sequence):
        return False
    if a.grid is None or b.grid is None:
        return a.grid is b.grid
    return abs(float(a.grid.directions[0] @ b.grid.directions[0])) > 0.9
