"""The test endpoint: an MQTT broker over TLS for one device; it records packets, and the test controls its replies."""

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Self

from ujobs_tools.service import packets
from ujobs_tools.service.packets import Message

_PATIENCE = 60.0  # seconds


class Endpoint:
    """Serves connections, one after another, in a thread that runs inside the `with` statement.

    host, port: address of the listener. hellos: first bytes of every connection. handshakes: for each connection the
    cipher suite, or the error of its handshake. packets: first byte and body of every MQTT packet received. on_publish:
    called with each Message received.
    """

    host = "localhost"

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.hellos: list[bytes] = []
        self.handshakes: list[str] = []
        self.packets: list[tuple[int, bytes]] = []
        self.on_publish: Callable[[Message], None] = lambda message: None
        self._device: ssl.SSLSocket | None = None
        # The test sends from another thread, and OpenSSL allows one call at a time on a connection.
        self._using = threading.Lock()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # shutdown() wakes accept(); close() does not.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if self._device is not None:
            with contextlib.suppress(OSError):
                self._device.shutdown(socket.SHUT_RDWR)
        self._thread.join(_PATIENCE)

    def bodies(self, kind: int) -> list[bytes]:
        """Return the bodies of all packets of a kind (packets.CONNECT and so on)."""
        return [body for first, body in self.packets if first >> 4 == kind]

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until the condition holds. Raises AssertionError after a minute."""
        with self._changed:
            assert self._changed.wait_for(condition, _PATIENCE), f"no {what}: {self.handshakes} {self.packets}"

    def wait_for_packet(self, kind: int, times: int = 1) -> None:
        """Wait until so many packets of a kind have arrived."""
        self.wait_for(lambda: len(self.bodies(kind)) >= times, f"packet of type {kind}, {times} times")

    def send(self, data: bytes) -> None:
        """Send to the device, in as few TLS records as possible."""
        assert self._device is not None
        with self._using:
            self._device.sendall(data)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with contextlib.suppress(OSError, EOFError), connection:
                connection.settimeout(_PATIENCE)
                self._talk(connection)

    def _note(self, log: list, entry: object) -> None:
        with self._changed:
            log.append(entry)
            self._changed.notify_all()

    def _talk(self, connection: socket.socket) -> None:
        self._note(self.hellos, connection.recv(4096, socket.MSG_PEEK))
        try:
            device = self._context.wrap_socket(connection, server_side=True)
        except ssl.SSLError as error:
            return self._note(self.handshakes, error.reason or str(error))
        with device:
            self._device = device
            cipher = device.cipher()
            assert cipher is not None
            self._note(self.handshakes, cipher[0])
            while True:
                first, body = self._read_packet(device)
                self._answer(first, body)
                self._note(self.packets, (first, body))

    def _answer(self, first: int, body: bytes) -> None:
        kind = first >> 4
        packets.check_flags(first)
        if kind == packets.CONNECT:
            self.send(packets.connack(0))
        elif kind == packets.SUBSCRIBE:
            packet_id, filters = packets.read_subscribe(body)
            self.send(packets.suback(packet_id, [qos for _, qos in filters]))
        elif kind == packets.PINGREQ:
            self.send(packets.PINGRESP_PACKET)
        elif kind == packets.PUBLISH:
            message, packet_id = packets.read_publish(first, body)
            if message.qos:
                self.send(packets.puback(packet_id))
            self.on_publish(message)

    def _read_packet(self, device: ssl.SSLSocket) -> tuple[int, bytes]:
        first = self._read(device, 1)[0]
        size = shift = 0
        while True:
            digit = self._read(device, 1)[0]
            size |= (digit & 127) << shift
            shift += 7
            if digit < 128:
                return first, self._read(device, size)

    def _read(self, device: ssl.SSLSocket, count: int) -> bytes:
        data = b""
        while len(data) < count:
            if not device.pending() and not select.select([device], [], [], _PATIENCE)[0]:
                raise EOFError
            with self._using:
                piece = device.recv(count - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data
