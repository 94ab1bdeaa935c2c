"""`Link`: an MQTT connection on umqtt.simple that never blocks and never waits without a bound.

umqtt.simple reads with blocking calls, waits for acknowledgements forever and does not notice a dead link. `Link` keeps
its constructor, last will, callback and packets, and does all the waiting itself: umqtt.simple writes into a buffer,
asyncio sends it, and one task reads. `run()` watches over the connection and reconnects. It knows nothing of jobs.
"""
# The stubs of MicroPython's streams are incomplete; and methods that block in the base class are coroutines here.
# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false, reportIncompatibleMethodOverride=false
# pyright: reportOptionalCall=false

import asyncio
import gc
import random
import time
from errno import ECONNRESET, ENOTCONN, ETIMEDOUT

from umqtt.simple import MQTTClient, MQTTException

# Neither is in a .mpy at -O2: its compiler knows const, and types are for type checkers only.
if __debug__:
    from micropython import const
_TYPING = const(0)
if _TYPING:
    from typing import Any

_BUFFER = const(1280)  # bytes; most packets fit, also a job document of 1 KB
_KEPT = const(4608)  # bytes; a block of a stream fits
_FILTERS = const(8)  # in one SUBSCRIBE, AWS IoT Core quota "Subscriptions per subscribe call"
_REFUSED = const(0x80)
_CONNACK = const(0x20)
_STEADY = const(30000)  # milliseconds after which a connection counts as stable


def log(*words: object) -> None:
    """Print one line on the board's console, of an exception what explain() returns.

    Never give it a payload: documents may hold secrets.
    """
    try:
        print("ujobs:", *map(explain, words))
    except MemoryError:
        pass  # a line is not worth what would end with it


def explain(word: "Any") -> "Any":
    """Return an exception as one line of text, anything else as it is."""
    if isinstance(word, BaseException):
        name = type(word).__name__
        try:
            word = " ".join(("%s: %s" % (name, word)).split())
        except Exception:
            word = name  # of an application, whose text fails
    return word


