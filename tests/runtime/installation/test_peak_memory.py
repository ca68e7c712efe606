"""Peak memory of this process."""

from __future__ import annotations

import numpy as np

from brainseg_runtime.installation.peak_memory import peak_rss_mib


def test_peak_memory_grows_with_what_is_held() -> None:
    before = peak_rss_mib()
    assert before is not None
    held = np.ones(64 << 20, np.uint8)
    after = peak_rss_mib()
    assert after is not None
    assert after >= before
    assert after > held.nbytes / 2**20
