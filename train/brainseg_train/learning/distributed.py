"""Several processes that train one network: `torchrun --nproc-per-node N`, or one process alone.

Every process holds the whole network and takes its own slices of each batch. Loss, normalisation statistics and
gradient are those of the whole batch: each is summed over all processes, in the order of their ranks, so that the
result does not depend on how a library arranges its reductions, on the number of machines, or on when a run was
resumed. The process of rank 0 decides and writes.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
import torch.distributed as dist
from torch import Tensor, nn

from brainseg_train.errors import GroupError
from brainseg_train.learning.meeting import launcher_store, meet

_LOST: Final = ("gloo", "nccl", "connection closed by peer", "connection reset", "broken pipe", "timed out")
"""What the libraries that carry messages say, in some case of letters, when another process is gone."""


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

    def local(self, whole: Tensor) -> Tensor:
        """This process's rows of a global batch: every `size`-th one. Shares differ by one row at most."""
        return whole if self.size == 1 else whole[self.rank :: self.size]

    def gather(self, tensor: Tensor) -> Tensor:
        """(N, ...) the tensors of all N processes, by rank; without gradients."""
        if self.size == 1:
            return tensor.detach().unsqueeze(0)
        parts = [torch.empty_like(tensor, memory_format=torch.contiguous_format) for _ in range(self.size)]
        dist.all_gather(parts, tensor.detach().contiguous())
        return torch.stack(parts)

    def sum(self, tensor: Tensor) -> Tensor:
        """The tensor summed over all processes, in the order of their ranks.

        Its gradient is that of this process's own part. A loss made of such sums is therefore the same number in every
        process and counts once; the gradients of all processes are to be added, not averaged.
        """
        return tensor if self.size == 1 else _Sum.apply(tensor, self)  # type: ignore[no-untyped-call]

    def sum_gradients(self, network: nn.Module) -> None:
        """Add up the gradients of all processes, in the order of their ranks; every process gets the same bits.

        Each process adds its own part of the numbers and sends the result to all: twice the size of the network over
        the wire, whatever the number of processes.
        """
        if self.size == 1:
            return
        gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        part = -(-len(flat) // self.size)
        sent = nn.functional.pad(flat, (0, part * self.size - len(flat)))
        received = torch.empty_like(sent)
        dist.all_to_all_single(received, sent)
        summed = self.gather(_in_order(received.view(self.size, part))).view(-1)
        begin = 0
        for gradient in gradients:
            gradient.copy_(summed[begin : begin + gradient.numel()].view(gradient.shape))
            begin += gradient.numel()

    def decide(self, *, flag: bool, device: torch.device) -> bool:
        """Rank 0's flag, in every process."""
        if self.size == 1:
            return flag
        shared = torch.tensor([int(flag)], device=device)
        dist.broadcast(shared, src=0)
        return bool(shared.item())

    def share(self, network: nn.Module) -> None:
        """Give every process rank 0's weights and buffers: processors of different makes round differently."""
        if self.size > 1:
            for tensor in network.state_dict().values():
                whole = tensor.contiguous()
                dist.broadcast(whole, src=0)
                tensor.copy_(whole)

    def require_agreement(self, facts: Mapping[str, object], *, device: torch.device, remedy: str) -> None:
        """Go on only if every process has found the same.

        Args:
            facts: What this process has found, by a name that fits into an error's sentence.
            device: Where this process computes.
            remedy: What to do where they differ.

        Raises:
            GroupError: A fact differs between two processes; every process raises it.
        """
        if self.size == 1:
            return
        mine = {name: str(value) for name, value in facts.items()}
        told = [json.loads(text) for text in self._texts(json.dumps(mine), device)]
        for name in mine:
            values = [each.get(name) for each in told]
            if len(set(values)) > 1:
                raise GroupError(
                    f"the processes that train together differ in {name}",
                    expected=f"the same in all {self.size}",
                    got="; ".join(f"rank {rank}: {value}" for rank, value in enumerate(values)),
                    remedy=remedy,
                )

    def wait(self) -> None:
        """Wait until every process has reached this point."""
        if self.size > 1:
            dist.barrier()

    def _texts(self, text: str, device: torch.device) -> list[str]:
        """The texts of all processes, by rank."""
        content = torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8).to(device)
        lengths = self.gather(torch.tensor(len(content), device=device)).tolist()
        padded = self.gather(nn.functional.pad(content, (0, max(lengths) - len(content)))).cpu()
        return [bytes(row[:length].tolist()).decode() for row, length in zip(padded, lengths, strict=True)]


def local_rank() -> int | None:
    """This process's number on its machine, as torchrun says; None for a process alone."""
    return int(os.environ["LOCAL_RANK"]) if _launched() else None


@contextlib.contextmanager
def join(device: torch.device) -> Iterator[Group]:
    """The group that torchrun started, for as long as the context lasts; a group of one without torchrun.

    Args:
        device: Where this process computes; a GPU talks over NCCL, anything else over gloo.

    Raises:
        GroupError: Another process of the group has ended, or cannot be reached.
    """
    if not _launched():
        yield Group()
        return
    if dist.is_initialized():
        yield Group(rank=dist.get_rank(), size=dist.get_world_size())
        return
    with _naming_loss():
        rank, size, store = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), launcher_store()
        library, bound = ("nccl", device) if device.type == "cuda" else ("gloo", None)
        if store is None:
            dist.init_process_group(library, device_id=bound)
        else:
            met = meet(store, rank, size)
            dist.init_process_group(library, device_id=bound, store=met, rank=rank, world_size=size)
        try:
            yield Group(rank=dist.get_rank(), size=dist.get_world_size())
        finally:
            gc.collect()  # what holds on to the group in cycles aborts the process if it is freed at exit
            dist.destroy_process_group()


class _Sum(torch.autograd.Function):
    """Sum over all processes; the gradient passes to this process's own part."""

    @staticmethod
    def forward(_context: Any, tensor: Tensor, group: Group) -> Tensor:  # noqa: ANN401 - PyTorch's own context
        return _in_order(group.gather(tensor))

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        return gradient, None


def _in_order(parts: Tensor) -> Tensor:
    """The sum of the rows of (N, ...), the first two first: `Tensor.sum` may take them in any order."""
    total = parts[0].clone()
    for part in parts[1:]:
        total += part
    return total


def _launched() -> bool:
    """Whether torchrun started this process as one of several."""
    return dist.is_available() and int(os.environ.get("WORLD_SIZE", "1")) > 1


@contextlib.contextmanager
def _naming_loss() -> Iterator[None]:
    """Turns what the message libraries raise when another process is gone into an error with a remedy."""
    try:
        yield
    except RuntimeError as error:
        text = str(error).strip()
        if not isinstance(error, dist.DistError) and not any(words in text.lower() for words in _LOST):
            raise
        raise GroupError(
            "another process of this training has ended or cannot be reached",
            expected=f"{os.environ.get('WORLD_SIZE')} processes until the end",
            got=_reason(text) or type(error).__name__,
            remedy="torchrun with --max-restarts starts all of them again, from the last saved state; otherwise repeat "
            "the command with --resume on every machine. If no process ended, see whether a firewall or the wrong "
            "network interface (GLOO_SOCKET_IFNAME) is in the way",
        ) from error


def _reason(text: str) -> str:
    """What happened, out of gloo's message: without the source's path before it and the advice after it."""
    first = text.partition("\n")[0]
    return re.sub(r"\[[^\]]*\.cc:\d+\] ", "", first).partition(". This is typically")[0][:300]
