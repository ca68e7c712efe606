"""The campaign that the shipped networks come from: many runs, by a budget of time, on a GPU or a processor.

    python -m experiments pack data/kaggle_3m set.npz
    python -m experiments run --data set.npz --out campaign --budget 12m --device cuda
    python -m experiments table campaign
    python -m experiments sheet data/kaggle_3m sheet.png
    python -m experiments halve campaign/runs/deeplab-final models/deeplab

From the ground up: `job` is one run that is planned and `plan` all of them; `packed` is a data set in one file, for a
machine that has no more than that file; `cases` are the perturbed slices that a network is measured on; `folder` is
what a campaign leaves behind, and `keep` makes a run's folder of trained weights. `resident` trains one network with
a CUDA graph a step, `beside` many of them side by side on one GPU, `in_turn` one after another by
`brainseg_train.runs.fit`. `campaign` chooses among these, `tables` compares patient by patient, `sheet` shows the
maps of heads by eye, and `halves` ships a run's weights at half their size.

What is done is not done again: a campaign that was cut goes on where `results.jsonl` ends.
"""
