"""One network in training whose every step is one CUDA graph, so that many share a GPU and none waits for Python.

The whole set lies on the device. Order of the slices, learning rates and the running mean's fractions are tables there,
which a counter on the device goes through: a step needs nothing from the processor. On other devices a step runs as it
is written. Loss, augmentation, schedule and running mean are the product's; Adam is `capturable`.

Legend: S steps, B slices of a batch, N slices in all.
"""

from __future__ import annotations

import contextlib
import copy
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from brainseg_train import models
from brainseg_train.data.head_maps import StoredMaps
from brainseg_train.learning.augment import augment
from brainseg_train.learning.head_maps import HeadMaps
from brainseg_train.learning.losses import segmentation_loss
from brainseg_train.learning.schedule import learning_rate_at

if TYPE_CHECKING:
    from brainseg_train.data.dataset import DataSet
    from experiments.job import Job

WARM_UP = 3
"""Steps before a graph is recorded: libraries choose their algorithms and allocate in them."""


class OnDevice:
    """A data set and its maps on a device.

    Args:
        dataset: Slices at the network's size.
        maps: Of their heads.
        device: Where they are put.
    """

    def __init__(self, dataset: DataSet, maps: StoredMaps, device: torch.device) -> None:
        self.dataset, self.device = dataset, device
        self.images = torch.from_numpy(np.array(dataset.images)).permute(0, 3, 1, 2).contiguous().to(device)
        self.masks = torch.from_numpy(np.array(dataset.masks))[:, None].to(device)
        self.tumour: NDArray[np.bool_] = np.array([mask.any() for mask in dataset.masks], dtype=np.bool_)
        self._brain, self._depth = maps.brain[:, None].to(device), maps.depth[:, None].to(device)
        self._midlines = maps.midlines.to(device)

    def batch(self, rows: Tensor) -> tuple[Tensor, Tensor, HeadMaps]:
        """Images, masks and maps of some rows, (B,) int64 on the device."""
        maps = HeadMaps(self._brain[rows].float() / 255, self._depth[rows].float(), self._midlines[rows])
        return self.images[rows].float() / 255, self.masks[rows].float(), maps


