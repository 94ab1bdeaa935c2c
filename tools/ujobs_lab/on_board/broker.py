"""An MQTT broker in memory for device tests, on both interpreters: it replaces asyncio.open_connection.

Without sockets, nothing depends on ports or on random fragmentation: a test decides which bytes the board gets, in
which pieces, and when. `Broker` replies as a normal broker does unless a test mutes it.
"""

import asyncio
import struct


class _Socket:
    def __init__(self, wire):
        self.wire = wire

    def readinto(self, view):
        return self.wire.take(view)

    def setsockopt(self, level, option, value):
        self.wire.options.append((level, option, value))

    def close(self):
        if not self.wire.closed:
            self.wire.closed = True
            self.wire.broker.closed += 1


class Wire:
    """One connection as the board sees it: an asyncio stream whose other end is the broker.

    stuck: writes do not get through, whatever becomes of the connection.
    """

    def __init__(self, broker):
        self.broker = broker
        self.s = _Socket(self)
        self.out_buf = b""
        self.closed = False
        self.stuck = False
        self.arrived = b""
        self.options = []
        self.ended = False
        self._event = asyncio.Event()
        self._sent = b""

    async def readinto(self, view):
        # MicroPython's readinto() yields to the loop even if bytes are there.
        await asyncio.sleep(0)
        while not self.arrived and not self.ended:
            self._event.clear()
            await self._event.wait()
        return self.take(view)

    def take(self, view):
        """Read like a non-blocking socket: None if there are no bytes."""
        if not self.arrived:
            return 0 if self.ended else None
        count = min(len(view), len(self.arrived), self.broker.piece)
        view[:count] = self.arrived[:count]
        self.arrived = self.arrived[count:]
        return count

    def write(self, data):
        if self.stuck or self.broker.stuck:
            self.out_buf += bytes(data)
            return
        if self.ended:
            raise OSError(104)
        self._sent += bytes(data)
        self._packets()

    async def drain(self):
        while self.out_buf:
            await asyncio.sleep(0.01)
            if not self.stuck and not self.broker.stuck:
                data, self.out_buf = self.out_buf, b""
                self.write(data)

    def give(self, data):
        """Deliver bytes to the board."""
        self.arrived += data
        self._event.set()

    def end(self):
        """Close the connection from the broker's side."""
        self.ended = True
        self._event.set()

    def _packets(self):
        while len(self._sent) >= 2:
            size = shift = 0
            at = 1
            while True:
                if at == len(self._sent):
                    return
                size |= (self._sent[at] & 127) << shift
                at += 1
                if self._sent[at - 1] < 128:
                    break
                shift += 7
            if len(self._sent) < at + size:
                return
            kind, body = self._sent[0], self._sent[at : at + size]
            self._sent = self._sent[at + size :]
            self.broker.received(self, kind, body)


def filters(body):
    """The topic filters in the body of a SUBSCRIBE."""
    return [topic for topic, _ in _subscriptions(body)]


def _subscriptions(body):
    # The filters and their QoS.
    found = []
    body = body[2:]
    while body:
        end = 2 + (body[0] << 8 | body[1])
        found.append((bytes(body[2:end]), body[end]))
        body = body[end + 1 :]
    return found


class Broker:
    """mute: set of packet types ("connect", "subscribe", "ping", "publish") that get no reply. connack: its code.
    suback: its code. piece: maximum bytes that the board gets at a time. stuck: writes block. refuse: exceptions to
    raise at the next connects. filters: the subscriptions. on_publish(topic, payload): called for each publish."""

    def __init__(self):
        self.mute = set()
        self.connack = 0
        self.suback = 1
        self.piece = 1 << 20
        self.stuck = False
        self.refuse = []
        self.wires = []
        self.filters = []
        self.packets = []
        self.published = []
        self.closed = 0
        self.on_publish = None
        self._packet_id = 0

    async def open_connection(self, host, port, ssl=None, server_hostname=None):
        if self.refuse:
            self.packets.append(("refused", b""))
            raise self.refuse.pop(0)
        wire = Wire(self)
        self.wires.append(wire)
        await asyncio.sleep(0)
        return wire, wire

    def received(self, wire, kind, body):
        name = {1: "connect", 3: "publish", 4: "puback", 8: "subscribe", 10: "unsubscribe", 12: "ping",
                14: "disconnect"}[kind >> 4]
        self.packets.append((name, bytes(body)))
        if name in self.mute:
            return
        if name == "connect":
            self.filters = []
            wire.give(bytes((0x20, 2, 0, self.connack)))
        elif name == "subscribe":
            wanted = _subscriptions(body)
            if len(wanted) > 8 or [qos for _, qos in wanted if qos > 1]:
                # AWS's limit; and "MQTT" in its Developer Guide: for QoS 2 it sends neither SUBACK nor PUBACK.
                return
            self.filters += filters(body)
            codes = bytes((self.suback,)) * len(wanted)
            wire.give(b"\x90" + bytes((2 + len(codes),)) + body[:2] + codes)
        elif name == "unsubscribe":
            wire.give(b"\xb0\x02" + body[:2])
        elif name == "ping":
            wire.give(b"\xd0\0")
        elif name == "publish":
            length = struct.unpack("!H", body[:2])[0]
            topic, rest = bytes(body[2 : 2 + length]), body[2 + length :]
            if kind & 6:
                wire.give(b"\x40\x02" + rest[:2])
                rest = rest[2:]
            self.published.append((topic, bytes(rest)))
            if self.on_publish:
                self.on_publish(topic, bytes(rest))

    def packet(self, topic, payload, qos=0):
        """Return a PUBLISH as bytes."""
        body = struct.pack("!H", len(topic)) + topic
        if qos:
            self._packet_id += 1
            body += struct.pack("!H", self._packet_id)
        size = len(body) + len(payload)
        header = bytes((0x30 | qos << 1,))
        while size > 127:
            header += bytes((size & 127 | 128,))
            size >>= 7
        return header + bytes((size,)) + body + payload

    def send(self, topic, payload, qos=0):
        """Publish to the board."""
        if self.wires and not self.wires[-1].ended:
            self.wires[-1].give(self.packet(topic, payload, qos))

    def count(self, name):
        return sum(1 for packet in self.packets if packet[0] == name)


async def until(condition, seconds=8):
    """Wait until condition() holds; AssertionError if it does not in time."""
    for _ in range(800):
        if condition():
            return
        await asyncio.sleep(seconds / 800)
    raise AssertionError("the condition was not met in time")


def raises(kind, function, *args, **named):
    """Call a function, and return its exception of that type; AssertionError if there is none."""
    try:
        function(*args, **named)
    except kind as error:
        return error
    raise AssertionError("no exception")


async def raises_async(kind, awaitable):
    """Await, and return the exception of that type; AssertionError if there is none."""
    try:
        await awaitable
    except kind as error:
        return error
    raise AssertionError("no exception")
