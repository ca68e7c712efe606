"""Load, predict and evaluate under an audit hook; tells every event that touches the world outside.

python -m tests.reliability.quiet_run BUNDLE PROVIDER
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path

WATCHED = ("socket", "subprocess", "os.system", "os.exec", "os.fork", "os.spawn", "os.posix_spawn", "urllib", "ftplib",
           "http", "smtplib", "webbrowser", "winreg", "shutil", "tempfile", "os.remove", "os.rename", "os.mkdir",
           "os.putenv", "os.chdir", "os.truncate", "pickle.find_class", "ctypes.dlopen")  # fmt: skip


def main(bundle: str, provider: str) -> None:
    """Import everything first, so that what is left is what loading and predicting do."""
    import numpy as np

    from brainseg_runtime import Segmenter
    from brainseg_runtime.evaluation.evaluate import Case, evaluate

    seen: list[str] = []

    def hook(event: str, arguments: Iterable[object]) -> None:
        if event == "open":
            path, mode, flags = arguments
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            seen.append(f"{'write' if writes or 'w' in str(mode) else 'read'} {path}")
        elif event.startswith(WATCHED):
            seen.append(f"{event} {list(arguments)[:2]}")

    sys.addaudithook(hook)
    segmenter = Segmenter.load(bundle, provider=provider)
    images = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    segmenter.predict(images[0])
    segmenter.predict_batch(images)
    volume = segmenter.predict_volume(images)
    truth = np.zeros((64, 64), np.uint8)
    cases = [Case(patient_id="p", slices=[(n, images[n], truth) for n in range(3)])]
    evaluate(cases, lambda _: (volume.mask, volume.probability), threshold=0.5)
    Path(os.devnull).write_text(json.dumps(seen), encoding="utf-8")  # proves that the hook is on
    sys.stdout.write(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
