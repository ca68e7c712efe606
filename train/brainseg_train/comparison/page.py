"""The page of a comparison: scores with intervals, the paired test, patients, curves, tuning, pictures, origin.

It is made from records alone and is one file that loads nothing.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image

from brainseg_runtime.html.markup import Html, element
from brainseg_runtime.html.page import (
    NOT_DEFINED,
    Section,
    badge,
    facts,
    figure_png,
    grid,
    interval_text,
    key,
    note,
    page,
    swatch,
    table,
)
from brainseg_runtime.images.overlay import BOTH, PREDICTION, TRUTH
from brainseg_runtime.plurals import counted
from brainseg_runtime.safe_io import files
from brainseg_train.comparison.charts import colour, learning_charts, patient_charts, pixel_charts
from brainseg_train.comparison.leaderboard import LEAK, metrics, score, score_text, subtitle
from brainseg_train.comparison.subsets import parts_tables
from brainseg_train.comparison.test_scores import TestPicture, TestRecord, load_test
from brainseg_train.errors import RecordError
from brainseg_train.runs import records
from brainseg_train.tuning.progress import duration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from brainseg_train.tuning.study import Study

_BADGES: Final[Mapping[str, str]] = {"complete": "pass", "pruned": "warning", "interrupted": "warning"}
NO_INTERVAL: Final = "there are too few patients"
"""Why the interval of a mean may be missing, where the record does not say it."""

_PICTURE_BYTES: Final = 16 << 20  # a PNG of 512×512 takes some 300 KiB


def write_report(current: Study, board: Mapping[str, Any]) -> Path:
    """Write `report.html` into the folder of runs.

    Args:
        current: A complete study.
        board: Its leaderboard.

    Returns:
        The page's path.

    Raises:
        RecordError: A record is missing or damaged.
        FileWriteError: The system refused; an old page stands.
    """
    tests = [load_test(current, row["model"]) for row in board["rows"]]
    sections = [
        Section(title="Result", parts=_result(board)),
        Section(title="Comparison", parts=[subtitle(board), _comparison(board)]),
        Section(title="Detection by slice", parts=_detection(board)),
        Section(title="Is the order more than noise?", parts=_order(board)),
        Section(title="Data", parts=parts_tables(current, board, tests[0].evaluation)),
        Section(title="Patients", parts=[grid(patient_charts(tests)), _patients(tests)]),
        Section(title="Best, median and worst patient", parts=_pictures(current, tests)),
        Section(title="Curves over all pixels", parts=[grid(pixel_charts(tests))]),
        Section(title="Learning", parts=[grid(learning_charts(current, board))]),
        Section(title="Tuning", parts=_tuning(board)),
        Section(title="What ran", parts=[_origin(current, board)]),
    ]
    title = f"Comparison of {_listed([test.model for test in tests])}"
    lead = "Segmentation of brain tumours in MRI slices. For research; not a medical device."
    footer = f"Averaging: {tests[0].evaluation.averaging}."
    path = current.runs / "report.html"
    files.write_text(path, page(title, sections, lead=lead, footer=footer))
    return path


def _result(board: Mapping[str, Any]) -> list[Html]:
    """The figures that most readers come for."""
    first = board["rows"][0]
    volume, interval = first["test"]["volume_dice"], first["test"]["volume_dice"]["ci95"]
    tiles = facts(
        [
            ("First by Dice", first["model"]),
            ("Volume Dice, mean over test patients", volume["mean"]),
            ("its 95 % interval", interval_text(*interval) if interval else None),
            ("median patient", volume["median"]),
            ("worst patient", volume["min"]),
            ("Dice over all pixels", first["test"]["pooled"]["dice"]),
        ]
    )
    warning = [note(LEAK, kind="fail")] if board["leaky"] else []
    missing = [] if interval else [note(f"No interval of the mean: {volume.get('ci95_reason') or NO_INTERVAL}.")]
    return [*warning, tiles, *missing, note(board["verdict"], kind="pass" if _sure(board) else "info")]


def _comparison(board: Mapping[str, Any]) -> Html:
    """Every metric of every network, the best of each line set off."""
    rows = board["rows"]
    lines: list[list[object]] = []
    for metric in metrics():
        values = [score(row["test"], metric)[0] for row in rows]
        best = max((value for value in values if value is not None), default=None)
        texts = [score_text(row["test"], metric) for row in rows]
        cells = [
            element("strong" if value is not None and value == best else "span", {"class": "nowrap"}, text)
            for value, text in zip(values, texts, strict=True)
        ]
        lines.append([metric.group, metric.name, *cells])
    for index in range(len(lines) - 1, 0, -1):
        if lines[index][0] == lines[index - 1][0]:
            lines[index][0] = ""
    lines += [
        ["Validation", "mean volume Dice at 128×128", *(f"{row['validation']['dice']:.3f}" for row in rows)],
        ["Network", "parameters", *(f"{row['parameters']:,}" for row in rows)],
        ["", "configuration", *(row["chosen"] for row in rows)],
        ["", "epochs, best epoch", *(f"{row['epochs']}, {row['best_epoch']}" for row in rows)],
        ["", "training of the chosen run", *(duration(row["timing"]["seconds"]) for row in rows)],
    ]
    marked = " (split by slice: leaky)" if board["leaky"] else ""
    caption = f"Test scores with 95 % intervals; the best of each line is bold{marked}"
    return table(["", "score", *_heads(board)], lines, caption=caption)


def _detection(board: Mapping[str, Any]) -> list[str]:
    """Was there tumour in a slice, and was any marked."""
    found = [row["test"]["detection"] for row in board["rows"]]
    lines = [
        ["Slices with tumour", "number", *(one["tumour_slices"] for one in found)],
        ["", "missed: nothing marked (false negatives)", *(one["missed"] for one in found)],
        ["", "sensitivity", *(_share(one["tumour_slices"] - one["missed"], one["tumour_slices"]) for one in found)],
        ["Slices without tumour", "number", *(one["healthy_slices"] for one in found)],
        ["", "something marked (false positives)", *(one["false_alarms"] for one in found)],
        [
            "",
            "specificity",
            *(_share(one["healthy_slices"] - one["false_alarms"], one["healthy_slices"]) for one in found),
        ],
    ]
    text = "A slice counts as marked when at least one pixel of it is predicted as tumour, wherever it lies."
    return [text, table(["", "", *_heads(board)], lines)]


def _order(board: Mapping[str, Any]) -> list[Html | str]:
    """The paired tests."""
    rows = [
        [
            element("span", {"class": "nowrap"}, f"{pair['first']} – {pair['second']}"),
            _signed(pair["difference"]),
            interval_text(*(pair["ci95"] or (None, None))),
            _p_text(pair["p_value"]),
            _p_text(pair["p_corrected"]),
            _verdict_badge(pair["more_than_noise"]),
        ]
        for pair in board["comparisons"]
    ]
    patients = board["rows"][0]["test"]["n_patients"]
    caption = (
        f"Paired permutation test over the volume Dice of {counted(patients, 'patient')}, two-sided; corrected by "
        f"Holm for {counted(len(rows), 'pair')}"
    )
    head = ["pair", "mean difference", "95 % interval", "p", "p corrected", ""]
    made = table(head, rows, caption=caption) if rows else Html("")
    return [note(board["verdict"], kind="pass" if _sure(board) else "info"), made, *_reasons(board["comparisons"])]


def _patients(tests: Sequence[TestRecord]) -> Html:
    """Dice of each patient by each network."""
    first = tests[0].evaluation
    others = [test.patient_dice() for test in tests]
    rows = [
        [
            patient.id,
            patient.site,
            patient.n_slices,
            patient.counts.truth,
            *(scores.get(patient.id) for scores in others),
        ]
        for patient in sorted(first.patients, key=lambda patient: -patient.dice)
    ]
    head = ["patient", "site", "slices", "tumour pixels", *_keys(tests)]
    return table(head, rows, caption="Dice of each test patient's volume")


def _pictures(current: Study, tests: Sequence[TestRecord]) -> list[str]:
    """Slices of three patients of each network, with the legend of the outlines."""
    legend = element("p", {}, swatch(TRUTH, "truth"), swatch(PREDICTION, "prediction"), swatch(BOTH, "both"))
    parts: list[str] = [legend]
    for test, name in zip(tests, _keys(tests), strict=True):
        parts.append(element("h3", {}, name))
        for place in dict.fromkeys(picture.place for picture in test.pictures):
            own = [picture for picture in test.pictures if picture.place == place]
            figures = [
                figure_png(_read_png(current.test_folder / picture.file), caption=_caption(picture)) for picture in own
            ]
            text = f"{place.capitalize()}: {own[0].patient}, Dice of the volume {own[0].patient_dice:.3f}"
            parts += [element("h4", {}, text), grid(figures, narrow=True)]
    return parts


def _caption(picture: TestPicture) -> str:
    """What a picture shows."""
    text = f"Slice {picture.number}, {picture.shows}: Dice {picture.slice_dice:.3f}"
    if picture.missed is None or picture.false is None:
        return text
    return f"{text}; {picture.missed:,} pixels missed, {picture.false:,} falsely marked"


def _tuning(board: Mapping[str, Any]) -> list[str]:
    """Every trial, those that were given up included."""
    chosen = {run for row in board["rows"] for run in row["timing"]["runs"]}
    folds = board["folds"] is not None
    rows = [
        [
            key(trial["model"], colour(trial["model"])),
            *([trial["fold"]] if folds else []),
            trial["trial"] + 1,
            trial["configuration"],
            badge("CHOSEN", kind="info") if trial["timing"]["run"] in chosen else "",
            badge(_status_text(trial["status"]), kind=_BADGES.get(trial["status"], "fail")),
            trial["epochs"],
            trial["best_epoch"],
            trial["validation"]["dice"] if trial["validation"] else None,
            duration(trial["timing"]["seconds"]),
        ]
        for trial in board["trials"]
    ]
    head = ["network", *(["fold"] if folds else []), "run", "configuration", "", "ended", "epochs", "best epoch"]
    baseline = board["baseline"]["validation_dice"]
    text = (
        f"Chosen by validation Dice (mean over the validation patients' volumes, at 128×128) among "
        f"{counted(len(rows), 'run')}, {board['search']} search. The best single threshold on FLAIR has "
        f"{baseline:.3f} there; a run still below it after a third of its epochs is given up as hopeless, but not "
        "under the presets paper and shipped."
    )
    return [text, table([*head, "validation Dice", "time"], rows)]


def _origin(current: Study, board: Mapping[str, Any]) -> Html:
    """Where all of this comes from."""
    run = records.load_record(current.runs / board["rows"][0]["timing"]["runs"][0])
    git = run.git or {}
    commit = f"{git.get('commit')}{' with changes' if git.get('dirty') else ''}" if git else "an installed package"
    versions = ", ".join(f"{name} {version}" for name, version in run.versions.items())
    hardware = ", ".join(
        f"{name} {', '.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in run.hardware.items()
    )
    rows: list[tuple[str, object]] = [
        ("study", current.record.id),
        ("preset, seed", f"{board['preset']}, {board['seed']}"),
        ("data", _code(board["data_digest"])),
        ("split", f"by {board['split_by']}{' (leaky)' if board['leaky'] else ''}"),
        ("split digest", _code(board["split_digest"])),
        (
            "precision, device",
            f"{run.precision}, {run.device}, {counted(run.threads, 'thread')} a run",
        ),
        ("versions", versions),
        ("source", _code(commit)),
        ("hardware", hardware),
        ("time of the whole study", duration(current.record.timing.get("seconds", 0.0))),
    ]
    return table(["", ""], rows)


def _read_png(path: Path) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 of a picture that the look at the test part left.

    Raises:
        RecordError: It is missing or damaged.
    """
    files.read_capped(path, _PICTURE_BYTES, error=RecordError)
    try:
        with Image.open(path, formats=["PNG"]) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError) as error:
        raise RecordError(f"{path} is damaged", expected="a PNG", got=str(error)) from error


