"""What can go wrong in training, as one tree under the runtime's root.

    BrainsegError                    brainseg_runtime.errors: what, expected, got, remedy
    └── TrainError
        ├── ConfigError              a configuration value or key that is not allowed
        │   └── ModelError           no network has that name or can have that width
        ├── ShapeError               two tensors that must agree in shape do not
        ├── CacheError               the cache folder cannot be written or read
        ├── SplitError               a split cannot be made, or its file is not one
        │   └── LeakageError         two subsets of a split share a patient, a slice or pixels
        ├── PhantomError             a phantom cannot be made as asked
        ├── CheckpointError          a checkpoint is missing, damaged or of another network
        ├── RecordError              a run's or study's record is missing, damaged or contradicts itself
        ├── DeviceError              the requested device or precision is not available
        ├── GroupError               processes that train together differ, or one of them is gone
        ├── DivergedError            training diverged: a loss or gradient is not finite
        └── StudyError               a study cannot go on: nothing completed, or its settings changed

The runtime's errors are raised unchanged: faults in the data (`DatasetError`, `ImageError`), wrong usage (`UsageError`)
and too little memory (`OutOfMemoryError`).
"""

from __future__ import annotations

from brainseg_runtime.errors import BrainsegError


class TrainError(BrainsegError):
    """Any fault that the training stage finds."""


class ConfigError(TrainError):
    """A configuration value or key that is not allowed."""


class ModelError(ConfigError):
    """No network has that name, or none can have that width."""


class ShapeError(TrainError):
    """Two tensors that must agree in shape do not."""


class CacheError(TrainError):
    """The cache folder cannot be written or read."""


class SplitError(TrainError):
    """A split cannot be made from these patients, or its file is not a split."""


class LeakageError(SplitError):
    """Two subsets of a split share a patient, a slice or identical pixels."""


class PhantomError(TrainError):
    """A phantom cannot be made as asked."""


class CheckpointError(TrainError):
    """A checkpoint is missing, damaged or of another network."""


class RecordError(TrainError):
    """A run's or study's record is missing, damaged or contradicts itself."""


class DeviceError(TrainError):
    """The requested device or precision is not available."""


class GroupError(TrainError):
    """Processes that train together have found different things, or one of them has ended."""


class DivergedError(TrainError):
    """Training diverged: a loss or gradient is not finite. The last checkpoint is kept."""


class StudyError(TrainError):
    """A study cannot go on: nothing completed, or its settings changed."""
