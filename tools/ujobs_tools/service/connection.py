"""One client's connection: TLS, splitting the byte stream into packets, and limits on silence and unread data.

TLS is done here, in memory, because asyncio's own TLS keeps 256 KB for every connection. Data written within one
iteration of the event loop are sent together."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable
from typing import Protocol

from ujobs_tools.service import mqtt5, packets
from ujobs_tools.service.errors import log_failure
from ujobs_tools.service.reader import PacketError
from ujobs_tools.service.version import Version

MAX_PACKET = 146 * 1024  # bytes, as AWS says in CONNACK of MQTT 5; its largest payload is 128 KB
PATIENCE = 30.0  # seconds for a TLS handshake, for CONNECT, and for a client to read its last bytes
_PACKETS_A_TURN = 50  # packets of one client that are handled before other clients get their turn
_RECORD = 1 << 14  # maximum bytes of one read from TLS
_FULL = 1 << 16  # with this many bytes, do not wait for the end of the iteration

_log = logging.getLogger(__name__)


class Forbidden(Exception):
    """Something for which AWS closes the connection; the text is for the log. code: for a DISCONNECT of MQTT 5."""

    def __init__(self, why: str, code: int = mqtt5.NOT_SUPPORTED) -> None:
        super().__init__(why)
        self.code = code


class Owner(Protocol):
    """Handles the events of a connection."""

    def opened(self, connection: "Connection") -> None:
        """The connection was opened. Raises Forbidden if there are too many."""

    def received(self, connection: "Connection", first: int, body: bytes) -> None:
        """A packet arrived. Raises PacketError or Forbidden to have the connection closed."""

    def ended(self, connection: "Connection") -> None:
        """The client sends nothing more, but data to it may still be in flight. Can be called more than once."""

    def gone(self, connection: "Connection") -> None:
        """The connection is closed."""


class Connection(asyncio.Protocol):
    """context: of TLS; None: no TLS. name: for the log. why: the reason why it ended, "" while it is open. version: of
    MQTT, from CONNECT on."""

    def __init__(self, context: ssl.SSLContext | None, owner: Owner) -> None:
        self.name = "connection"
        self.version: Version = packets
        self.why = ""
        self.closed = False
        self._owner = owner
        self._buffer = b""
        self._unsent: list[bytes] = []
        self._unsent_size = 0
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = None if context is None else context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._secure = False  # True from the TLS handshake until TLS fails
        self._farewell = False  # True once the client has closed its side of TLS
        self._loop = asyncio.get_running_loop()

    @property
    def certificate(self) -> bytes | None:
        """The client's certificate as DER; None without TLS."""
        return None if self._tls is None else self._tls.getpeercert(binary_form=True)

    @property
    def address(self) -> str | None:
        """The client's IP address."""
        peer = self._transport.get_extra_info("peername")
        return peer[0] if peer else None

    @property
    def unread(self) -> int:
        """Bytes written that the system has not accepted yet."""
        return self._unsent_size + self._transport.get_write_buffer_size()

    def allow_silence(self, seconds: float) -> None:
        """Close the connection whenever no packet arrives for this many seconds."""
        self._silence = seconds
        self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._check_silence)

    def write(self, data: bytes) -> None:
        """Send bytes, at the latest at the end of this iteration of the event loop."""
        if self.closed:
            return
        if not self._unsent:
            self._loop.call_soon(self._guarded, self._flush)
        self._unsent.append(data)
        self._unsent_size += len(data)
        if self._unsent_size > _FULL:
            self._guarded(self._flush)

    def close(self, why: str, code: int | None = None) -> None:
        """Close the connection once everything is written, or after PATIENCE. code: tell a client of MQTT 5 why."""
        if self.closed:
            return
        if code is not None:
            self._unsent.append(self.version.disconnect(code))
        self._flush()
        self._end(why)
        if self._tls is not None and self._secure:
            with contextlib.suppress(ssl.SSLError):  # raised because we do not wait for the client's close_notify
                self._tls.unwrap()
            self._send_encrypted()
        self._transport.close()
        self._timer = self._loop.call_later(PATIENCE, self._transport.abort)

    def abort(self, why: str) -> None:
        """Close the connection at once."""
        if not self.closed:
            self._end(why)
        self._transport.abort()

    def _end(self, why: str) -> None:
        self.closed = True
        self.why = why
        self._unsent.clear()
        self._timer.cancel()
        self._owner.ended(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._heard = self._loop.time()
        self._silence = PATIENCE
        self._timer = self._loop.call_later(PATIENCE, self._check_silence)
        self._guarded(self._owner.opened, self)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed:
            _log.info("%s disconnected: the connection broke", self.name)
            self._end("the connection broke")
        self._timer.cancel()
        self._owner.gone(self)

    def data_received(self, data: bytes) -> None:
        self._guarded(self._take, data)

    def _guarded(self, function: Callable[..., None], *arguments: object) -> None:
        """Catch every exception: an error of one client must close only its own connection."""
        code = None
        try:
            function(*arguments)
            return
        except (PacketError, Forbidden) as error:
            why, code = str(error), error.code
            _log.warning("%s closed: %s", self.name, why)
        except ssl.SSLError as error:
            self._secure = False
            # Only CERTIFICATE_VERIFY_FAILED comes with a reason: expired, or of another CA.
            why = f"TLS: {error.reason} {getattr(error, 'verify_message', '')}".rstrip()
            _log.warning("%s closed: %s", self.name, why)
        except Exception:
            why = "the broker failed"
            log_failure(_log, "%s closed: %s", self.name, why)
        self.close(why, code)

    def _check_silence(self) -> None:
        left = self._heard + self._silence - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._check_silence)
        else:
            why = "no packet arrived in time"
            _log.info("%s closed: %s", self.name, why)
            self.close(why, mqtt5.KEEP_ALIVE_TIMEOUT)

    def _take(self, data: bytes) -> None:
        if self._tls is None:
            self._buffer += data
            self._work()
            return
        self._incoming.write(data)
        try:
            if not self._secure:
                self._tls.do_handshake()
                self._secure = True
                self._heard = self._loop.time()
            while self._incoming.pending and not self._farewell:
                data = self._tls.read(_RECORD)
                self._buffer += data
                self._farewell = not data
        except ssl.SSLWantReadError:
            pass
        finally:
            self._send_encrypted()
        self._work()

    def _work(self) -> None:
        at = 0
        for _ in range(_PACKETS_A_TURN):
            if self.closed:
                return
            bounds = _packet_bounds(self._buffer, at)
            if bounds is None:
                self._transport.resume_reading()
                if self._farewell:
                    self.close("the client ended TLS without DISCONNECT")
                break
            self._heard = self._loop.time()
            start, end = bounds
            self._owner.received(self, self._buffer[at], self._buffer[start:end])
            at = end
        else:
            self._transport.pause_reading()
            self._loop.call_soon(self._guarded, self._work)
        self._buffer = self._buffer[at:]

    def _flush(self) -> None:
        data = b"".join(self._unsent)
        self._unsent.clear()
        self._unsent_size = 0
        if self._tls is None:
            self._transport.write(data)
        elif self._secure:
            rest = memoryview(data)
            while rest:
                rest = rest[self._tls.write(rest) :]
            self._send_encrypted()

    def _send_encrypted(self) -> None:
        if self._outgoing.pending:
            self._transport.write(self._outgoing.read())


def _packet_bounds(buffer: bytes, at: int) -> tuple[int, int] | None:
    """The start and end of the body of the packet at `at`; None if the packet is not complete yet."""
    if at == len(buffer):
        return None
    packets.check_flags(buffer[at])
    size = shift = 0
    for position in range(at + 1, at + 5):
        if position == len(buffer):
            return None
        digit = buffer[position]
        size |= (digit & 127) << shift
        shift += 7
        if digit < 128:
            break
    else:
        raise PacketError("packet length of more than four bytes")
    if size > MAX_PACKET:
        raise Forbidden(f"packet of {size} bytes", mqtt5.PACKET_TOO_LARGE)
    end = position + 1 + size
    return (position + 1, end) if end <= len(buffer) else None
