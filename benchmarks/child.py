"""A process of its own that does one thing and says what it took: `python -m benchmarks.child JSON`.

    first   load a model and make one mask, then end; who started it takes the time
    peak    load a model, make masks of one size, and tell the peak of resident memory
    growth  load a model, make masks of mixed sizes, and tell how much memory grew after the first round
    serve   load a model and make a batch's masks for every line on standard input
    train   take some training steps for every line on standard input
    score   score made slices as they come, and tell the peak of resident memory

Nothing is imported here that the measured way would not import itself.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    Segment = Callable[[NDArray[np.uint8]], object]


def main(arguments: list[str]) -> int:
    """Do one thing and write one line of JSON."""
    asked = json.loads(arguments[0])
    if asked["what"] == "score":
        return _score(asked)
    if asked["what"] == "train":
        return _train(asked)
    segment = _torch(asked) if asked["engine"] == "pytorch" else _runtime(asked)
    return {"first": _first, "peak": _peak, "growth": _growth, "serve": _serve}[asked["what"]](segment, asked)


def _runtime(asked: dict[str, str]) -> Segment:
    from brainseg_runtime import Segmenter

    segmenter = Segmenter.load(
        asked["bundle"], provider=asked["provider"], variant=asked["variant"], threads=int(asked["threads"])
    )
    return segmenter.predict_batch


def _torch(asked: dict[str, str]) -> Segment:
    """As a short script with PyTorch would: weights from a file, eager fp32."""
    import torch
    from safetensors.torch import load_file

    from brainseg_train.models import build
    from brainseg_train.models.pipeline import InferencePipeline

    torch.set_num_threads(int(asked["threads"]))
    network = build(asked["network"])
    network.load_state_dict(load_file(asked["weights"]))
    pipeline = InferencePipeline(network).eval()

    def segment(images: NDArray[np.uint8]) -> object:
        with torch.inference_mode():
            return pipeline(torch.from_numpy(images))

    return segment


def _first(segment: Segment, asked: dict[str, str]) -> int:
    segment(_slices(int(asked["batch"]), 256, 256))
    return _say(done=True)


def _peak(segment: Segment, asked: dict[str, str]) -> int:
    images = _slices(int(asked["batch"]), 256, 256)
    for _ in range(20):
        segment(images)
    return _say(peak_rss_mib=_resident("VmHWM"))


def _growth(segment: Segment, asked: dict[str, str]) -> int:
    shapes = [(64 + 16 * (step % 13), 80 + 16 * (step * 7 % 11)) for step in range(100)]
    rounds = int(asked["rounds"])
    resident = []
    for _ in range(rounds):
        for height, width in shapes:
            segment(_slices(1, height, width))
        resident.append(_resident("VmRSS"))
    return _say(calls=(rounds - 1) * len(shapes), growth_mib=resident[-1] - resident[0])


def _serve(segment: Segment, asked: dict[str, str]) -> int:
    images = _slices(int(asked["batch"]), 256, 256)
    segment(images)
    _say(ready=True)
    for _ in sys.stdin:
        segment(images)
        _say(done=True)
    return 0


def _train(asked: dict[str, str]) -> int:
    """Steps as `brainseg-train` takes them, on made slices."""
    import torch

    from brainseg_train.config import TrainConfig
    from brainseg_train.learning.device import place
    from brainseg_train.learning.learner import Learner

    batch, side = int(asked["batch"]), 128
    torch.set_num_threads(int(asked["threads"]))
    config = TrainConfig(model=asked["network"], width=16, batch=batch, device="cpu")
    learner = Learner(config, place(config))
    drawn = torch.rand(batch, 4, side, side, generator=torch.Generator().manual_seed(0))
    images, masks = drawn[:, :3], (drawn[:, 3:] > 0.9).float()
    learner.step(images, masks, config.rate)
    _say(ready=True)
    for _ in sys.stdin:
        for _ in range(int(asked["steps"])):
            learner.step(images, masks, config.rate)
        _say(done=True)
    return 0


def _score(asked: dict[str, str]) -> int:
    {"scikit-learn": _score_at_once, "brainseg, the seven": _score_as_they_come}[asked["engine"]](
        int(asked["slices"]), int(asked["batch"])
    )
    return _say(peak_rss_mib=_resident("VmHWM"))


def _score_at_once(slices: int, _: int) -> None:
    from benchmarks.made_scores import made_volume
    from benchmarks.scoring import scores

    scores(*made_volume(slices))


def _score_as_they_come(slices: int, batch: int) -> None:
    from itertools import islice

    import numpy as np

    from benchmarks.made_scores import made_slices
    from brainseg_runtime.metrics import Counts, count
    from brainseg_runtime.metrics.histogram import Histogram

    counts, histogram = Counts.total([]), Histogram.empty()
    made = made_slices(slices)
    while part := list(islice(made, batch)):
        mask, probability, truth = (np.stack(arrays) for arrays in zip(*part, strict=True))
        counts += count(mask, truth)
        histogram += Histogram.of(probability, truth)
    if histogram.roc_auc() is None or not counts.tp:
        raise RuntimeError("nothing was scored")


def _slices(count: int, height: int, width: int) -> NDArray[np.uint8]:
    import numpy as np

    rows, columns = np.mgrid[:height, :width]
    one = ((rows * 3 + columns * 5) % 256).astype(np.uint8)
    return np.broadcast_to(one[None, :, :, None], (count, height, width, 3)).copy()


def _resident(name: str) -> float:
    """Of this process, MiB: now (VmRSS) or at most (VmHWM). `ru_maxrss` would count the process that started this."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    return float("nan")


def _say(**values: object) -> int:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
