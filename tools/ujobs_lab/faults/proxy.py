"""A TCP proxy on 127.0.0.1 that injects faults into its connections."""

import contextlib
import socket
import threading
import time
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Profile:
    """The faults of connections; none by default.

    up, down: bytes from and to the client after which a connection breaks, None: never. connections: number of the
    first connections that this affects. silent: connections break without notice: they stay open, but pass no more
    bytes. piece: maximum bytes passed on at a time. pause: seconds between two pieces.
    """

    up: int | None = None
    down: int | None = None
    connections: int = 3
    silent: bool = False
    piece: int = 65536
    pause: float = 0.0


class Proxy:
    """Forwards connections to a port of this machine, in its own threads, until the end of `with`.

    port: where it listens.
    """

    def __init__(self, target: int, profile: Profile) -> None:
        self._target = target
        self._profile = profile
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets = [self._listener]
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        # The first thread adds to both lists, so join it first.
        _break(self._listener)
        self._threads[0].join()
        for connection in self._sockets:
            _break(connection)
        for thread in self._threads:
            thread.join()
        for connection in self._sockets:
            connection.close()

    def _accept(self) -> None:
        number = 0
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            number += 1
            spoilt = number <= self._profile.connections
            up, down = (self._profile.up, self._profile.down) if spoilt else (None, None)
            self._sockets.append(near)
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                _break(near)
                continue
            self._sockets.append(far)
            silence = threading.Event()
            for source, sink, budget in ((near, far, up), (far, near, down)):
                thread = threading.Thread(target=self._pump, args=(source, sink, budget, silence))
                self._threads.append(thread)
                thread.start()

    def _pump(self, source: socket.socket, sink: socket.socket, budget: int | None, silence: threading.Event) -> None:
        """Forward bytes in one direction until the connection ends, or `budget` bytes have passed."""
        with contextlib.suppress(OSError):
            while data := source.recv(self._profile.piece):
                if silence.is_set():
                    continue
                sink.sendall(data[:budget])
                if budget is not None:
                    budget = max(budget - len(data), 0)
                if budget == 0 and not self._profile.silent:
                    break
                if budget == 0:
                    silence.set()
                time.sleep(self._profile.pause)
        _break(source)
        _break(sink)


def _break(connection: socket.socket) -> None:
    """End a connection in both directions; threads that wait for it continue."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
