"""What systemd is told of the node: that it is ready, that it stops, and that it still runs (sd_notify's protocol).

Source: sd_notify(3), sd_watchdog_enabled(3): a datagram of NAME=VALUE lines to the socket that $NOTIFY_SOCKET names.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping


class ServiceManager:
    """The service manager that started this process; nobody, if none did.

    Args:
        environment: The process's environment.

    Attributes:
        watchdog_seconds: It ends the process if `alive` is not called for so long, s; None: it does not watch.

    Examples:
        >>> nobody = ServiceManager({})
        >>> nobody.ready("listening")
        >>> print(nobody.watchdog_seconds)
        None
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address  # "@": an abstract socket
        microseconds = environment.get("WATCHDOG_USEC", "")
        watched = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.watchdog_seconds = int(microseconds) / 1e6 if microseconds.isdecimal() and watched else None

    def ready(self, status: str) -> None:
        """Started: everything listens, and the model is loaded.

        Args:
            status: What `systemctl status` shows, one line.
        """
        self._send(f"READY=1\nSTATUS={status}")

    def alive(self) -> None:
        """Not hung."""
        self._send("WATCHDOG=1")

    def stopping(self, seconds: float) -> None:
        """About to end.

        Args:
            seconds: How long that may take at most.
        """
        self._send(f"STOPPING=1\nEXTEND_TIMEOUT_USEC={int(seconds * 1e6)}\nSTATUS=stopping")

    def _send(self, message: str) -> None:
        """One datagram; a manager that does not listen is none."""
        if not self._address or not hasattr(socket, "AF_UNIX"):
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.setblocking(False)
            channel.sendto(message.encode(), self._address)
