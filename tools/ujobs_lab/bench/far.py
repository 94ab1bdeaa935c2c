"""A TCP proxy on this machine that adds latency, limits the bandwidth, and counts the bytes."""

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

_PIECE = 65536  # bytes
_SEGMENT = 1440  # bytes that arrive together if the bandwidth is limited

# Each with the time at which it is due; b"" ends the stream.
_Pieces = queue.SimpleQueue[tuple[float, bytes]]

Watch = Callable[[bool, bytes], None]


class Far:
    """A proxy. target: port of the server. up, down: seconds to the server and back. rate: bytes per second from the
    server, None: no limit. watch(to_server, data): called with everything that is delivered.

    port: where clients connect to. sent, received: bytes so far, as seen by the client."""

    def __init__(
        self, target: int, up: float, down: float, rate: float | None = None, watch: Watch | None = None
    ) -> None:
        self._watch = watch
        self._target = target
        self._up = up
        self._down = down
        self._rate = rate
        self.sent = self.received = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._ends: list[socket.socket] = [self._listener]
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def close(self) -> None:
        """Close all connections."""
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        for thread in self._threads:
            thread.join()

    def _start(self, work: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near = self._listener.accept()[0]
                there = socket.create_connection(("127.0.0.1", self._target))
                for end in (near, there):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self._ends.append(end)
                for source, sink, up in ((near, there, True), (there, near, False)):
                    pieces: _Pieces = queue.SimpleQueue()
                    self._start(self._read, source, pieces, up)
                    self._start(self._deliver, pieces, sink, up)

    def _read(self, source: socket.socket, pieces: _Pieces, up: bool) -> None:
        due, delay = 0.0, self._up if up else self._down
        with contextlib.suppress(OSError):
            while data := source.recv(_PIECE):
                if up:
                    self.sent += len(data)
                else:
                    self.received += len(data)
                due = max(due, time.monotonic() + delay)
                if up or self._rate is None:
                    pieces.put((due, data))
                    continue
                for start in range(0, len(data), _SEGMENT):
                    segment = data[start : start + _SEGMENT]
                    due += len(segment) / self._rate
                    pieces.put((due, segment))
                # Read no faster than the bandwidth allows, so that the sender has to wait as well.
                time.sleep(max(0.0, due - delay - time.monotonic()))
        pieces.put((max(due, time.monotonic() + delay), b""))

    def _deliver(self, pieces: _Pieces, sink: socket.socket, up: bool) -> None:
        with contextlib.suppress(OSError):
            while True:
                due, data = pieces.get()
                time.sleep(max(0.0, due - time.monotonic()))
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                    return
                if self._watch is not None:
                    self._watch(up, data)
                sink.sendall(data)


@contextlib.contextmanager
def far(
    target: int, up: float, down: float, rate: float | None = None, watch: Watch | None = None
) -> Iterator[Far]:
    """A proxy to a port of this machine. Arguments: see Far."""
    found = Far(target, up, down, rate, watch)
    try:
        yield found
    finally:
        found.close()
