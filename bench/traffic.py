"""Counts what goes over the wire of a stand-in, headers and all: an event loop whose servers are watched.

Nothing of the stand-in is changed for it. Bytes received are counted as they come in; bytes sent are asked from the
kernel when a connection ends (``TCP_INFO``), because a server may write in ways that no wrapper sees.
"""

import asyncio
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

BYTES_ACKED = 120
"""Where ``tcpi_bytes_acked`` stands in ``struct tcp_info``; the kernel only ever adds fields at the end."""


@dataclass(slots=True)
class Traffic:
    """What came and went since the last ``forget``. ``first_at`` is the monotonic time of the first byte."""

    received: int = 0
    sent: int = 0
    connections: int = 0
    open: int = 0
    first_at: float | None = None

    def forget(self) -> None:
        """Start counting anew; connections that are open stay open."""
        self.received = self.sent = self.connections = 0
        self.first_at = None


class CountingLoop(asyncio.SelectorEventLoop):
    """Watches every server that is started while ``watching``."""

    def __init__(self) -> None:
        super().__init__()
        self.traffic = Traffic()
        self.watching = True

    async def create_server(  # type: ignore[override]  # a wrapper hands everything on as it came
        self, protocol_factory: Callable[[], asyncio.Protocol], *args: Any, **kwargs: Any
    ) -> asyncio.Server:
        """Start a server; each of its connections is counted."""
        if not self.watching:
            return await super().create_server(protocol_factory, *args, **kwargs)
        return await super().create_server(lambda: _Watched(protocol_factory(), self.traffic), *args, **kwargs)


class _Watched(asyncio.Protocol):
    """Stands between a transport and the protocol that serves it."""

    def __init__(self, inner: asyncio.Protocol, traffic: Traffic) -> None:
        self._inner = inner
        self._traffic = traffic
        self._socket: socket.socket | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = transport.get_extra_info("socket")
        self._traffic.connections += 1
        self._traffic.open += 1
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._traffic.first_at is None:
            self._traffic.first_at = time.monotonic()
        self._traffic.received += len(data)
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._traffic.open -= 1
        self._traffic.sent += _sent(self._socket)
        self._inner.connection_lost(exc)


def _sent(connection: socket.socket | None) -> int:
    """Return how many bytes the other side has confirmed."""
    if connection is None:
        return 0
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, BYTES_ACKED + 8)
    except OSError:  # reset by the other side
        return 0
    acked: int = struct.unpack_from("Q", info, BYTES_ACKED)[0] if len(info) >= BYTES_ACKED + 8 else 0
    return acked
