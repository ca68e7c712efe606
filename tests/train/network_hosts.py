"""Two hosts on one machine: network namespaces with an address each, joined by a cable, and commands run in them.

Each host has a network stack and a host name of its own; files, processors and memory are shared, as between machines
with a common folder. Making them takes root on Linux.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

LINK = "eth0"


@dataclass(frozen=True)
class Host:
    """One of the hosts."""

    name: str
    address: str
    names: str
    """A file in the form of `/etc/hosts` with the names of both."""

    def start(self, command: Sequence[str], log: Path, **environment: str) -> subprocess.Popen[bytes]:
        """A command on this host, in a session of its own, with both outputs in a file."""
        within = 'hostname "$0" && mount --bind "$1" /etc/hosts && shift && exec "$@"'
        entered = ["ip", "netns", "exec", self.name, "unshare", "--uts", "sh", "-c", within, self.name, self.names]
        with log.open("ab") as sink:
            return subprocess.Popen(
                [*entered, *command],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                env={**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": LINK, **environment},
                start_new_session=True,
            )


@contextlib.contextmanager
def two_hosts() -> Iterator[tuple[Host, Host]]:
    """Two hosts that reach each other; the test is skipped, with the reason, where the system does not allow them."""
    if sys.platform != "linux" or shutil.which("ip") is None or shutil.which("unshare") is None:
        pytest.skip("network namespaces need Linux with iproute2 and util-linux")
    names = [f"bs{os.getpid()}{side}" for side in "ab"]
    with contextlib.ExitStack() as stack:
        known = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "hosts"
        hosts = tuple(Host(name, f"10.77.0.{number}", str(known)) for number, name in enumerate(names, start=1))
        lines = ["127.0.0.1 localhost", *(f"{host.address} {host.name}" for host in hosts)]
        known.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        for name in names:
            _ip("netns", "add", name)
            stack.callback(_ip, "netns", "del", name)
        _ip("link", "add", LINK, "netns", names[0], "type", "veth", "peer", "name", LINK, "netns", names[1])
        for host in hosts:
            _ip("-n", host.name, "addr", "add", f"{host.address}/24", "dev", LINK)
            _ip("-n", host.name, "link", "set", LINK, "up")
            _ip("-n", host.name, "link", "set", "lo", "up")
        yield hosts[0], hosts[1]


def _ip(*arguments: str) -> None:
    done = subprocess.run([shutil.which("ip") or "ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"network namespaces are not permitted here: ip {' '.join(arguments)}: {done.stderr.strip()}")
