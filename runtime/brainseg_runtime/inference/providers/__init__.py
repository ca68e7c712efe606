"""Execution providers, one file each, the registry of them, and the choice between them.

- `provider` (tested by `test_made_up_provider`): what a provider is. The rest of the package uses its fields and
  methods alone.
- `cpu`, `openvino`, `cuda`, `tensorrt`, `coreml`, `directml`: one provider each (tested by `test_providers`).
- `registry` (tested by `test_made_up_provider`): all of them by name. To add one, write its file and enter it into
  `PROVIDERS`.
- `choice`: what `auto` takes, and why (tested by `test_providers`).
"""

from brainseg_runtime.inference.providers.choice import AUTO, Choice, choose
from brainseg_runtime.inference.providers.provider import Provider, ProviderStatus, Session
from brainseg_runtime.inference.providers.registry import (
    FALLBACK,
    PROVIDERS,
    all_providers,
    auto_candidates,
    find_provider,
    list_providers,
    registered,
)

__all__ = [
    "AUTO",
    "FALLBACK",
    "PROVIDERS",
    "Choice",
    "Provider",
    "ProviderStatus",
    "Session",
    "all_providers",
    "auto_candidates",
    "choose",
    "find_provider",
    "list_providers",
    "registered",
]
