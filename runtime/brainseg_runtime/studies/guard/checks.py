"""The guard of studies: reasons to distrust a study before anybody trusts its mask, and reasons to distrust the mask.

Each check compares one measure with the 94 patients of the training data's collection; how often it warns on them and
on made faults is in docs/guard.md. A warning begins with the check's name.

Legend: N slices, H rows, W columns of the frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.studies.geometry import Volume
from brainseg_runtime.studies.guard.measures import (
    Head,
    background,
    coverage,
    depths,
    empty_within,
    find_head,
    overlap,
    pieces,
    scalp,
    shape,
    texture,
    touching,
)
from brainseg_runtime.studies.head import inside_head
from brainseg_runtime.studies.roles.choice import NAMES
from brainseg_runtime.studies.series import Role

CHANNELS: Final[tuple[Role, ...]] = ("pre", "flair", "post")
"""Roles in the order of the frame's channels."""
_FLAIR: Final = 1

BRIGHT_SCALP: Final = 1.15
"""Scalp relative to brain on FLAIR, below which fat was suppressed or the skull removed; 1.25 to 4 in the patients."""
DARK_SCALP: Final = 0.85
"""Below this the scalp is there and dark; where the skull was removed the head's edge is cortex, 0.9 to 1.1."""
T1_TEXTURE: Final = 1.05
"""Texture of FLAIR below which it is a T1's; 1.1 to 2.8 for FLAIR, 0.6 to 1.2 for T1 in the patients."""
SATURATED: Final = 0.01
"""Part of the head at grey level 254 or 255; 0 in the patients."""
BACKGROUND: Final = 0.2
"""Grey level of the frame's edge relative to bright tissue; below 0.1 in the patients but for two."""
SMALL: Final = 0.6
"""Part of the frame's side that a head must fill."""
TOUCHING: Final = 0.5
"""Part of a side of the frame along which the head may be cut off."""
COVERED: Final = 0.9
"""Part of FLAIR's head in which a T1 must have values."""
ALIGNED: Final = 0.88
"""Dice coefficient of FLAIR's and a T1's head; 0.93 to 1 in the patients but for one."""
STEADY: Final = 0.9
"""Dice coefficient of the head in neighbouring slices; 0.95 to 1 in the patients but for one."""
LONG: Final = 1.7
"""Length of a head relative to its width; 1.1 to 1.5 in the patients."""
ROUND: Final = (0.6, 0.93)
"""Part of its box that a head fills; an ellipse fills 0.785."""
LENGTH_MM: Final = (110.0, 280.0)
"""Length of a head from front to back, from infants to adults with the nose."""

MUCH: Final = 0.12
"""Part of the head that a mask may mark; at most 0.095 of the patients' heads is tumour."""
MUCH_OF_A_SLICE: Final = 0.35
"""Part of the head in one slice that a mask may mark; at most 0.29 in the patients."""
SCATTERED: Final = 12
"""Most parts of a mask; at most 8 in the patients' predictions, 3 in their published masks."""
PART: Final = 20
"""Fewest voxels of a part that counts."""
AT_THE_EDGE: Final = 0.25
"""Part of a mask that may lie within the scalp's depth; at most 0.003 in the patients."""
_FEW: Final = 4
"""Fewest slices in which motion can be seen."""
_THIN: Final = 0.02
"""Part of a plane that must be head for the head to reach there."""
_EDGE_DEPTH: Final = 5
"""The scalp's depth in pixels of half the frame's resolution."""


def inspect_study(
    images: NDArray[np.uint8], volumes: Mapping[Role, Volume] | None = None, *, mask: NDArray[np.uint8] | None = None
) -> tuple[str, ...]:
    """Reasons to distrust a study.

    Args:
        images: (N, 256, 256, 3) uint8, what the network sees.
        volumes: The sequences that there are, in mm; None to skip what needs them. A sequence that is not among them
            was filled in with FLAIR and is not looked at.
        mask: (N, 256, 256) uint8 or bool, what the network marked; None before it did.

    Returns:
        One sentence for each reason.

    Examples:
        >>> inspect_study(np.zeros((3, 256, 256, 3), np.uint8))
        ('no head: no slice shows enough tissue to be checked',)
    """
    present = [
        channel
        for channel, role in enumerate(CHANNELS)
        if (volumes is None or role in volumes)
        and (channel == _FLAIR or not np.array_equal(images[..., channel], images[..., _FLAIR]))
    ]
    shifted = [_shifted(role, images[..., channel]) for channel, role in enumerate(CHANNELS) if channel in present]
    empty = [_empty(role, images[..., channel]) for channel, role in enumerate(CHANNELS) if channel in present]
    reasons = [reason for reason in (*shifted, *empty) if reason]
    head = find_head(images)
    if head is None:
        return (*reasons, "no head: no slice shows enough tissue to be checked")
    reasons += _order(images, head, present)
    for check in _CHECKS:
        reasons += check(head, present)
    if volumes is not None:
        reasons += _size(volumes)
    if mask is not None:
        reasons += inspect_mask(images, mask)
    return tuple(reasons)


