"""Several processes that train one network: `torchrun --nproc-per-node N`, or one process alone.

Every process holds the whole network and takes its own slices of each batch. Gradients are averaged by PyTorch's
`DistributedDataParallel`; the sums of the Dice loss are added up first, so that the loss is the global batch's and not
the mean of the processes' losses. The process of rank 0 decides and writes.
"""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """The processes that train together, seen from one of them."""

    rank: int = 0
    """This process, from 0."""
    size: int = 1
    """How many there are."""

    @property
    def writes(self) -> bool:
        """Whether this process is the one that decides and writes."""
        return self.rank == 0

    def local(self, positions: Tensor) -> Tensor:
        """This process's slices of a global batch: every `size`-th one, the same number for each process."""
        return positions[: len(positions) // self.size * self.size][self.rank :: self.size]

    def sum(self, tensor: Tensor) -> Tensor:
        """The tensor summed over all processes, with gradients."""
        return tensor if self.size == 1 else _Sum.apply(tensor)  # type: ignore[no-untyped-call]

    def mean(self, tensor: Tensor) -> Tensor:
        """The tensor's mean over all processes, without gradients."""
        return self.sum(tensor.detach()) / self.size

    def decide(self, *, flag: bool, device: torch.device) -> bool:
        """Rank 0's flag, in every process."""
        if self.size == 1:
            return flag
        shared = torch.tensor([int(flag)], device=device)
        dist.broadcast(shared, src=0)
        return bool(shared.item())

    def share_buffers(self, network: nn.Module) -> None:
        """Give every process rank 0's buffers: each gathers normalisation statistics from its own slices."""
        if self.size > 1:
            for buffer in network.buffers():
                dist.broadcast(buffer, src=0)

    def wait(self) -> None:
        """Wait until every process has reached this point."""
        if self.size > 1:
            dist.barrier()

    def parallel(self, network: nn.Module) -> nn.Module:
        """The network itself, or wrapped so that gradients are averaged over all processes."""
        return network if self.size == 1 else DistributedDataParallel(network)


def local_rank() -> int | None:
    """This process's number on its machine, as torchrun says; None for a process alone."""
    return int(os.environ["LOCAL_RANK"]) if _launched() else None


@contextlib.contextmanager
def join(device: torch.device) -> Iterator[Group]:
    """The group that torchrun started, for as long as the context lasts; a group of one without torchrun.

    Args:
        device: Where this process computes; a GPU talks over NCCL, anything else over gloo.
    """
    if not _launched():
        yield Group()
        return
    ours = not dist.is_initialized()
    if ours:
        if device.type == "cuda":
            dist.init_process_group("nccl", device_id=device)
        else:
            dist.init_process_group("gloo")
    try:
        yield Group(rank=dist.get_rank(), size=dist.get_world_size())
    finally:
        if ours:
            gc.collect()  # wrapped networks hold on to the group in cycles; one freed at exit aborts the process
            dist.destroy_process_group()


class _Sum(torch.autograd.Function):
    """Sum over all processes; each one's gradient is the sum of all, since its input enters every process's result."""

    @staticmethod
    def forward(_context: Any, tensor: Tensor) -> Tensor:  # noqa: ANN401 - PyTorch's own context
        total = tensor.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401
        total = gradient.clone()
        dist.all_reduce(total)
        return total


def _launched() -> bool:
    """Whether torchrun started this process as one of several."""
    return dist.is_available() and int(os.environ.get("WORLD_SIZE", "1")) > 1
