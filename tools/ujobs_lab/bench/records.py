"""A proxy on this machine that notes when a TLS client connects and when it sends application data, which it cannot
read: each MQTT packet that a board sends is a record of its own."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

_APPLICATION_DATA = 23  # TLS's content type; what comes before is the handshake (RFC 5246, section 6.2.1)
_HEAD = 5  # bytes of a record's header: content type, version, length


@dataclass
class Records:
    """port: where the client connects to. connected: time.monotonic() of its latest connection. sent: of each record of
    application data that it has sent on that one."""

    port: int
    connected: float = 0.0
    sent: list[float] = field(default_factory=list)

    def forget(self) -> None:
        """Ready for the next connection."""
        self.connected = 0.0
        self.sent.clear()


@contextlib.contextmanager
def records(target: int) -> Iterator[Records]:
    """A proxy to a port of this machine, until the end of `with`."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        found = Records(listener.getsockname()[1])
        threading.Thread(target=_accept, args=(listener, target, found), daemon=True).start()
        yield found
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, target: int, found: Records) -> None:
    with contextlib.suppress(OSError):
        while True:
            client = listener.accept()[0]
            found.connected = time.monotonic()
            server = socket.create_connection(("127.0.0.1", target))
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for source, sink, noted in ((client, server, found), (server, client, None)):
                threading.Thread(target=_pass_on, args=(source, sink, noted), daemon=True).start()


def _pass_on(source: socket.socket, sink: socket.socket, noted: Records | None) -> None:
    # Ends when the source does, and then ends the sink.
    left = b""
    with contextlib.suppress(OSError), sink:
        while data := source.recv(65536):
            sink.sendall(data)
            if noted is not None:
                left = _note(left + data, noted)


def _note(data: bytes, noted: Records) -> bytes:
    while len(data) >= _HEAD:
        end = _HEAD + int.from_bytes(data[3:_HEAD], "big")
        if len(data) < end:
            break
        if data[0] == _APPLICATION_DATA:
            noted.sent.append(time.monotonic())
        data = data[end:]
    return data
