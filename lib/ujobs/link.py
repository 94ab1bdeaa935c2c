"""`Link`: an MQTT connection on umqtt.simple that never waits without a bound and never stalls the other tasks.

umqtt.simple reads with blocking calls, waits for acknowledgements for ever and does not notice a dead link. `Link`
keeps its constructor, last will, callback and packet writing, and takes over everything that waits: the base class
writes into a buffer, which asyncio sends; one task reads; another watches the deadlines. `run()` keeps the connection
up and restores the subscriptions. It knows nothing of jobs.
"""
# MicroPython's streams have more than their stubs say; and what waits in the base class is a coroutine here.
# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false, reportIncompatibleMethodOverride=false
# pyright: reportOptionalCall=false

import asyncio
import gc
import random
import time
from errno import ECONNRESET, ENOTCONN, ETIMEDOUT

from micropython import const
from umqtt.simple import MQTTClient, MQTTException

# What only type checkers read; the compiler leaves it out.
_TYPING = const(0)
if _TYPING:
    from typing import Any, Callable

_FIRST_BUFFER = const(1024)  # bytes; most replies fit
_MAX_DOUBLINGS = const(5)  # of the pause between attempts: 1 s to 32 s
_STEADY = const(30000)  # milliseconds up after which a connection counts as sound
_REFUSED = const(0x80)
_IN_A_ROW = const(4)  # packets that have arrived already, read between two turns for the other tasks
_MOST_OWED = const(64)  # bytes of acknowledgements that wait for something else to be sent


def log(*words: object) -> None:
    """Print one line on the board's console. Never give it a payload: documents may hold secrets."""
    print("ujobs:", *words)


def explain(error: BaseException) -> str:
    """Return an exception as one line of text."""
    return " ".join((type(error).__name__ + ": " + str(error)).split())


