"""The comparison's page: whole, self-contained, and made from the records alone."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from brainseg_train.comparison.leaderboard import make_leaderboard
from brainseg_train.comparison.page import write_report
from brainseg_train.comparison.test_scores import load_test
from brainseg_train.errors import RecordError, StudyError
from brainseg_train.tuning import study
from tests.train.studies import page_of, run_command, tiny

if TYPE_CHECKING:
    from pathlib import Path

HEADINGS = [
    "Result",
    "Comparison",
    "Detection by slice",
    "Is the order more than noise?",
    "Data",
    "Patients",
    "Best, median and worst patient",
    "Curves over all pixels",
    "Learning",
    "Tuning",
    "What ran",
]


class Page(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_the_page_is_well_formed_and_loads_nothing(compared: Path) -> None:
    page = Page((compared / "report.html").read_text(encoding="utf-8"))
    assert not page.open
    assert page.links
    assert all(link.startswith("data:image/png;base64,") for link in page.links)


def test_it_has_every_section_and_every_network(compared: Path) -> None:
    text = (compared / "report.html").read_text(encoding="utf-8")
    assert re.findall(r"<h2>(.*?)</h2>", text) == HEADINGS
    words = Page(text).words
    assert {"unet", "deeplab", "truth", "prediction", "Volume Dice of each test patient", "ROC, with its area"} <= set(
        words
    )
    assert len(re.findall(r"<h4>(?:Best|Median|Worst): ", text)) == 6
    assert 6 < text.count("<img") <= 18  # up to three slices of the best, median and worst patient of two networks


def rows_of(text: str, title: str) -> list[list[str]]:
    """The cells of every table row under a heading."""
    section = text[text.index(f"<h2>{title}</h2>") :].split("</section>", maxsplit=1)[0]
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", section)
    return [[re.sub("<.*?>", "", cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)] for row in rows]


def test_detection_is_that_of_the_evaluation(compared: Path) -> None:
    current = study.newest_complete(compared)
    head, *rows = rows_of((compared / "report.html").read_text(encoding="utf-8"), "Detection by slice")
    for column, name in enumerate(head[2:], start=2):
        found = load_test(current, name.partition(". ")[2]).evaluation
        patients = [patient.detection for patient in found.patients]
        tumour, missed = sum(one.tumour_slices for one in patients), sum(one.missed for one in patients)
        healthy, marked = sum(one.healthy_slices for one in patients), sum(one.false_alarms for one in patients)
        shares = [f"{100 * (tumour - missed) / tumour:.1f} %", f"{100 * (healthy - marked) / healthy:.1f} %"]
        assert [row[column] for row in rows] == [
            *(str(tumour), str(missed), shares[0]),
            *(str(healthy), str(marked), shares[1]),
        ]


def test_patients_are_counted_by_site_and_part(compared: Path, small_patients: Path) -> None:
    head, *rows = rows_of((compared / "report.html").read_text(encoding="utf-8"), "Data")
    assert head == ["site", "train", "validation", "test", "all"]
    folders = [path for path in small_patients.iterdir() if path.is_dir()]
    by_site = Counter(path.name.split("_")[1] for path in folders)
    assert {row[0]: int(row[-1]) for row in rows[:-2]} == by_site
    everyone, slices = rows[-2:]
    assert [int(cell) for cell in everyone[1:]] == [14, 3, 3, 20]
    assert int(slices[-1]) == len(list(small_patients.glob("*/*_mask.tif")))
    columns = list(zip(*([int(cell) for cell in row[1:]] for row in rows[:-2]), strict=True))
    assert [sum(column) for column in columns] == [14, 3, 3, 20]


def test_a_network_has_one_colour_in_all_charts_and_tables(compared: Path) -> None:
    text = (compared / "report.html").read_text(encoding="utf-8")
    colours: dict[str, set[str]] = {"unet": set(), "deeplab": set()}
    samples = re.findall(r'class="(?:line|dot|bar) (s\d)[^"]*"[^>]*>(?:</\w+>)*</svg>([^<]+)<', text)
    for colour, name in samples:
        words = re.findall(r"unet|deeplab", name)
        if words:
            colours[words[0]].add(colour)
    assert colours == {"unet": {"s0"}, "deeplab": {"s2"}}
    assert len(samples) > 12


def test_epochs_are_whole_numbers(compared: Path) -> None:
    text = (compared / "report.html").read_text(encoding="utf-8")
    charts = [chart for chart in re.findall(r"<svg viewBox=\"0 0 560.*?</svg>", text) if ">epoch</text>" in chart]
    assert len(charts) == 2
    for chart in charts:
        ticks = re.findall(r'<text class="tick" x="[\d.]+" y="305" text-anchor="middle">([^<]*)<', chart)
        assert ticks == ["1", "2"]


def test_what_has_too_few_patients_for_a_figure_says_so(compared: Path) -> None:
    current = study.newest_complete(compared)
    board = make_leaderboard(current)
    for row in board["rows"]:
        row["test"]["volume_dice"]["ci95"] = None
    for pair in board["comparisons"]:
        pair |= {"ci95": None, "ci95_reason": "all differences are equal", "reason": "3 patients are too few"}
        pair |= {"p_value": None, "p_corrected": None, "more_than_noise": None}
    text = page_of(current, board)
    assert "No interval of the mean: there are too few patients." in text
    pair = board["comparisons"][0]
    names = f"{pair['first']} – {pair['second']}"
    assert f"No interval ({names}): all differences are equal." in text
    assert f"No p-value ({names}): 3 patients are too few." in text
    assert "TOO FEW PATIENTS" in text
    assert [row[2:5] for row in rows_of(text, "Is the order more than noise?")[1:]] == [["\N{EM DASH}"] * 3]


def test_records_with_one_picture_a_patient_still_make_a_page(compared: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    shutil.copytree(compared, runs)
    for record in runs.glob("studies/*/test/*.json"):
        value = json.loads(record.read_text(encoding="utf-8"))
        value["pictures"] = [
            {name: item for name, item in picture.items() if name not in ("shows", "missed", "false")}
            for picture in value["pictures"]
            if picture["shows"] == "most tumour"
        ]
        record.write_text(json.dumps(value), encoding="utf-8")
    assert run_command("report", str(runs)) == 0
    assert (runs / "report.html").read_text(encoding="utf-8").count("<img") == 6


def test_over_folds_the_data_is_counted_by_fold(small_patients: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    arguments = tiny(small_patients, runs, "--models", "unet", "--folds", "4")
    assert run_command("all", *arguments) == 0
    text = (runs / "report.html").read_text(encoding="utf-8")
    rows = rows_of(text, "Data")
    folds = rows[rows.index(["fold", "train", "validation", "test"]) + 1 :]
    patients = [[int(cell.split(" / ")[0]) for cell in row[1:]] for row in folds]
    slices = [[int(cell.split(" / ")[1]) for cell in row[1:]] for row in folds]
    assert [sum(row) for row in patients] == [20] * 4
    assert sum(row[2] for row in patients) == 20
    total = len(list(small_patients.glob("*/*_mask.tif")))
    assert [sum(row) for row in slices] == [total] * 4
    assert rows[rows.index(["fold", "train", "validation", "test"]) - 1] == ["all", "20", str(total)]


def test_by_slice_a_patient_counts_in_every_part_that_has_a_slice(small_patients: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    arguments = tiny(small_patients, runs, "--models", "unet", "--split-by", "slice")
    assert run_command("all", *arguments) == 0
    (path,) = (runs / "splits").glob("*.json")
    split = json.loads(path.read_text(encoding="utf-8"))
    parts = [split[part] for part in ("train", "validation", "test")]
    everyone, slices = rows_of((runs / "report.html").read_text(encoding="utf-8"), "Data")[-2:]
    patients = [len({re.sub(r"_\d+$", "", name) for name in part}) for part in parts]
    assert everyone == ["all patients", *map(str, patients), "20"]
    assert slices[1:4] == [str(len(part)) for part in parts]


def test_it_is_made_again_without_data_or_weights(compared: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    shutil.copytree(compared, runs)
    for weights in runs.glob("*/*.safetensors"):
        weights.unlink()
    for name in ("leaderboard.json", "leaderboard.md", "report.html"):
        (runs / name).unlink()
    assert run_command("report", str(runs)) == 0
    for name in ("leaderboard.json", "leaderboard.md", "report.html"):
        assert (runs / name).read_bytes() == (compared / name).read_bytes()


def test_a_damaged_picture_is_named(compared: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    shutil.copytree(compared, runs)
    current = study.newest_complete(runs)
    picture = next(current.test_folder.glob("*.png"))
    picture.write_bytes(picture.read_bytes()[:100])
    with pytest.raises(RecordError, match=picture.name):
        write_report(current, make_leaderboard(current))


def test_an_empty_folder_has_no_report(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no complete study"):
        study.newest_complete(tmp_path)


def test_pruned_and_failed_runs_stand_in_the_tuning_table(compared: Path) -> None:
    current = study.newest_complete(compared)
    board = make_leaderboard(current)
    board["trials"][0]["status"] = "pruned"
    board["trials"][1]["status"] = "failed"
    text = page_of(current, board)
    assert "PRUNED" in text
    assert "FAILED" in text


def test_a_leaky_comparison_warns_at_the_top(compared: Path) -> None:
    current = study.newest_complete(compared)
    text = page_of(current, {**make_leaderboard(current), "leaky": True})
    assert text.index("Split by slice") < text.index("<dl")
    assert "leaky" in text[text.index("<table") : text.index("</table")]
