"""The words and names by which the runtime tells series apart, as the page reads them: `web/src/studies/wording.json`.

The page's rules are its own, in TypeScript; the vocabulary is the runtime's. After a change of it:

    python -m tests.web.core.wording_table > web/src/studies/wording.json
"""

from __future__ import annotations

import json
import re
import sys

from brainseg_runtime.studies.nifti import names
from brainseg_runtime.studies.roles import choice, contrast, sequences, wording

_OF_WORDING = (
    "_FLAIR", "_T1", "_T2", "_FAT", "_NOT_CONTRAST", "_BOTH", "_NO_SUPPRESSION", "_NEGATED", "_BEFORE", "_AFTER",
    "_PLUS", "_MINUS", "_EITHER", "_SUBJECT",
)  # fmt: skip


def table() -> dict[str, object]:
    """Every pattern as its source, every list as it is."""
    words: dict[str, object] = {name.strip("_").lower(): _source(getattr(wording, name)) for name in _OF_WORDING}
    return {
        **words,
        "left_out": {what: _source(pattern) for what, pattern in wording._LEFT_OUT.items()},
        "image_types": dict(sequences._IMAGE_TYPES),
        "no_agent": sorted(contrast._NO_AGENT),
        "head": list(choice._HEAD),
        "suffixes": dict(names._SUFFIXES),
        "made": _source(names._MADE),
        "labels": _source(names._LABELS),
    }


def _source(pattern: re.Pattern[str]) -> str:
    return pattern.pattern


if __name__ == "__main__":
    sys.stdout.write(json.dumps(table(), indent=1, ensure_ascii=True) + "\n")
