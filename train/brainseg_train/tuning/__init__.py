"""Studies: the request, the configurations that are tried, the processes that try them, and the progress.

The way of a study: `plan` turns a request of the command line into a `study_record.StudyRequest` and opens a `study`;
`tuner` hands out trials of a `search`; `worker` trains them, alone, in a `worker_pool` or under `torchrun`; `progress`
shows it. `baseline` is the score to beat, `file_lock` what keeps processes apart, `launch` what torchrun's
processes know of one that died.

A new parameter to tune: its values in `search.TPE_SPACE` and what it sets in `search.SETTERS`. `plan`, `worker` and
`worker_pool` are tested by `tests/train/comparison/test_conduct.py`, `study_record` by `test_study.py`.
"""
