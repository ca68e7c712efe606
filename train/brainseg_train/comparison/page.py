"""The page of a comparison: scores with intervals, the paired test, patients, curves, tuning, pictures, origin.

It is made from records alone and is one file that loads nothing. `page.html` is the page; this module gives it rows.
"""

from __future__ import annotations

import math
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image

from brainseg_runtime.html.page import NOT_DEFINED, render
from brainseg_runtime.images.overlay import BOTH, PREDICTION, TRUTH
from brainseg_runtime.plurals import counted
from brainseg_runtime.safe_io import files
from brainseg_train.comparison.charts import colour, learning_charts, patient_charts, pixel_charts
from brainseg_train.comparison.leaderboard import LEAK, metrics, score, score_text, subtitle
from brainseg_train.comparison.subsets import subset_tables
from brainseg_train.comparison.test_scores import TestPicture, load_test
from brainseg_train.errors import RecordError
from brainseg_train.runs import records
from brainseg_train.tuning.progress import duration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from brainseg_train.tuning.study import Study

_BADGES: Final = {"complete": "pass", "pruned": "warning", "interrupted": "warning"}
"""Kind of badge of a run that ended; a failed one has another."""

NO_INTERVAL: Final = "there are too few patients"
"""Why the interval of a mean may be missing, where the record does not say it."""

_PICTURE_BYTES: Final = 16 << 20  # a PNG of 512×512 takes some 300 KiB


def write_report(current: Study, board: Mapping[str, Any]) -> Path:
    """Write `report.html` into the folder of runs.

    Returns:
        The page's path.

    Raises:
        RecordError: A record is missing or damaged.
        FileWriteError: The system refused; an old page stands.
    """
    tests = [load_test(current, row["model"]) for row in board["rows"]]
    path = current.runs / "report.html"
    text = render(
        Path(__file__).with_name("page.html"),
        title=f"Comparison of {_listed([test.model for test in tests])}",
        board=board,
        tests=tests,
        leak=LEAK,
        no_interval=board["rows"][0]["test"]["volume_dice"].get("ci95_reason") or NO_INTERVAL,
        subtitle=subtitle(board),
        lines=_lines(board["rows"]),
        about=_about(board["rows"]),
        detection=_detection(board["rows"]),
        order_caption=_order_caption(board),
        reasons=_reasons(board["comparisons"]),
        data=subset_tables(current, board, tests[0].evaluation),
        patient_charts=patient_charts(tests),
        pixel_charts=pixel_charts(tests),
        learning_charts=learning_charts(current, board),
        truth=TRUTH,
        prediction=PREDICTION,
        both=BOTH,
        pixels=lambda picture: _read_png(current.test_folder / picture.file),
        tuning_text=_tuning_text(board),
        chosen={run for row in board["rows"] for run in row["timing"]["runs"]},
        origin=_origin(current, board),
        **_FUNCTIONS,
    )
    files.write_text(path, text)
    return path


def _lines(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, object]]:
    """Every metric of every network, with the places of the best; a group's name stands on its first line."""
    lines: list[dict[str, object]] = []
    group = ""
    for metric in metrics():
        values = [score(row["test"], metric)[0] for row in rows]
        highest = max((value for value in values if value is not None), default=None)
        best = {place for place, value in enumerate(values) if value is not None and value == highest}
        texts = [score_text(row["test"], metric) for row in rows]
        name = "" if metric.group == group else metric.group
        lines.append({"group": name, "name": metric.name, "texts": texts, "best": best})
        group = metric.group
    return lines


