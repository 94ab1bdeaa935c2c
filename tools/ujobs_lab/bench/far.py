"""A proxy on this machine that makes a port far away, or the way to it narrow, and counts the bytes."""

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

_PIECE = 65536  # bytes
_SEGMENT = 1440  # bytes that arrive together where the way is narrow

# When it is due, and what; nothing at the end.
_Pieces = queue.SimpleQueue[tuple[float, bytes]]


class Far:
    """target: port that is to be far away. delay: seconds each way. rate: bytes a second that come back, None for no
    limit. port: where it is reached then. sent, received: bytes so far, as the one who connects sees them."""

    def __init__(self, target: int, delay: float, rate: float | None = None) -> None:
        self._target = target
        self._delay = delay
        self._rate = rate
        self.sent = self.received = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._ends: list[socket.socket] = [self._listener]
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def close(self) -> None:
        """End all connections."""
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
                    self._start(self._deliver, pieces, sink)

    def _read(self, source: socket.socket, pieces: _Pieces, up: bool) -> None:
        due = 0.0
        with contextlib.suppress(OSError):
            while data := source.recv(_PIECE):
                if up:
                    self.sent += len(data)
                else:
                    self.received += len(data)
                due = max(due, time.monotonic() + self._delay)
                if up or self._rate is None:
                    pieces.put((due, data))
                    continue
                for start in range(0, len(data), _SEGMENT):
                    segment = data[start : start + _SEGMENT]
                    due += len(segment) / self._rate
                    pieces.put((due, segment))
                # What the way does not hold yet waits at its beginning, and so does the sender.
                time.sleep(max(0.0, due - self._delay - time.monotonic()))
        pieces.put((max(due, time.monotonic() + self._delay), b""))

    def _deliver(self, pieces: _Pieces, sink: socket.socket) -> None:
        # Each piece arrives when it has been under way for long enough, whatever has come behind it.
        with contextlib.suppress(OSError):
            while True:
                due, data = pieces.get()
                time.sleep(max(0.0, due - time.monotonic()))
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                    return
                sink.sendall(data)


@contextlib.contextmanager
def far(target: int, delay: float, rate: float | None = None) -> Iterator[Far]:
    """A proxy to a port of this machine. delay, rate: see Far."""
    found = Far(target, delay, rate)
    try:
        yield found
    finally:
        found.close()
