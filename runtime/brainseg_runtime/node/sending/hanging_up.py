"""An application entity whose connections are closed even where the peer hung up first.

pynetdicom shuts a socket down before it closes it. Where the peer has reset the connection the first fails and the
second does not happen: the descriptor stays taken until the garbage collector finds it.
"""

from __future__ import annotations

from typing import Any

from pynetdicom import AE
from pynetdicom.transport import AssociationSocket


class ClosingSocket(AssociationSocket):
    """A connection whose socket is closed whatever shutting it down says."""

    def _shutdown_socket(self) -> None:
        raw = self.socket
        super()._shutdown_socket()
        if raw is not None:
            raw.close()


class ClosingEntity(AE):
    """An application entity that asks for associations over such connections."""

    def _create_socket(self, assoc: Any, address: Any, tls_args: Any) -> AssociationSocket:  # noqa: ANN401 - as AE's
        made = ClosingSocket(assoc, address=address)
        made.tls_args = tls_args
        return made