async def until(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event, at most so many seconds; a timeout sets it, too. Return whether it came in time.

    asyncio.wait_for() takes two tasks where this takes one.
    """
    timer = asyncio.create_task(_set(event, seconds))
    try:
        await event.wait()
        return not timer.done()
    finally:
        timer.cancel()


async def _set(event, seconds):
    try:
        await asyncio.sleep(seconds)
    except MemoryError:
        # Otherwise the event would never be set. A whole number takes no memory.
        await asyncio.sleep(1)
    event.set()


def _call(callback, *args):
    # A callback that fails must not end the connection.
    try:
        callback(*args)
    except Exception as error:
        log("callback failed:", error)


def _octets(text):
    # The base class counts characters instead of bytes.
    return text.encode() if isinstance(text, str) else text


def _string(text):
    text = _octets(text)
    return len(text).to_bytes(2, "big") + text


def _packet(kind, body):
    packet = bytearray((kind,))
    size = len(body)
    while size > 127:
        packet.append(size & 127 | 128)
        size >>= 7
    packet.append(size)
    return packet + body


class Link(MQTTClient):
    """One MQTT connection, kept up by the task `run()`.

    client_id: on AWS the thing name. server, port, user, password, ssl: as in umqtt.simple; certificates.tls_context()
    makes what ssl takes. keepalive: seconds, 1 to 1200; AWS treats less than 30 as 30. timeout: seconds for any one
    answer, packet or send. receive_limit: bytes of the largest packet accepted; a larger one is discarded and logged.

    up: asyncio.Event that is set while connected; what is published then follows the subscriptions. filters: list of
    (topic filter, qos), subscribed at every connect. listeners: list of functions, called with True when the broker has
    confirmed the subscriptions and with False when the connection was lost. routes: list of (start, callback): a
    message whose topic begins with `start` (bytes) goes to callback(topic, payload), not to set_callback()'s function.
    failure: why the last connection ended or was not made, "" at first.
    payload: a memoryview that is valid only during the call, None when the message was over receive_limit. Callbacks
    must not wait, and cannot publish (publish() is a coroutine). Raises ValueError for a keepalive out of its limits.
    """

    def __init__(
        self, client_id: "str | bytes", server: str, port: int = 0, user: "str | bytes | None" = None,
        password: "str | bytes | None" = None, keepalive: int = 60, ssl: "Any" = None, timeout: float = 10,
        receive_limit: int = 16384,
    ):
        if not 1 <= keepalive <= 1200:
            raise ValueError("keepalive must be 1 to 1200 seconds")
        super().__init__(client_id, server, port, user, password, int(keepalive), ssl)
        self.sock = self
        self.timeout = timeout
        self.receive_limit = receive_limit
        self.up = asyncio.Event()
        self.listeners = []
        self.routes = []
        self.filters = []
        self._view = memoryview(bytearray(_BUFFER))
        self._stream = None
        self._tasks = []
        self._awake = asyncio.Event()  # wakes run()
        self._sending = asyncio.Lock()
        self._asking = asyncio.Lock()
        self._answered = asyncio.Event()
        self.failure = ""

    async def subscribe(self, topic: "str | bytes", qos: int = 0) -> None:
        """Subscribe now if connected, and again after every reconnect.

        topic: filter; qos: 0 or 1. Raises MQTTException when the broker refuses, OSError when the link fails first.
        """
        wanted = (topic, qos)
        if wanted not in self.filters:
            self.filters.append(wanted)
        if self.up.is_set():
            try:
                await self._subscribe((wanted,))
            except MQTTException:
                # Kept, it would fail every reconnect.
                self.filters.remove(wanted)
                raise

    async def unsubscribe(self, topic: "str | bytes") -> None:
        """Unsubscribe, and do not restore the subscription. Raises OSError when the link fails."""
        for wanted in tuple(self.filters):
            if _octets(wanted[0]) == _octets(topic):
                self.filters.remove(wanted)
        if self.up.is_set():
            await self._ask(self._filters_packet, 0xA2, ((topic,),))

    async def publish(self, topic: "str | bytes", msg: "str | bytes", retain: bool = False, qos: int = 0) -> None:
        """Publish; with qos 1, return once the broker has acknowledged it. It is sent a second time if it must be.

        topic, msg: str or bytes; AWS accepts 128 KB. qos: 0 or 1, AWS has no 2. Raises ValueError for another qos;
        OSError when there is no link or no answer, and then it is not known whether the message arrived.
        """
        if qos not in (0, 1):
            raise ValueError("qos must be 0 or 1")
        # Not while connecting either: AWS accepts nothing between CONNECT and its answer.
        if not self.up.is_set():
            raise OSError(ENOTCONN)
        args = (super().publish, _octets(topic), _octets(msg), retain, qos)
        if qos:
            await self._ask(self._written, *args)
        else:
            await self._send(self._written(*args))

    async def connect(self) -> None:
        """Connect once, and restore the subscriptions.

        run() does this and everything after it, and limits the time it takes. Raises OSError, ValueError for a
        certificate that does not verify or an answer that is not MQTT, MQTTException when the broker refuses.
        """
        self._awake.clear()
        self._error: "Any" = None  # why the connection is lost
        self._overdue = None  # milliseconds without the reply to a ping, or the rest of a packet
        stream, _ = await asyncio.open_connection(self.server, self.port)
        self._stream = self._plain = stream
        if self.ssl:
            self._stream = type(stream)(
                self.ssl.wrap_socket(stream.s, server_hostname=self.server, do_handshake_on_connect=False)
            )
        flags = 2
        strings = [self.client_id]
        if self.lw_topic:
            strings += (self.lw_topic, self.lw_msg)
            flags |= 4 | self.lw_qos << 3 | self.lw_retain << 5
        if self.user:
            strings += (self.user, self.pswd)
            flags |= 0xC0
        body = b"\0\x04MQTT\x04" + bytes((flags, self.keepalive >> 8, self.keepalive & 255))
        self._await(_CONNACK)
        # The TLS handshake happens here, and takes seconds on a board.
        await self._send(_packet(0x10, body + b"".join(map(_string, strings))), 3 * self.timeout)
        self._tasks.append(asyncio.create_task(self._read()))
        await until(self._answered, self.timeout)
        if not self._codes:
            raise self._error or OSError(ETIMEDOUT)
        if self._codes[0]:
            # 5 in MQTT 3.1.1, 7 on AWS: not authorized, by the policy or the client id.
            raise MQTTException("CONNECT refused with code %d" % self._codes[0])
        # IPPROTO_TCP, TCP_NODELAY: two small packets in a row must not wait for a delayed acknowledgement.
        self._plain.s.setsockopt(6, 1, 1)
        # A request that waits for this leaves right behind the SUBSCRIBE, without waiting for its answer.
        self.up.set()
        for at in range(0, len(self.filters), _FILTERS):
            await self._subscribe(self.filters[at : at + _FILTERS])
        log("connected to", self.server)
        self._tell(True)

    async def disconnect(self) -> None:
        """Disconnect cleanly, so that the broker does not publish the last will. run() must be cancelled first."""
        try:
            await self._send(self._written(super().disconnect))
        finally:
            self._close()

    async def run(self) -> None:
        """Connect, and connect again whenever the link is lost, until cancelled.

        Between attempts it waits with exponential backoff and full jitter, up to half a minute, and logs one line.
        """
        self._most = 1
        while True:
            try:
                try:
                    await asyncio.wait_for(self.connect(), 3 * self.timeout)
                    self._tasks.append(asyncio.create_task(self._watch()))
                    await self._awake.wait()
                    raise self._error
                except asyncio.TimeoutError:
                    self.failure = "connecting took too long"
                except Exception as error:
                    self.failure = explain(error)
                finally:
                    self._close()
                # A connect that was cut short left its socket behind.
                gc.collect()
                # AWS accepts one CONNECT a second from a client id: never less than that.
                delay = 1 + random.random() * self._most
                self._most = min(self._most * 2, 32)
                log("no link to %s:%d: %s. Next try in %.0f s" % (self.server, self.port, self.failure, delay))
                await asyncio.sleep(delay)
            except MemoryError:
                # A handler may have it all. There may be some later.
                await asyncio.sleep(1)

    async def _watch(self):
        # Ping the broker, and notice when it is silent.
        try:
            held = 0
            pinged = time.ticks_ms()
            # Whole numbers: a float would take memory of its own.
            tick = int(min(self.keepalive, self.timeout) * 250)
            while True:
                await asyncio.sleep(tick / 1000)
                # Counted, not measured: while this program itself blocks, nothing is known of the link.
                held += tick
                if held > _STEADY:
                    self._most = 1
                if self._overdue is not None:
                    self._overdue += tick
                    if self._overdue > self.timeout * 1000:
                        raise OSError(ETIMEDOUT)
                now = time.ticks_ms()
                if time.ticks_diff(now, pinged) >= self.keepalive * 500:
                    pinged = now
                    if self._overdue is None:
                        self._overdue = 0
                    await self._send(self._written(self.ping))
        except Exception as error:
            self._lose(error)

    # The base class calls these three. Its socket is the link itself, which collects a packet: it is sent in one TLS
    # record.
    def write(self, data: bytes, size: "int | None" = None) -> None:
        self._data.extend(data[:size])

    def close(self) -> None:
        pass

    def wait_msg(self) -> None:
        # Called after a packet, to wait for its acknowledgement.
        raise EOFError

    async def _subscribe(self, filters):
        codes = await self._ask(self._filters_packet, 0x82, filters)
        for wanted, code in zip(filters, codes):  # noqa: B905
            if code >= _REFUSED:
                raise MQTTException("subscription refused: %s" % wanted[0])

    def _filters_packet(self, kind, filters):
        # The base class cannot unsubscribe before version 1.7, writes a broken SUBSCRIBE for filters of more than 122
        # bytes before 1.8, and sends one filter at a time.
        self.pid += 1
        body = self.pid.to_bytes(2, "big")
        for topic, *qos in filters:
            body += _string(topic) + bytes(qos)
        return _packet(kind, body)

    def _written(self, write, *args):
        # Start with an empty buffer: leftovers of a failed write must not precede the next packet.
        self._data = data = bytearray()
        try:
            write(*args)
        except EOFError:
            pass  # see wait_msg()
        self._data = None  # not kept until the next one
        return data

    def _await(self, kind):
        # kind: of the packet that acknowledges the next one; _codes: the return codes in it.
        self._answered.clear()
        self._awaited = kind
        self._codes = None

    async def _ask(self, build, *args):
        # Send a packet that is acknowledged, twice if need be. Returns the codes in the acknowledgement.
        await self._asking.acquire()
        try:
            # umqtt.simple never wraps the packet id.
            self.pid %= 65535
            packet = build(*args)
            for _ in range(2):
                self._await((packet[0] & 0xF0) + 0x10)
                await self._send(packet)
                await until(self._answered, self.timeout)
                if self._codes is not None:
                    return self._codes
                if packet[0] & 0xF0 == 0x30:
                    packet[0] |= 8
            raise OSError(ETIMEDOUT)
        finally:
            self._asking.release()

    async def _send(self, data, timeout=None):
        stream = self._stream
        await self._sending.acquire()
        try:
            # The connection may have been replaced while this waited for the lock.
            if not stream or stream is not self._stream or self._error:
                raise OSError(ENOTCONN)
            stream.write(data)
            if stream.out_buf:
                await asyncio.wait_for(stream.drain(), timeout or self.timeout)
        except asyncio.TimeoutError:
            raise OSError(ETIMEDOUT)
        finally:
            self._sending.release()
            # Half a packet cannot be taken back, whatever stopped us.
            if stream and stream.out_buf and stream is self._stream:
                self._lose(OSError(ETIMEDOUT))

    async def _read(self):
        try:
            while True:
                view = self._view
                self._waited = False
                await self._fill(view[:2])
                kind = view[0]
                more = view[1]
                size = more & 127
                shift = 7
                while more & 128:
                    if shift > 21:
                        raise ValueError("not an MQTT packet")
                    await self._fill(view[:1])
                    more = view[0]
                    size |= (more & 127) << shift
                    shift += 7
                if kind & 0xF0 == 0x30:
                    view = None  # a larger one may take its place
                    await self._deliver(kind, size)
                elif size > 2 + _FILTERS:
                    raise ValueError("not an MQTT packet")
                else:
                    await self._fill(view[:size])
                    # One acknowledgement is awaited at a time. One for an earlier packet is ignored.
                    start = 1 if kind == _CONNACK else 2
                    if kind == self._awaited and size >= 2 and (start == 1 or view[0] << 8 | view[1] == self.pid):
                        self._codes = bytes(view[start:size])
                        self._answered.set()
                self._overdue = None
                if not self._waited:
                    # Yield to other tasks, however fast packets arrive.
                    await asyncio.sleep(0)
        except Exception as error:
            self._lose(error)

    async def _fill(self, view):
        source = self._stream.s
        polled = False
        while view:
            # Data that has arrived is read without yielding, which would cost more than reading.
            count = source.readinto(view)
            if count is None:
                self._waited = True
                polled = not polled
                if polled:
                    # Waits for the socket below TLS: the unix port polls a TLS socket every millisecond.
                    await self._plain.readinto(view[:0])
                else:
                    # Part of a TLS record is missing: do not wake for each of its segments.
                    await asyncio.sleep(0.03)
            elif not count:
                raise OSError(ECONNRESET)
            else:
                view = view[count:]
                if self._overdue is None:
                    self._overdue = 0

    async def _deliver(self, kind, size):
        view = self._view
        if len(view) < size <= self.receive_limit:
            try:
                view = memoryview(bytearray(size))
                # A larger one is not kept for later messages: it would leave less memory for what is parsed.
                if size < _KEPT:
                    self._view = view
            except MemoryError:
                pass  # discarded, as one over the limit is
        left = size - len(view)
        await self._fill(view[:size])
        start = 2 + (view[0] << 8 | view[1])
        qos = kind & 6
        body = start + qos
        if qos > 2 or body > size or body > len(view):
            raise ValueError("not an MQTT packet")
        topic = bytes(view[2:start])
        packet_id = bytes(view[start:body])
        payload = view[body:size]
        if left > 0:
            log("message of %d bytes over receive_limit" % (size - body))
            payload = None
            while left > 0:
                await self._fill(view[:left])
                left -= len(view)
                await asyncio.sleep(0)
        callback = self.cb if payload is not None else None
        for start, route in self.routes:
            if topic.startswith(start):
                callback = route
                break
        if callback:
            _call(callback, topic, payload)
        if qos:
            await self._send(b"\x40\x02" + packet_id)

    def _tell(self, up):
        for listener in self.listeners:
            _call(listener, up)

    def _lose(self, error):
        self._error = self._error or error
        self._awake.set()
        self._answered.set()
        if self.up.is_set():
            self.up.clear()
            self._tell(False)

    def _close(self):
        self._lose(OSError(ENOTCONN))
        while self._tasks:
            self._tasks.pop().cancel()
        if self._stream:
            try:
                self._stream.s.close()
                # TLS does not close it after a failed handshake.
                self._plain.s.close()
            except OSError as error:
                # The socket is gone in any case; the ESP32 port passes on lwIP's errors.
                log("not closed:", error)
            self._stream = None
