"""Checkpoints: `weights`, a run's best; `resume`, its exact states; `tensor_files`, how both are kept on disk.

`weights`, `resume` and `tensor_files` are tested together by `tests/train/checkpoint/test_checkpoint.py`.
"""

from brainseg_train.checkpoint.resume import ResumeState, drop_resume, load_resume, save_resume
from brainseg_train.checkpoint.weights import (
    BEST,
    WeightsInfo,
    drop_weights,
    fill,
    load_network,
    load_weights,
    read_info,
    save_weights,
)

__all__ = [
    "BEST",
    "ResumeState",
    "WeightsInfo",
    "drop_resume",
    "drop_weights",
    "fill",
    "load_network",
    "load_resume",
    "load_weights",
    "read_info",
    "save_resume",
    "save_weights",
]
