"""`brainseg-train fit` under torchrun on two hosts, and the kills that it must survive."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tests.train.network_hosts import Host

Rendezvous = Literal["c10d", "static"]

PATIENCE_S = 300.0
_PORT = 29400


@dataclass
class Launch:
    """One training by two hosts: its agents, which are torchrun's own processes, and their workers.

    Attributes:
        hosts: The hosts; the first one keeps the launcher's store.
        data: The folder of patients.
        runs: The folder of runs, which both see.
        cache: The cache folder.
        epochs: Of the run.
        restarts: For `--max-restarts`.
        rendezvous: How the hosts find each other.
    """

    hosts: tuple[Host, Host]
    data: Path
    runs: Path
    cache: Path
    epochs: int = 4
    restarts: int = 0
    rendezvous: Rendezvous = "c10d"
    agents: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, side: int, *more: str, runs: Path | None = None) -> None:
        """Start the agent of one host, after an earlier one of that host has ended."""
        agent = self.hosts[side].start(self._command(side, runs or self.runs, more), self.log(side))
        self.agents[side : side + 1] = [agent]

    def wait(self) -> list[int]:
        """The exit codes of both agents."""
        deadline = time.monotonic() + PATIENCE_S
        return [agent.wait(max(1.0, deadline - time.monotonic())) for agent in self.agents]

    def log(self, side: int) -> Path:
        """What one host's processes said."""
        return self.runs.parent / f"{self.runs.name}-{side}.log"

    def steps(self) -> int:
        """Of the newest saved state."""
        stems = (path.stem.partition("-")[2] for path in self.runs.glob("*/resume-*.json"))
        return max(map(int, stems), default=0)

    def wait_for_steps(self, steps: int) -> None:
        """Wait until a state of at least that many steps was saved.

        Raises:
            RuntimeError: The launch has ended, or it takes too long.
        """
        deadline = time.monotonic() + PATIENCE_S
        while self.steps() < steps:
            if time.monotonic() > deadline or all(agent.poll() is not None for agent in self.agents):
                said = "\n".join(self.log(side).read_text(encoding="utf-8")[-3000:] for side in (0, 1))
                raise RuntimeError(f"no state of {steps} steps, but of {self.steps()}:\n{said}")
            time.sleep(0.01)

    def worker(self, rank: int) -> int | None:
        """The process that trains as that rank."""
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                command = (process / "cmdline").read_bytes().split(b"\0")
                environment = (process / "environ").read_bytes().split(b"\0")
                ours = str(self.runs).encode() in command and b"torch.distributed.run" not in command
                if ours and f"RANK={rank}".encode() in environment:
                    return int(process.name)
        return None

    def kill_worker(self, rank: int) -> None:
        """SIGKILL to the process that trains as that rank, once there is one."""
        deadline = time.monotonic() + PATIENCE_S
        while (found := self.worker(rank)) is None:
            if time.monotonic() > deadline:
                raise RuntimeError(f"no process of rank {rank}")
            time.sleep(0.01)
        os.kill(found, signal.SIGKILL)

    def end(self) -> None:
        """End what is left."""
        for agent in self.agents:
            if agent.poll() is None:
                agent.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    agent.wait(40)
        for rank in (0, 1):
            if (left := self.worker(rank)) is not None:
                os.kill(left, signal.SIGKILL)

    def _command(self, side: int, runs: Path, more: tuple[str, ...]) -> list[str]:
        first = self.hosts[0].address
        if self.rendezvous == "c10d":
            meeting = ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"{first}:{_PORT}", "--rdzv-id", self.runs.name]
        else:
            meeting = ["--node-rank", str(side), "--master-addr", first, "--master-port", str(_PORT)]
        launcher = ["-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1"]
        launcher += ["--max-restarts", str(self.restarts), *meeting]
        return [sys.executable, *launcher, *fit_command(self.data, runs, self.cache, self.epochs), *more]


def fit_command(data: Path, runs: Path, cache: Path, epochs: int) -> list[str]:
    """Arguments of Python for a run of a second or so on one core, in fp32: bf16 would round each part of a sum."""
    settings = cache.parent / "fp32.json"
    settings.write_text('{"precision": "fp32"}', encoding="utf-8")
    command = ["-m", "brainseg_train.cli", "fit", "unet", "--data", str(data), "--runs", str(runs), "--preset", "quick"]
    command += ["--width", "2", "--epochs", str(epochs), "--threads", "1", "--device", "cpu", "--cache", str(cache)]
    return [*command, "--config", str(settings)]


@contextlib.contextmanager
def launched(launch: Launch) -> Iterator[Launch]:
    """Both agents started, and ended when the test is over."""
    try:
        for side in (0, 1):
            launch.start(side)
        yield launch
    finally:
        launch.end()


def digests(runs: Path) -> dict[str, str]:
    """SHA-256 of the weights kept and of the last state of a folder's only run, by file."""
    (run,) = [path.parent for path in runs.glob("*/run.json")]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(run.glob("*.safetensors"))}
