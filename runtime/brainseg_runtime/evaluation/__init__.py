"""Models and predicted masks evaluated on patients whose true masks are known.

    dataset.py          a data set and a model: slices are read ahead, predicted and scored
    predicted_masks.py  a data set and predicted masks: found by name, read and scored
    evaluate.py         the loop that both go through, and training's look at the test subset: slices stream by
    tally.py            what is kept of a patient: counts and sums; the patient's scores at its end
    summary.py          all tallies to an `Evaluation`: averages, intervals, reasons for what is missing
    result.py           `Evaluation`, as JSON has it; volume_scores.py its records of volumes
    rows.py, page.py    what the terminal and `brainseg evaluate --report` show (page.html)

Scores come from the table in `metrics/scores.py`; none is listed here. result.py, tally.py, summary.py and
volume_scores.py are tested by test_evaluate.py, rows.py by tests/runtime/metrics/test_made_up_score.py.
"""