def _about(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Further lines about each network."""
    return [
        ["Validation", "mean volume Dice at 128×128", *(f"{row['validation']['dice']:.3f}" for row in rows)],
        ["Network", "parameters", *(f"{row['parameters']:,}" for row in rows)],
        ["", "configuration", *(row["chosen"] for row in rows)],
        ["", "epochs, epoch kept", *(f"{row['epochs']}, {row['best_epoch']}" for row in rows)],
        ["", "training of the chosen run", *(duration(row["timing"]["seconds"]) for row in rows)],
    ]


def _detection(rows: Sequence[Mapping[str, Any]]) -> list[list[object]]:
    """Detection by slice: whether there was tumour, and whether any was marked."""
    found = [row["test"]["detection"] for row in rows]

    def correct(slices: str, faults: str) -> list[str | None]:
        return [_percent(one[slices] - one[faults], one[slices]) for one in found]

    return [
        ["Slices with tumour", "number", *(one["tumour_slices"] for one in found)],
        ["", "nothing marked (false negatives)", *(one["missed"] for one in found)],
        ["", "sensitivity", *correct("tumour_slices", "missed")],
        ["Slices without tumour", "number", *(one["healthy_slices"] for one in found)],
        ["", "something marked (false positives)", *(one["false_alarms"] for one in found)],
        ["", "specificity", *correct("healthy_slices", "false_alarms")],
    ]


def _order_caption(board: Mapping[str, Any]) -> str:
    """How the networks were compared."""
    patients = counted(board["rows"][0]["test"]["n_patients"], "patient")
    pairs = counted(len(board["comparisons"]), "pair")
    return f"Paired permutation test over the volume Dice of {patients}, two-sided; corrected by Holm for {pairs}"


def _tuning_text(board: Mapping[str, Any]) -> str:
    """How the runs were chosen."""
    return (
        f"Chosen by validation Dice (mean over the validation patients' volumes, at 128×128) among "
        f"{counted(len(board['trials']), 'run')}, {board['search']} search. The best single threshold on FLAIR has "
        f"{board['baseline']['validation_dice']:.3f} there; a run still below it after a third of its epochs is "
        "pruned, but not under the presets paper and shipped."
    )


def _origin(current: Study, board: Mapping[str, Any]) -> list[tuple[str, object, bool]]:
    """Origin of the results: name, value, and whether the value is an identifier such as a digest."""
    run = records.load_record(current.runs / board["rows"][0]["timing"]["runs"][0])
    git = run.git or {}
    commit = f"{git.get('commit')}{' with changes' if git.get('dirty') else ''}" if git else "an installed package"
    hardware = (
        f"{name} {', '.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in run.hardware.items()
    )
    return [
        ("study", current.record.id, False),
        ("preset, seed", f"{board['preset']}, {board['seed']}", False),
        ("data", board["data_digest"], True),
        ("split", f"by {board['split_by']}{' (leaky)' if board['leaky'] else ''}", False),
        ("split digest", board["split_digest"], True),
        ("precision, device", f"{run.precision}, {run.device}, {counted(run.threads, 'thread')} a run", False),
        ("versions", ", ".join(f"{name} {version}" for name, version in run.versions.items()), False),
        ("source", commit, True),
        ("hardware", ", ".join(hardware), False),
        ("time of the whole study", duration(current.record.timing.get("seconds", 0.0)), False),
    ]


def _by_place(pictures: Sequence[TestPicture]) -> list[tuple[str, list[TestPicture]]]:
    """The pictures of the best, the median and the worst patient."""
    return [(place, list(shown)) for place, shown in groupby(pictures, key=lambda picture: picture.place)]


def _caption(picture: TestPicture) -> str:
    """What a picture shows."""
    text = f"Slice {picture.number}, {picture.shows}: Dice {picture.slice_dice:.3f}"
    if picture.missed is None or picture.false is None:
        return text
    return f"{text}; {picture.missed:,} pixels missed, {picture.false:,} falsely marked"


def _read_png(path: Path) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 of a recorded picture.

    Raises:
        RecordError: It is missing or damaged.
    """
    files.read_capped(path, _PICTURE_BYTES, error=RecordError)
    try:
        with Image.open(path, formats=["PNG"]) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError) as error:
        raise RecordError(f"{path} is damaged", expected="a PNG", got=str(error)) from error


def _reasons(pairs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Why comparisons have no interval or no p-value, a sentence a reason."""
    named: dict[tuple[str, str], list[str]] = {}
    for what, key_of_reason in (("No interval", "ci95_reason"), ("No p-value", "reason")):
        for pair in pairs:
            if reason := pair.get(key_of_reason):
                named.setdefault((what, reason.rstrip(".")), []).append(f"{pair['first']} – {pair['second']}")
    return [f"{what} ({', '.join(names)}): {reason}." for (what, reason), names in named.items()]


def _p_text(p: float | None) -> str:
    """A p-value with three digits."""
    return NOT_DEFINED if p is None or math.isnan(p) else f"{p:.3f}" if p >= 0.001 else f"{p:.1e}"


def _percent(part: int, whole: int) -> str | None:
    """A fraction in per cent; None of nothing."""
    return f"{100 * part / whole:.1f} %" if whole else None


def _ended(status: str) -> tuple[str, str]:
    """How a trial ended, and the kind of its badge."""
    return status.upper(), _BADGES.get(status, "fail")


def _listed(names: Sequence[str]) -> str:
    """`a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


_FUNCTIONS: Final[Mapping[str, Callable[..., object]]] = {
    "by_place": _by_place,
    "caption": _caption,
    "colour": colour,
    "duration": duration,
    "ended": _ended,
    "p_text": _p_text,
}
"""What the template calls."""