def inspect_mask(images: NDArray[np.uint8], mask: NDArray[np.uint8]) -> tuple[str, ...]:
    """Reasons to distrust a mask: implausibly much, scattered, or at the head's edge.

    Args:
        images: (N, 256, 256, 3) uint8, what the network saw.
        mask: (N, 256, 256) uint8 or bool, what it marked.

    Returns:
        One sentence for each reason.

    Examples:
        >>> inspect_mask(np.zeros((3, 256, 256, 3), np.uint8), np.zeros((3, 256, 256), np.uint8))
        ()
    """
    marked = mask[:, ::2, ::2].astype(bool)
    if not marked.any():
        return ()
    head = inside_head(images[:, ::2, ::2, _FLAIR].astype(np.float32)) | marked
    areas = head.sum(axis=(1, 2))
    reasons = []
    share = float(marked.sum() / areas.sum())
    of_slice = float(np.max(marked.sum(axis=(1, 2)) / np.maximum(areas, areas.max() / 4)))
    if share > MUCH or of_slice > MUCH_OF_A_SLICE:
        reasons.append(
            f"implausible mask: {share:.0%} of the head is marked and up to {of_slice:.0%} of a slice, more than any "
            f"tumour in the training data's collection ({MUCH:.0%}, {MUCH_OF_A_SLICE:.0%}); do not use it unchecked"
        )
    parts = [size for size in pieces(mask.astype(bool)) if size >= PART]
    if len(parts) > SCATTERED:
        reasons.append(
            f"scattered mask: {len(parts)} separate parts are marked, expected at most {SCATTERED}; check each of them"
        )
    edge = float(np.mean(depths(head, _EDGE_DEPTH + 1)[marked] <= _EDGE_DEPTH))
    if edge > AT_THE_EDGE:
        reasons.append(f"mask at the edge: {edge:.0%} of it lies in the scalp or skull; check it against the images")
    return tuple(reasons)


# --- one function a check; each takes the frame, the head, and the channels that hold a sequence of their own


def _shifted(role: Role, stack: NDArray[np.uint8]) -> str | None:
    """A background that is not dark."""
    level = background(stack)
    if level < BACKGROUND:
        return None
    return (
        f"bright background: the air of {NAMES[role]} is {level:.0%} as bright as its tissue, so its grey levels are "
        "inverted or shifted"
    )


def _empty(role: Role, stack: NDArray[np.uint8]) -> str | None:
    """Slices of one value between slices that show something: a file that was decoded or sent in part."""
    empty = empty_within(stack)
    if empty == 0:
        return None
    return (
        f"empty slices: {empty} of {len(stack)} slices of {NAMES[role]} show nothing although slices on both sides do; "
        "check that its files are whole, and do not use the mask unchecked"
    )


def _order(images: NDArray[np.uint8], head: Head, present: list[int]) -> Iterator[str]:
    """A T1 in FLAIR's place."""
    flair = texture(images[..., _FLAIR], head)
    others = {channel: texture(images[..., channel], head) for channel in present if channel != _FLAIR}
    swapped = [channel for channel, value in others.items() if value > flair]
    if swapped or flair < T1_TEXTURE:
        like = " and ".join(NAMES[CHANNELS[channel]] for channel in swapped)
        yield (
            f"sequence order: what is used as FLAIR looks like a T1 (texture {flair:.2f}, FLAIR has 1.1 to 2.8)"
            f"{f', and what is used as {like} more like FLAIR' if like else ''}; check which series is which"
        )


