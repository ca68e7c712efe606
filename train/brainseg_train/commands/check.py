"""`brainseg-train check`: what a data set holds, and everything that is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from brainseg_runtime.errors import DatasetError
from brainseg_runtime.safe_io.output_paths import check_outputs
from brainseg_runtime.terminal.application import command
from brainseg_runtime.terminal.command import DONE, FAULT
from brainseg_runtime.terminal.console import Console
from brainseg_train.commands.options import PersonOption
from brainseg_train.commands.patients import slices_read
from brainseg_train.commands.study import as_usage
from brainseg_train.data.persons import PersonRule


@command("brainseg-train check data/kaggle_3m --json check.json")
def check(
    console: Console,
    *,
    data: Annotated[Path, typer.Argument(help="Folder of patient folders.")],
    person_from: PersonOption = None,
) -> int:
    """Check a data set and show what it holds. Everything that is wrong is listed at once, with the file's name.

    The JSON has: data, digest, size, n_patients, n_slices, n_tumour_slices, burden (mean, median, min, max), sites,
    patients, n_persons, persons, persons_with_several, missing_sequences, repeated_slices, duplicates, left_out. Of a
    faulty set: data, fault (what, problems, remedy).
    """
    from brainseg_train.data.check import check as check_data

    check_outputs({"--json": console.json_target}, folders=[data])
    with as_usage():
        rule = PersonRule.read(person_from)
    try:
        with slices_read(console) as on_slice:
            found = check_data(data, rule=rule, on_slice=on_slice)
    except DatasetError as error:
        console.fault(error)
        console.record_problems(error, {"data": str(data)})
        return FAULT
    console.say(found.to_text())
    console.emit(found.to_json())
    return DONE
