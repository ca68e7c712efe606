"""A node in a process of its own, as systemd would start it, watched over HTTP and by its log."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from brainseg_runtime.node.asking import NodeClient
from tests.runtime.command_line import BUNDLE, environment
from tests.runtime.node.pacs import HOST, wait_for

START_SECONDS = 180.0
"""A shared machine may take so long."""

PROGRAM: Final[Sequence[str]] = (sys.executable, "-m", "brainseg_runtime")
"""What runs the node."""


class NodeProcess:
    """A node that is started, stopped and killed.

    Args:
        folder: Gets its state, configuration and log.
        settings: The configuration, as TOML's tables.
        bundle: The model.
        program: What runs it.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, Any], *, bundle: Path = BUNDLE, program: Sequence[str] = PROGRAM
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.state = folder / "state"
        self._bundle = bundle
        self._program = program
        self._where = folder / "listening.json"
        self._process: subprocess.Popen[bytes] | None = None
        self.configure(settings)

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Write the configuration that the next start reads."""
        (self.folder / "node.toml").write_text(as_toml({"folder": str(self.state), **settings}), encoding="utf-8")

    def start(self, *options: str, environment_: Mapping[str, str] | None = None) -> None:
        """Start it, and wait until it listens and has loaded the model."""
        self._where.unlink(missing_ok=True)
        command = [*self._program, "serve", str(self._bundle), "--config", str(self.folder / "node.toml")]
        command += ["--json", str(self._where), *options]
        with (self.folder / "log").open("ab") as log, (self.folder / "out").open("ab") as out:
            self._process = subprocess.Popen(
                command, stdout=out, stderr=log, env={**environment(), **(environment_ or {})}
            )

        def listens() -> bool:
            assert self._process is not None
            assert self._process.poll() is None, self.log_text()
            return self._where.exists()

        wait_for(listens, "the node's start", seconds=START_SECONDS)

    @property
    def where(self) -> dict[str, Any]:
        """Where it listens, as it wrote."""
        found: dict[str, Any] = json.loads(self._where.read_text(encoding="utf-8"))
        return found

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    @property
    def client(self) -> NodeClient:
        """What asks it over HTTP."""
        return NodeClient(url=self.where["http_url"])

    def stop(self, *, seconds: float = 60.0) -> int:
        """Stop it in order; its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(seconds)

    def kill(self) -> None:
        """Kill it at once, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def log_text(self) -> str:
        """Everything that it has written to standard error."""
        return (self.folder / "log").read_text(encoding="utf-8")

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """The events of its log."""
        lines = [json.loads(line) for line in self.log_text().splitlines() if line.startswith("{")]
        return [each for each in lines if name in {None, each["event"]}]

    def studies(self) -> list[dict[str, Any]]:
        """Its queue."""
        found: Any = self.client.ask("GET", "/studies?limit=1000")["studies"]
        return list(found)

    def study(self, key: str) -> dict[str, Any]:
        """One study."""
        return dict(self.client.ask("GET", f"/studies/{key}"))

    def wait_for_state(self, state: str, *, studies: int = 1, seconds: float = 60.0) -> list[dict[str, Any]]:
        """Wait until so many studies are in a state; these."""

        def there() -> list[dict[str, Any]]:
            found = [each for each in self.studies() if each["state"] == state]
            return found if len(found) >= studies else []

        found: list[dict[str, Any]] = wait_for(there, f"{studies} studies {state}", seconds=seconds)
        return found


def moment(event: Mapping[str, Any]) -> float:
    """When an event was logged, s since 1970."""
    return datetime.fromisoformat(str(event["time"])).timestamp()


@contextmanager
def running_node(folder: Path, settings: Mapping[str, Any], *options: str) -> Iterator[NodeProcess]:
    """A node, until the block ends."""
    node = NodeProcess(folder, settings)
    try:
        node.start(*options)
        yield node
    finally:
        node.kill()


def settings(
    *,
    send: Sequence[Mapping[str, Any]] = (),
    allow: Sequence[str] = (f"PACS@{HOST}", f"MR1@{HOST}"),
    **tables: Any,  # noqa: ANN401 - as TOML's values are
) -> dict[str, Any]:
    """Settings for a small, quick node on free ports; further tables are put over them."""
    found: dict[str, Any] = {
        "dicom": {"port": 0, "allow": list(allow)},
        "http": {"port": 0},
        "intake": {"quiet_seconds": 0.5, "min_free_mib": 0},
        "work": {"provider": "cpu", "variant": "fp32", "threads": 1, "register": False},
        "retry": {"first_seconds": 0.1, "longest_seconds": 1.0},
        "send": list(send),
    }
    for name, table in tables.items():
        found[name] = {**found.get(name, {}), **table} if isinstance(table, Mapping) else table
    return found


def as_toml(settings: Mapping[str, Any]) -> str:
    """Settings as TOML: JSON's texts, numbers, flags and lists are also TOML's."""
    tables = {name: value for name, value in settings.items() if isinstance(value, Mapping)}
    arrays = {name: value for name, value in settings.items() if isinstance(value, list)}
    plain = {name: value for name, value in settings.items() if name not in {*tables, *arrays}}
    lines = [f"{name} = {json.dumps(value)}" for name, value in plain.items()]
    for name, table in tables.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    for name, items in arrays.items():
        for table in items:
            lines += [f"[[{name}]]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"
