"""Evaluates models, or predicted masks, on patients with true masks.

    dataset.py          a data set and a model: slices are read ahead, predicted and scored
    predicted_masks.py  a data set and predicted masks: found by name, read and scored
    evaluate.py         the loop that both go through, and training's look at the test subset: slices stream by
    tally.py            what is kept of a patient: counts and sums; the patient's scores at its end
    summary.py          all tallies to an `Evaluation`: averages, curves, sites; volume_summary.py its volumes
    notes.py            intervals, and the reasons for what is missing
    stress.py           a model on patients perturbed in each way of `perturbations`, to a `StressTable`
                        (stress_table.py, as JSON has it; stress_rows.py its rows)
    result.py           `Evaluation`, as JSON has it; volume_scores.py its records of volumes
    rows.py, page.py    what the terminal and `brainseg evaluate --report` show (page.html; charts.py its charts)

Scores come from the table in `metrics/scores.py`; none is listed here. test_evaluate.py tests result.py, tally.py,
summary.py, notes.py, volume_scores.py and volume_summary.py, test_page.py charts.py, and
tests/runtime/metrics/test_made_up_score.py rows.py. test_stress.py tests stress_table.py and stress_rows.py.
"""
