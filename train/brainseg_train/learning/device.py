"""Device, arithmetic, memory layout and number of threads of a run, chosen once and recorded."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import torch

from brainseg_train.config import Precision, TrainConfig
from brainseg_train.errors import DeviceError

NARROW: Final = 16
"""Networks below this width keep plain layout in fp32 on a processor, whatever is configured.

oneDNN's 1x1 convolution of stride 2 writes past its workspace in the backward pass where channels lie side by side and
are fewer than its block of at most 16: with up to 8 of them PyTorch 2.13 crashes, or learns from wrong gradients.
Source: https://github.com/uxlfoundation/oneDNN/issues/6035
"""


_NAMES: Final = re.compile(r"cpu|mps|cuda(:\d{1,3})?")
_INSTALL: Final = "leave it at auto, or install the PyTorch build for this device"
"""Devices that training computes on; PyTorch knows others, such as `meta`, where nothing is computed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """Device, arithmetic and memory layout that a run uses."""

    device: torch.device
    """Where the network and the data are."""
    precision: str
    """fp32 or bf16, never auto."""
    channels_last: bool
    """Whether a pixel's channels lie side by side."""

    @property
    def memory_format(self) -> torch.memory_format:
        """PyTorch's name for the layout."""
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def autocast(self) -> torch.autocast:
        """A context in which layers compute in the chosen arithmetic; weights stay fp32."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bf16")


def place(config: TrainConfig, *, local_rank: int | None = None) -> Placement:
    """Choose device and arithmetic.

    Args:
        config: What was asked for.
        local_rank: This process's number on its machine, where several train together.

    Raises:
        DeviceError: A device or arithmetic was named and is not available.
    """
    device = _device(config.device, local_rank)
    precision = _precision(config.precision, device)
    unsafe = device.type == "cpu" and precision == "fp32" and config.width < NARROW
    return Placement(device=device, precision=precision, channels_last=config.channels_last and not unsafe)


def computes_bf16(device: torch.device) -> bool:
    """Whether a device has instructions for bf16, so that it is faster than fp32 and not emulated."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        return any(cpu_capabilities().get(name) for name in ("avx512_bf16", "amx_bf16"))
    return False


def cpu_capabilities() -> dict[str, bool | int | str]:
    """What PyTorch knows about the processor; empty for a PyTorch that does not say."""
    ask = getattr(torch.cpu, "get_capabilities", dict)
    return dict(ask())


@contextlib.contextmanager
def computing_with(count: int) -> Iterator[None]:
    """Compute with a number of threads in here, and restore the former number afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _device(wanted: str, local_rank: int | None) -> torch.device:
    """The device of that name, or the best one available."""
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if wanted == "cuda" and local_rank is not None:
        wanted = f"cuda:{local_rank}"
    if not _NAMES.fullmatch(wanted):
        raise _no_device(wanted, "an unknown name", "give one of these names with --device")
    try:
        device = torch.device(wanted)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise _no_device(wanted, str(error).splitlines()[0]) from error
    return device


def _no_device(wanted: str, got: str, remedy: str = _INSTALL) -> DeviceError:
    return DeviceError(
        f"device {wanted} is not available",
        expected="auto, cpu, cuda, cuda:<number> or mps, present on this machine",
        got=got,
        remedy=remedy,
    )


def _precision(wanted: Precision, device: torch.device) -> str:
    """The arithmetic of that name, or the fastest that trains as well."""
    able = computes_bf16(device)
    if wanted == "auto":
        return "bf16" if able else "fp32"
    if wanted == "bf16" and not able:
        raise DeviceError(
            "bf16 is not available",
            expected="a GPU, or a processor with AVX512_BF16 or AMX",
            got=f"a {device.type} without them",
            remedy="use fp32 or auto",
        )
    return wanted
