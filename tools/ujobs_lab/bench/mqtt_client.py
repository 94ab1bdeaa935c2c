"""An MQTT 3.1.1 client for a thousand connections in one thread: clean sessions, QoS 0 out, QoS 0 and 1 in.

It is built on a selector and `ssl.SSLSocket`: a message costs about one system call and one call into OpenSSL, so that
the clients need less CPU time than the broker under test."""

import errno
import os
import selectors
import socket
import ssl
from dataclasses import astuple, dataclass

from ujobs_tools.service.packets import packet

_CONNACK, _PUBLISH, _SUBACK = 2, 3, 9
_KEEP_ALIVE = 1200  # seconds, AWS's maximum: no measurement lasts that long, so no pings are needed


@dataclass
class Traffic:
    """Application messages that clients have sent and received, and the bytes of their topics and payloads."""

    sent: int = 0
    sent_bytes: int = 0
    received: int = 0
    received_bytes: int = 0

    def since(self, before: "Traffic") -> "Traffic":
        """The difference to an earlier count."""
        return Traffic(*(now - then for now, then in zip(astuple(self), astuple(before), strict=True)))


class MqttClient:
    """A client with at most one connection, to a broker on this machine. `poll` drives all clients of a selector.

    Subclasses override `subscribed`, `received` and `lost`. traffic: counts the messages of the client.
    """

    def __init__(
        self, client_id: str, filters: tuple[str, ...], selector: selectors.BaseSelector, traffic: Traffic
    ) -> None:
        self.client_id = client_id
        self._filters = filters
        self._selector = selector
        self._traffic = traffic
        self._socket: socket.socket | None = None
        self._unsent = b""
        self._buffer = b""
        self._packet_id = 0

    def subscribed(self) -> None:
        """Called when every filter is subscribed at QoS 1."""

    def received(self, topic: str, payload: bytes) -> None:
        """Called with each message, before it is acknowledged."""

    def lost(self, reason: str) -> None:
        """Called when the connection has failed or ended."""

    def open(self, port: int, context: ssl.SSLContext | None) -> None:
        """Begin to connect. context: for TLS; None: without TLS."""
        plain = socket.socket()
        plain.setblocking(False)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = plain.connect_ex(("127.0.0.1", port))
        if code not in (0, errno.EINPROGRESS):
            plain.close()
            self.lost(os.strerror(code))
            return
        self._socket = plain
        self._step = self._connected
        self._context = context
        self._buffer = b""
        client_id = _field(self.client_id)
        self._unsent = packet(0x10, _field("MQTT") + b"\x04\x02" + _KEEP_ALIVE.to_bytes(2, "big") + client_id)
        self._selector.register(plain, selectors.EVENT_WRITE, self)

    def close(self) -> None:
        """Close the connection without DISCONNECT; `lost` is not called."""
        if self._socket is not None:
            self._selector.unregister(self._socket)
            self._socket.close()
            self._socket = None

    def publish(self, topic: str, payload: bytes, qos: int = 0) -> None:
        """Send a message, without waiting for an acknowledgement."""
        self._traffic.sent += 1
        self._traffic.sent_bytes += len(topic) + len(payload)
        self._send(packet(0x30 | qos << 1, _field(topic) + (self._next_packet_id() if qos else b"") + payload))

    def ready(self) -> None:
        """Continue: the socket can be read or written."""
        try:
            self._step()
        except ssl.SSLWantReadError:
            self._wait_for(selectors.EVENT_READ)
        except (ssl.SSLWantWriteError, BlockingIOError):
            self._wait_for(selectors.EVENT_WRITE | selectors.EVENT_READ)
        except (OSError, EOFError) as error:
            self.close()
            self.lost(str(error) or "closed")

    def _wait_for(self, events: int) -> None:
        assert self._socket is not None
        self._selector.modify(self._socket, events, self)

    def _connected(self) -> None:
        assert self._socket is not None
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
        self._step = self._exchange
        if self._context is not None:
            self._selector.unregister(self._socket)
            self._socket = self._context.wrap_socket(
                self._socket, server_hostname="localhost", do_handshake_on_connect=False
            )
            self._selector.register(self._socket, selectors.EVENT_READ, self)
            self._step = self._shake_hands
        self._step()

    def _shake_hands(self) -> None:
        assert isinstance(self._socket, ssl.SSLSocket)
        self._socket.do_handshake()
        self._step = self._exchange
        self._exchange()

    def _exchange(self) -> None:
        assert self._socket is not None
        if self._unsent:
            self._unsent = self._unsent[self._socket.send(self._unsent) :]
            self._wait_for(selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0))
        try:
            data = self._socket.recv(65536)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        if not data:
            raise EOFError
        self._buffer += data
        while self._socket is not None and (taken := self._take_packet()) is not None:
            self._handle(*taken)

    def _take_packet(self) -> tuple[int, bytes] | None:
        size = shift = 0
        for at, digit in enumerate(self._buffer[1:5], 2):
            size |= (digit & 127) << shift
            shift += 7
            if digit < 128:
                if len(self._buffer) < at + size:
                    return None
                first, body = self._buffer[0], self._buffer[at : at + size]
                self._buffer = self._buffer[at + size :]
                return first, body
        return None

    def _handle(self, first: int, body: bytes) -> None:
        kind = first >> 4
        if kind == _PUBLISH:
            end_of_topic = 2 + int.from_bytes(body[:2], "big")
            start = end_of_topic + 2 if first & 6 else end_of_topic
            self._traffic.received += 1
            self._traffic.received_bytes += end_of_topic - 2 + len(body) - start
            self.received(body[2:end_of_topic].decode(), body[start:])
            if first & 6:
                self._send(b"\x40\x02" + body[end_of_topic:start])
        elif kind == _CONNACK:
            if body[1]:
                raise OSError(f"refused with code {body[1]}")
            filters = b"".join(_field(name) + b"\x01" for name in self._filters)
            self._send(packet(0x82, self._next_packet_id() + filters))
        elif kind == _SUBACK:
            if 0x80 in body[2:]:
                raise OSError("a subscription was refused")
            self.subscribed()

    def _send(self, data: bytes) -> None:
        if self._socket is None:
            return
        if self._unsent:
            self._unsent += data
            return
        try:
            sent = self._socket.send(data)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            sent = 0
        if sent < len(data):
            self._unsent = data[sent:]
            self._wait_for(selectors.EVENT_READ | selectors.EVENT_WRITE)

    def _next_packet_id(self) -> bytes:
        self._packet_id = self._packet_id % 65535 + 1
        return self._packet_id.to_bytes(2, "big")


def poll(selector: selectors.BaseSelector, seconds: float) -> None:
    """Let every client whose socket is ready continue; wait at most so many seconds for the first."""
    for key, _ in selector.select(seconds):
        key.data.ready()


def _field(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2, "big") + data