def _sure(board: Mapping[str, Any]) -> bool:
    """Whether any pair of networks is told apart."""
    return any(pair["more_than_noise"] for pair in board["comparisons"])


def _verdict_badge(more_than_noise: bool | None) -> Html:
    """What the test says of a pair; None where so few patients differ that it can say nothing."""
    if more_than_noise is None:
        return badge("TOO FEW PATIENTS", kind="warning")
    return badge("MORE THAN NOISE", kind="pass") if more_than_noise else badge("NOT TOLD APART", kind="info")


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


def _signed(value: float | None) -> str:
    """A difference with its sign."""
    return NOT_DEFINED if value is None else f"{value:+.3f}"


def _share(part: int, whole: int) -> str | None:
    """A share in per cent; None of nothing."""
    return f"{100 * part / whole:.1f} %" if whole else None


def _heads(board: Mapping[str, Any]) -> list[Html]:
    """Rank and name of each network, with its colour."""
    return [key(f"{row['rank']}. {row['model']}", colour(row["model"])) for row in board["rows"]]


def _keys(tests: Sequence[TestRecord]) -> list[Html]:
    """The networks' names, each with its colour."""
    return [key(test.model, colour(test.model)) for test in tests]


def _status_text(status: str) -> str:
    """How a trial ended, for the table."""
    return {"pruned": "HOPELESS"}.get(status, status.upper())


def _code(text: object) -> Html:
    """A digest or a name, in the type of code."""
    return element("code", {}, text)


def _listed(names: Sequence[str]) -> str:
    """`a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