class Resident:
    """A network in training.

    Args:
        job: What is trained.
        data: The set on the device.
        graphs: Whether a step is recorded, on a GPU.
        priority: Of its stream; the lower, the sooner it is served.
    """

    def __init__(self, job: Job, data: OnDevice, *, graphs: bool = True, priority: int = 0) -> None:
        self.job, self.data = job, data
        device, config = data.device, job.config
        cuda = device.type == "cuda"
        torch.manual_seed(1000 + config.seed)
        network = models.build(config.model, width=config.width)
        self.network = network.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        self.mean = copy.deepcopy(self.network).eval().requires_grad_(requires_grad=False)
        self._generator = torch.Generator(device).manual_seed(7 + config.seed)
        order = self._order()
        self.epoch_steps, self.total = len(order) // config.epochs, len(order)
        self._order_on_device = torch.from_numpy(order).to(device)
        self._table = torch.tensor(self._pace(), device=device)
        self._counter = torch.zeros(1, dtype=torch.int64, device=device)
        self._loss_sum = torch.zeros((), device=device)
        self._rate = torch.tensor(config.rate, device=device)
        self._optimizer = torch.optim.Adam(
            self.network.parameters(), lr=self._rate if cuda else config.rate, fused=True, capturable=cuda
        )
        self.stream = torch.cuda.Stream(priority=priority) if cuda else None
        self._graph: torch.cuda.CUDAGraph | None = None
        self.taken = 0
        if self.stream is not None:
            self._record(self.stream, graphs=graphs)

    def advance(self, steps: int) -> None:
        """Queue some steps; on a GPU this does not wait for them."""
        with self.queued():
            for _ in range(steps):
                if self._graph is None:
                    self._step()
                else:
                    self._graph.replay()
        self.taken += steps

    def queued(self) -> contextlib.AbstractContextManager[object]:
        """A context whose work on the GPU comes after the steps that are queued."""
        return contextlib.nullcontext() if self.stream is None else torch.cuda.stream(self.stream)

    def weights(self) -> dict[str, Tensor]:
        """The running mean's state on the CPU, after every step that is queued."""
        with self.queued():
            return {name: tensor.detach().cpu().contiguous() for name, tensor in self.mean.state_dict().items()}

    def mean_loss(self) -> float:
        """The mean of all steps so far."""
        with self.queued():
            return float(self._loss_sum) / max(1, int(self._counter))

    def _order(self) -> np.ndarray:
        """(S, B) rows of every step: each epoch all slices with tumour and a fraction of the others."""
        config, dataset = self.job.config, self.data.dataset
        rows = self.job.split(dataset).indices(dataset, "train")
        tumour, empty = rows[self.data.tumour[rows]], rows[~self.data.tumour[rows]]
        source = np.random.default_rng(7 + config.seed)
        steps = (len(tumour) + round(config.empty_fraction * len(empty))) // config.batch
        epochs = []
        for _ in range(config.epochs):
            drawn = source.permutation(empty)[: round(config.empty_fraction * len(empty))]
            epochs.append(source.permutation(np.concatenate([tumour, drawn]))[: steps * config.batch])
        return np.concatenate(epochs).reshape(-1, config.batch)

    def _pace(self) -> list[tuple[float, float]]:
        """(S, 2): learning rate of every step, and the fraction by which the running mean moves after it."""
        decay = self.job.config.ema_decay
        return [
            (learning_rate_at(self.job.config, step, self.epoch_steps), 1 - min(decay, (step + 1) / (10.0 + step)))
            for step in range(self.total)
        ]

    def _step(self) -> None:
        """One step of training, in which no value moves between device and processor (but on the CPU)."""
        place = self._counter % self.total  # a rate is measured by more steps than a short training has
        rows = self._order_on_device.index_select(0, place).view(-1)
        rate, fraction = self._table.index_select(0, place).view(-1).unbind()
        images, masks, maps = self.data.batch(rows)
        images, masks = augment(images, masks, self.job.config.augment, self._generator, maps)
        with torch.autocast(self.data.device.type, torch.bfloat16, cache_enabled=False):
            logits = self.network(images.contiguous(memory_format=torch.channels_last))
        loss = segmentation_loss(logits, masks, self.job.config.loss)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), self.job.config.gradient_clip)
        if self.stream is None:
            self._optimizer.param_groups[0]["lr"] = float(rate)
        else:
            self._rate.copy_(rate)
        self._optimizer.step()
        with torch.no_grad():
            old, new = _floating(self.mean), _floating(self.network)
            change = torch._foreach_sub(new, old)
            torch._foreach_mul_(change, fraction)
            torch._foreach_add_(old, change)
            self._loss_sum += loss.detach()
            self._counter += 1

    def _record(self, stream: torch.cuda.Stream, *, graphs: bool) -> None:
        """Warm up, record a step, and set all that these steps changed back."""
        tensors = [*self.network.state_dict().values(), *self.mean.state_dict().values()]
        before = [tensor.clone() for tensor in tensors]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                self._step()
        if graphs:
            stream.synchronize()
            self._optimizer.zero_grad(set_to_none=True)
            self._graph = torch.cuda.CUDAGraph()
            self._graph.register_generator_state(self._generator)
            with torch.cuda.graph(self._graph, stream=stream):
                self._step()
        with torch.cuda.stream(stream), torch.no_grad():
            for tensor, value in zip(tensors, before, strict=True):
                tensor.copy_(value)
            for state in self._optimizer.state.values():
                for value in state.values():
                    value.zero_()
            self._counter.zero_()
            self._loss_sum.zero_()
        stream.synchronize()


def _floating(network: nn.Module) -> list[Tensor]:
    """A network's floating-point tensors, detached."""
    return [t.detach() for t in (*network.parameters(), *network.buffers()) if t.is_floating_point()]