def _scalp(head: Head, present: list[int]) -> Iterator[str]:
    """A scalp that is not bright on FLAIR."""
    del present
    level = scalp(head.stacks[..., _FLAIR], head)
    if level >= BRIGHT_SCALP:
        return
    what = "fat-suppressed scalp: fat was suppressed" if level < DARK_SCALP else (
        "skull-stripped: the skull was removed, or fat was suppressed"
    )  # fmt: skip
    yield (
        f"{what} on FLAIR (the head's edge is {level:.2f} as bright as the brain, expected 1.25 to 4); models that "
        "were not trained on such images mark healthy brain: do not use the mask unchecked"
    )


def _saturation(head: Head, present: list[int]) -> Iterator[str]:
    """Bright tissue that is white throughout."""
    for channel in present:
        values = head.stacks[..., channel][head.inside]
        part = float(np.mean(values >= 254))
        if part > SATURATED:
            name = NAMES[CHANNELS[channel]]
            yield f"saturation: {part:.1%} of the head is white on {name}; what lies in it cannot be told apart"


def _field_of_view(head: Head, present: list[int]) -> Iterator[str]:
    """A head that is small, cut off, or none."""
    del present
    length, width, filled = shape(head)
    side = head.stacks.shape[1]
    if max(length, width) < SMALL * side:
        yield f"field of view: the head fills {max(length, width) / side:.0%} of the frame, expected {SMALL:.0%}"
    cut = touching(head)
    if cut > TOUCHING:
        yield f"field of view: the head is cut off along {cut:.0%} of a side"
    longer = max(length, width) / max(min(length, width), 1)
    if longer > LONG or not ROUND[0] <= filled <= ROUND[1]:
        yield (
            f"no axial head: the outline is {longer:.1f} times as long as wide and fills {filled:.0%} of its box, "
            f"expected up to {LONG} and {ROUND[0]:.0%} to {ROUND[1]:.0%}; check body part and orientation"
        )


def _alignment(head: Head, present: list[int]) -> Iterator[str]:
    """A T1 that does not cover FLAIR, or shows the head elsewhere."""
    flair = inside_head(head.stacks[..., _FLAIR].astype(np.float32))
    for channel in present:
        if channel == _FLAIR:
            continue
        other = head.stacks[..., channel]
        part = coverage(other, flair)
        if part < COVERED:
            yield f"coverage: {NAMES[CHANNELS[channel]]} covers {part:.0%} of FLAIR's head"
            continue
        dice = overlap(flair, inside_head(other.astype(np.float32)))
        if dice < ALIGNED and background(other) < BACKGROUND:
            yield (
                f"alignment: the heads on FLAIR and {NAMES[CHANNELS[channel]]} overlap by {dice:.2f} only (Dice), "
                f"expected {ALIGNED} or more; the patient moved, or it is another head"
            )


def _motion(head: Head, present: list[int]) -> Iterator[str]:
    """Neighbouring slices of FLAIR that do not fit together."""
    del present
    if len(head.slices) < _FEW:
        return
    inside = inside_head(head.stacks[..., _FLAIR].astype(np.float32))
    steady = float(np.median([overlap(a, b) for a, b in pairwise(inside)]))
    if steady < STEADY:
        yield f"motion: the head jumps between neighbouring slices of FLAIR (Dice {steady:.2f}, expected {STEADY})"


def _size(volumes: Mapping[Role, Volume]) -> Iterator[str]:
    """A head of an impossible size."""
    flair = volumes["flair"]
    inside = inside_head(flair.voxels) if flair.voxels.shape[0] > 1 else flair.voxels > 0
    lengths = []
    for axis in range(3):
        along = np.flatnonzero(inside.mean(axis=tuple(other for other in range(3) if other != axis)) > _THIN)
        lengths.append((along[-1] - along[0] + 1) * flair.grid.spacing[axis] if along.size else 0.0)
    longest = max(lengths)
    if not LENGTH_MM[0] <= longest <= LENGTH_MM[1]:
        yield (
            f"size: the head is {longest:.0f} mm long, expected {LENGTH_MM[0]:.0f} to {LENGTH_MM[1]:.0f} mm; "
            "check body part and pixel spacing"
        )


_CHECKS: Final[tuple[Callable[[Head, list[int]], Iterator[str]], ...]] = (
    _scalp, _saturation, _field_of_view, _alignment, _motion,
)  # fmt: skip