async def until(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, which is set when so many seconds have passed: asyncio.wait_for() costs twice as much."""
    timer = asyncio.create_task(_set(event, seconds))
    try:
        await event.wait()
    finally:
        timer.cancel()


async def _set(event, seconds):
    await asyncio.sleep(seconds)
    event.set()


def _octets(text):
    # The base class counts characters, which is not the length in bytes.
    return text.encode() if isinstance(text, str) else text


class _Written(Exception):
    pass


class _Outbox:
    # What the base class takes for its socket: a packet is gathered here, to be sent whole in one TLS record.
    def __init__(self):
        self.data = bytearray()

    def write(self, data, length=None):
        self.data.extend(data if length is None else data[:length])

    def close(self):
        pass


class Link(MQTTClient):
    """One MQTT connection, kept up by the task `run()`.

    client_id: on AWS the thing name. server, port, user, password, ssl: as in umqtt.simple; certificates.tls_context()
    makes what ssl takes. keepalive: seconds, 1 to 1200; AWS takes less than 30 for 30. timeout: seconds for any one
    answer, packet or send. receive_limit: bytes of the largest packet taken in; a larger one is read away and reported.

    up: asyncio.Event that is set while connected and subscribed. filters: list of (topic filter, qos), subscribed at
    every connect. listeners: list of functions, called with True when the link came up and with False when it was lost.
    Raises ValueError for a keepalive out of its limits.
    """

    def __init__(
        self, client_id: "str | bytes", server: str, port: int = 0, user: "str | bytes | None" = None,
        password: "str | bytes | None" = None, keepalive: int = 60, ssl: "Any" = None, timeout: float = 10,
        receive_limit: int = 16384,
    ):
        if not 1 <= keepalive <= 1200:
            raise ValueError("keepalive must be 1 to 1200 seconds")
        super().__init__(client_id, server, port, user, password, keepalive, ssl)
        self.sock = self._outbox = _Outbox()
        self.timeout = timeout
        self.receive_limit = receive_limit
        self.up = asyncio.Event()
        self.listeners = []
        self._routes = []
        self.filters = []
        self._view = memoryview(bytearray(_FIRST_BUFFER))
        self._stream = self._reader = None
        self._sending = asyncio.Lock()
        self._lost = asyncio.Event()
        self._asking = asyncio.Lock()
        self._answered = asyncio.Event()
        self._code = 0
        self._sent = self._received = 0
        self._owed = b""
        self._began = self._pinged = self._error = None
        self._packets = 0
        self._steady = False

    def route(self, start: bytes, callback: "Callable[[bytes, memoryview | None], None]") -> None:
        """Give messages whose topic begins with `start` to callback(topic, payload) instead of the umqtt callback.

        topic: bytes; payload: a memoryview that is valid only during the call, or None when the message was larger
        than receive_limit. The callback must not wait, and cannot publish (publish() is a coroutine).
        """
        self._routes.append((start, callback))

    def unroute(self, callback: "Callable[[bytes, memoryview | None], None]") -> None:
        """Undo route() for this callback."""
        for route in tuple(self._routes):
            if route[1] == callback:
                self._routes.remove(route)

    async def subscribe(self, topic: "str | bytes", qos: int = 0) -> None:
        """Subscribe now if connected, and again after every reconnect. Messages go to set_callback()'s function.

        topic: filter; qos: 0 or 1. Raises MQTTException when the broker refuses, OSError when the link fails first.
        """
        if (topic, qos) not in self.filters:
            self.filters.append((topic, qos))
        if self.up.is_set():
            try:
                await self._ask(self._write_filter, 0x82, topic, bytes((qos,)))
            except MQTTException:
                # Kept, it would fail every reconnect.
                self.filters.remove((topic, qos))
                raise

    async def unsubscribe(self, topic: "str | bytes") -> None:
        """Unsubscribe, and do not restore the subscription. Raises OSError when the link fails."""
        for wanted in tuple(self.filters):
            if _octets(wanted[0]) == _octets(topic):
                self.filters.remove(wanted)
        if self.up.is_set():
            await self._ask(self._write_filter, 0xA2, topic)

    async def publish(self, topic: "str | bytes", msg: "str | bytes", retain: bool = False, qos: int = 0) -> None:
        """Publish; with qos 1, return once the broker has acknowledged, after sending a second time if it must be.

        topic, msg: str or bytes; AWS takes 128 KB. qos: 0 or 1, AWS has no 2. Raises ValueError for another qos;
        OSError when there is no link or no answer, and then whether the message arrived is not known.
        """
        if qos not in (0, 1):
            raise ValueError("qos must be 0 or 1")
        # Not while connecting either: AWS takes nothing between CONNECT and its answer.
        if not self.up.is_set():
            raise OSError(ENOTCONN)
        topic = _octets(topic)
        msg = _octets(msg)
        if qos:
            await self._ask(super().publish, topic, msg, retain, 1)
        else:
            await self._send(self._packet(super().publish, topic, msg, retain))

    async def connect(self) -> None:
        """Connect once, and restore the subscriptions, within three times `timeout`.

        run() does this and everything after it. Raises OSError, ValueError for a certificate that does not verify or
        an answer that is not MQTT, MQTTException when the broker refuses, asyncio.TimeoutError.
        """
        await asyncio.wait_for(self._connect(), 3 * self.timeout)

    async def disconnect(self) -> None:
        """Take leave of the broker, which then does not publish the last will. run() must be cancelled first."""
        try:
            await self._send(self._packet(super().disconnect))
        finally:
            self._close()

    async def run(self) -> None:
        """Connect, and connect again whenever the link is lost, until cancelled.

        Between attempts it waits with exponential backoff and full jitter, up to half a minute, and logs one line.
        """
        attempt = 0
        while True:
            try:
                await self.connect()
                await self._watch()
            except asyncio.TimeoutError:
                reason = "connecting took too long"
            except Exception as error:
                reason = explain(error)
            finally:
                self._close()
            # A connect that was cut short left its socket behind.
            gc.collect()
            if self._steady:
                attempt = 0
            # AWS takes one CONNECT a second from a client id: never less than that.
            delay = 1 + random.random() * (1 << attempt)
            attempt = min(attempt + 1, _MAX_DOUBLINGS)
            log("no link to %s: %s. Next try in %d s" % (self.server, reason, int(delay + 0.5)))
            await asyncio.sleep(delay)

    def wait_msg(self) -> None:
        # The base class turns to this when it has written a packet and wants its acknowledgement.
        raise _Written

    check_msg = wait_msg

    async def _connect(self):
        self._lost.clear()
        self._owed = b""
        self._steady = False
        self._began = self._pinged = self._error = None
        stream, _ = await asyncio.open_connection(self.server, self.port, ssl=self.ssl, server_hostname=self.server)
        self._stream = stream
        # The TLS handshake happens here, and takes seconds on a board.
        await self._send(self._packet(self._write_connect), 3 * self.timeout)
        view = self._view[:4]
        await asyncio.wait_for(self._fill(view), self.timeout)
        if view[0] != 0x20 or view[1] != 2:
            raise ValueError("the answer to CONNECT is not MQTT")
        if view[3]:
            # 5 in MQTT 3.1.1, 7 on AWS: not authorized, by the policy or the client id.
            raise MQTTException("CONNECT refused with code %d" % view[3])
        self._reader = asyncio.create_task(self._read())
        for wanted in self.filters:
            await self._ask(self._write_filter, 0x82, wanted[0], bytes((wanted[1],)))
        log("connected to", self.server)
        self.up.set()
        self._tell(True)

    def _write_connect(self):
        strings = [self.client_id]
        flags = 2
        if self.lw_topic:
            strings += [self.lw_topic, self.lw_msg]
            flags |= 4 | self.lw_qos << 3 | self.lw_retain << 5
        if self.user:
            strings += [self.user, self.pswd]
            flags |= 0xC0
        strings = list(map(_octets, strings))
        self._write_header(0x10, 10 + 2 * len(strings) + sum(map(len, strings)))
        self._outbox.write(b"\0\x04MQTT\x04")
        self._outbox.write(bytes((flags, self.keepalive >> 8, self.keepalive & 255)))
        for string in strings:
            self._send_str(string)

    def _write_header(self, kind, size):
        header = bytearray((kind,))
        while size > 127:
            header.append(size & 127 | 128)
            size >>= 7
        header.append(size)
        self._outbox.write(header)

    def _write_filter(self, kind, topic, rest=b""):
        # Not left to the base class: before its version 1.7 it cannot unsubscribe, and before 1.8 it writes a broken
        # SUBSCRIBE for filters of more than 122 bytes.
        topic = _octets(topic)
        self.pid += 1
        self._write_header(kind, 4 + len(topic) + len(rest))
        self._outbox.write(bytes((self.pid >> 8, self.pid & 255)))
        self._send_str(topic)
        self._outbox.write(rest)

    async def _send(self, data, patience=None):
        stream = self._stream
        async with self._sending:
            # The connection this was meant for may have gone while it waited its turn.
            if stream is None or stream is not self._stream:
                raise OSError(ENOTCONN)
            if self._owed:
                # Acknowledgements go along with what is sent next: in a segment of their own they would hold that up,
                # as TCP waits for one small segment to be confirmed before it sends another.
                data = self._owed + data
                self._owed = b""
            try:
                stream.write(data)
                if stream.out_buf:
                    await asyncio.wait_for(stream.drain(), patience or self.timeout)
                self._sent = time.ticks_ms()
            except asyncio.TimeoutError:
                raise OSError(ETIMEDOUT)
            finally:
                # Half a packet on the wire cannot be taken back, whatever stopped us.
                if stream.out_buf and stream is self._stream:
                    self._lose()

    def _packet(self, write, *args):
        # Anew each time: what a write left behind that failed must not come before another packet.
        self._outbox.data = bytearray()
        try:
            write(*args)
        except _Written:
            pass
        return self._outbox.data

    async def _ask(self, write, *args):
        # One packet that is acknowledged, and sent twice if it must be.
        async with self._asking:
            if self.pid >= 65535:
                self.pid = 0
            data = self._packet(write, *args)
            for _ in range(2):
                self._answered.clear()
                self._code = -1
                await self._send(data)
                try:
                    await asyncio.wait_for(self._answered.wait(), self.timeout)
                except asyncio.TimeoutError:
                    if data[0] & 0xF0 == 0x30:
                        data[0] |= 8
                    continue
                if self._code < 0:
                    raise OSError(ENOTCONN)
                if self._code >= _REFUSED:
                    raise MQTTException("subscription refused: %s" % args[1])
                return
            raise OSError(ETIMEDOUT)

    async def _fill(self, view, wait=False):
        stream = self._stream
        done = 0
        while done < len(view):
            rest = view[done:]
            # What has arrived already is taken without a turn of the loop, which costs more than reading does.
            count = await stream.readinto(rest) if wait else stream.s.readinto(rest)
            wait = count is None
            if count:
                if self._began is None:
                    self._began = time.ticks_ms()
                done += count
            elif not wait:
                raise OSError(ECONNRESET)

    async def _read(self):
        try:
            while True:
                self._began = None
                await self._read_packet()
                self._received = time.ticks_ms()
        except Exception as error:
            self._error = error
            self._lose()

    async def _read_packet(self):
        view = self._view
        # The other tasks have their turn now and then, however fast packets come.
        self._packets += 1
        await self._fill(view[:2], self._packets % _IN_A_ROW == 0)
        kind = view[0]
        size = view[1] & 127
        shift = 7
        more = view[1]
        while more & 128:
            if shift > 21:
                raise ValueError("malformed packet length")
            await self._fill(view[:1])
            more = view[0]
            size |= (more & 127) << shift
            shift += 7
        if kind & 0xF0 == 0x30:
            await self._read_publish(kind, size)
        elif size > 4:
            raise ValueError("unexpected packet")
        else:
            await self._fill(view[:size])
            if kind == 0xD0:
                self._pinged = None
            # PUBACK, SUBACK, UNSUBACK: only one is ever awaited; a late answer to an earlier packet is passed over.
            elif size >= 2 and kind & 0xF0 in (0x40, 0x90, 0xB0) and view[0] << 8 | view[1] == self.pid:
                self._code = view[2] if size > 2 else 0
                self._answered.set()

    async def _read_publish(self, kind, size):
        fits = size <= len(self._view) or self._grow(size)
        view = self._view
        await self._fill(view[: size if fits else 2])
        length = view[0] << 8 | view[1]
        start = 2 + length
        qos = kind & 6
        body = start + 2 if qos else start
        if qos > 2 or body > size or body > len(view):
            raise ValueError("malformed PUBLISH")
        if not fits:
            await self._fill(view[2:body])
        topic = bytes(view[2:start])
        packet_id = bytes(view[start:body])
        if fits:
            self._deliver(topic, view[body:size])
        else:
            size -= body
            log("message of %d bytes is over the receive limit" % size)
            while size:
                piece = min(size, len(view))
                await self._fill(view[:piece], True)
                size -= piece
            self._deliver(topic, None)
        if qos:
            self._owed += b"\x40\x02" + packet_id
            if len(self._owed) > _MOST_OWED:
                await self._send(b"")

    def _grow(self, size):
        # Grown once and kept: a buffer allocated anew for every large message would break up the heap.
        if size > self.receive_limit:
            return False
        try:
            self._view = memoryview(bytearray(size))
        except MemoryError:
            return False
        return True

    def _deliver(self, topic, payload):
        try:
            for start, callback in self._routes:
                if topic.startswith(start):
                    return callback(topic, payload)
            if payload is not None and self.cb:
                self.cb(topic, payload)
        except Exception as error:
            log("callback failed:", explain(error))

    def _late(self):
        now = time.ticks_ms()
        for since in (self._began, self._pinged):
            if since is not None and time.ticks_diff(now, since) > self.timeout * 1000:
                return True
        return False

    async def _watch(self):
        since = self._received = time.ticks_ms()
        while True:
            try:
                await asyncio.wait_for(self._lost.wait(), min(self.keepalive, self.timeout) / 4)
                raise self._error or OSError(ECONNRESET)
            except asyncio.TimeoutError:
                pass
            if self._late():
                # After a long blocking call the answer may be waiting to be read: let the reader have its turn.
                await asyncio.sleep(self.timeout / 20)
                if self._late():
                    raise OSError(ETIMEDOUT)
            if self._owed:
                await self._send(b"")
            now = time.ticks_ms()
            # Remembered, not reckoned at the end: ticks_ms wraps around within days.
            self._steady = self._steady or time.ticks_diff(now, since) > _STEADY
            idle = self.keepalive * 500
            if self._pinged is None and (
                time.ticks_diff(now, self._sent) >= idle or time.ticks_diff(now, self._received) >= idle
            ):
                self._pinged = now
                await self._send(self._packet(self.ping))

    def _tell(self, up):
        for listener in self.listeners:
            try:
                listener(up)
            except Exception as error:
                log("callback failed:", explain(error))

    def _lose(self):
        self._lost.set()
        self._code = -1
        self._answered.set()
        if self.up.is_set():
            self.up.clear()
            self._tell(False)

    def _close(self):
        self._lose()
        if self._reader:
            self._reader.cancel()
            self._reader = None
        if self._stream:
            try:
                self._stream.s.close()
            except OSError as error:
                # It is gone in any case: the ESP32 passes on what lwIP says.
                log("not closed:", explain(error))
            self._stream = None
