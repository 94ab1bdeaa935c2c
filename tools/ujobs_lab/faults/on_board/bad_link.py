"""A link with every type of fault, for single bytes and for whole messages; in memory, on both interpreters.

Bytes: a cut after the n-th byte in a direction, with notice (connection reset) or without (half-open), stalls, and
delivery one by one. Messages: lost, late, twice, reordered across topics, or from before a reconnect. The guarantees of
TCP and of a broker hold: bytes in order, messages of one topic in order unless sent twice.
"""

import asyncio
import random

from broker import Broker, Wire


class Faults:
    """The faults of a link; none by default.

    cut: (direction: "up" from or "down" to the board; bytes of the session until then; True: both sides are notified).
    piece: maximum bytes that the board gets at a time. lose: probability that a QoS 0 message is lost. delay: maximum
    seconds until a message arrives. reorder: messages of different topics may overtake each other. shuffle: so may
    messages of one topic, which AWS does not exclude. twice: probability that a message arrives twice. stale: replies
    of the last connection arrive again while the next one waits for a reply. outages, stalls, half_open: how often the
    broker is unreachable, no bytes pass for a while, or no bytes pass any more; at random times of the first five
    minutes.
    """

    def __init__(
        self, cut=None, piece=1 << 20, lose=0.0, delay=0.0, reorder=False, shuffle=False, twice=0.0, stale=False,
        outages=0, stalls=0, half_open=0,
    ):
        self.cut = cut
        self.piece = piece
        self.lose = lose
        self.delay = delay
        self.reorder = reorder
        self.shuffle = shuffle
        self.twice = twice
        self.stale = stale
        self.outages = outages
        self.stalls = stalls
        self.half_open = half_open


class BadWire(Wire):
    """One connection of a bad link. welcome: its CONNECT was accepted."""

    def __init__(self, broker):
        super().__init__(broker)
        self.welcome = False
        self._dead = False
        self._stalled = False
        self._held_up = self._held_down = b""

    def write(self, data):
        if self._dead:
            return  # into a buffer that is never read
        if self.ended:
            raise OSError(104)
        if self._stalled:
            self._held_up += bytes(data)
            return
        passed = self.broker.count_bytes("up", len(data))
        super().write(data[:passed])
        if passed < len(data):
            self.fail(self.broker.faults.cut[2])

    def give(self, data):
        if self._dead or self.ended:
            return
        if self._stalled:
            self._held_down += data
            return
        passed = self.broker.count_bytes("down", len(data))
        super().give(data[:passed])
        if passed < len(data):
            self.fail(self.broker.faults.cut[2])

    def fail(self, noticed):
        """Break the connection; noticed: both sides are notified."""
        if noticed:
            self.end()
        else:
            self._dead = True

    async def stall(self, seconds):
        """Hold all bytes for so long, then deliver them."""
        self._stalled = True
        await asyncio.sleep(seconds)
        self._stalled = False
        up, self._held_up = self._held_up, b""
        down, self._held_down = self._held_down, b""
        self.give(down)
        if not self.ended:
            self.write(up)


class BadBroker(Broker):
    """A broker behind a bad link. passed: bytes of the session, by direction."""

    def __init__(self, faults):
        super().__init__()
        self.faults = faults
        self.piece = faults.piece
        self.passed = {"up": 0, "down": 0}
        self._away = False
        self._last = {}  # when the last message of a topic arrives: the next one must not overtake it
        self._replies = []  # of the current connection
        self._old_replies = []
        self._tasks = []

    def count_bytes(self, direction, count):
        """The number of these bytes that pass."""
        cut = self.faults.cut
        if cut and cut[0] == direction and self.passed[direction] <= cut[1] < self.passed[direction] + count:
            count = cut[1] - self.passed[direction]
            # There is only one cut.
            self.passed[direction] += count + 1
            return count
        self.passed[direction] += count
        return count

    async def open_connection(self, host, port, ssl=None, server_hostname=None):
        await asyncio.sleep(0)
        if self._away:
            raise OSError(111)
        wire = BadWire(self)
        self.wires.append(wire)
        self._old_replies, self._replies = self._replies, []
        return wire, wire

    def received(self, wire, kind, body):
        if kind >> 4 == 1:
            wire.welcome = True
        elif kind >> 4 == 3 and self.faults.stale:
            # The worst moment is while the board waits for a reply.
            for packet in self._old_replies:
                wire.give(packet)
            self._old_replies = []
        super().received(wire, kind, body)

    def deliver(self, clock, topic, qos, act):
        """Deliver a message as often and as late as the faults require."""
        faults = self.faults
        if not qos and random.random() < faults.lose:
            return
        for _ in range(2 if random.random() < faults.twice else 1):
            if not faults.delay:
                act()
                continue
            due = clock.seconds() + random.random() * faults.delay
            if not faults.shuffle:
                key = topic if faults.reorder else None
                due = self._last[key] = max(due, self._last.get(key, 0))
            self._tasks.append(asyncio.create_task(self._later(due - clock.seconds(), act)))

    async def _later(self, seconds, act):
        await asyncio.sleep(seconds)
        act()

    def push(self, topic, payload, qos):
        """Publish to the board if it is connected: a clean session stores nothing."""
        wire = self.wires[-1] if self.wires else None
        if wire and wire.welcome:
            packet = self.packet(topic, payload, qos)
            if not qos:
                self._replies.append(packet)
            wire.give(packet)

    async def misbehave(self):
        """Cause outages, stalls and half-open links at random times, until all have happened."""
        faults = self.faults
        plan = ["outage"] * faults.outages + ["stall"] * faults.stalls + ["half-open"] * faults.half_open
        plan = sorted([(random.random() * 300, what) for what in plan])
        passed = 0
        for moment, what in plan:
            await asyncio.sleep(max(moment - passed, 0))
            passed = max(moment, passed)
            wire = self.wires[-1] if self.wires else None
            if what == "outage":
                self._away = True
                if wire:
                    wire.end()
                await asyncio.sleep(random.random() * 60)
                self._away = False
            elif wire and what == "stall":
                await wire.stall(random.random() * 30)
            elif wire:
                wire.fail(False)

    def stop(self):
        """Discard all messages not yet delivered."""
        for task in self._tasks:
            task.cancel()
