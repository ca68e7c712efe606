"""Training: from a folder of patients to weights, and to a study that says which network to take.

From the ground up; a folder imports from those above it in this list alone:

    errors         what can go wrong, as one tree; tested by test_error_trees
    interrupts, system_faults   a request to stop, and what the system refused
    models         three networks, their building blocks, and the pipeline from raw pixels to a mask
    phantom        a made-up data set of drawn heads
    checkpoint     weights and training state on disk
    config         how one run is trained, and with what loss, augmentation and schedule
    data           patients' folders read, checked, split and kept resized in a cache
    importing      DICOM and NIfTI studies with masks made into such folders
    learning       one step and one epoch: batches, augmentation, loss, optimiser, validation
    runs           one run: `fit`, its record, and how it resumes
    tuning         many runs: what a study tries, in which processes, and how far it is
    comparison     the networks of a study compared: test scores, leaderboard, page
    commands       what each sub-command does
    cli            the program, which lists them

A data set goes through `data` into `learning.batches`; `runs.fit` trains on it epoch by epoch, `tuning.search` calls
`fit` for each configuration, and `comparison.conduct` for each network; `comparison.leaderboard` ranks what they found.

What to add where: a network is a file in `models` and its line in the table there; a loss or an augmentation is its
function in `learning` and its setting in `config`; a score is an entry of the table in `brainseg_runtime.metrics`; a
command is a file in `commands`.
"""
