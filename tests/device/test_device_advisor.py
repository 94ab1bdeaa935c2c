"""The MQTT test cases of AWS IoT Device Advisor that are about waiting, in fast time; docs/device-advisor.md lists all.

Source: AWS IoT Core Developer Guide, "Device Advisor test cases", page MQTT. The functions have the names of the cases.
"""

import asyncio
import random

import broker
import fast_time
import ujobs.link
from broker import filters
from cloud import DIRECTORY, PREFIX, Cloud, beside, remove
from replaced import Replaced
from ujobs.agent import Agent
from ujobs.link import Link

KEEPALIVE = 60  # seconds
TIMEOUT = 300  # seconds; default timeout of a case in Device Advisor
PATIENCE = 10  # seconds that Link waits for a reply
WINDOW = 15  # seconds within which the long duration test expects a packet


class Advisor(broker.Broker):
    """A broker that records the times of packets. connects, losses: seconds. refused: number of CONNECTs that it will
    not answer. cut: number of connections that it will close after SUBSCRIBE."""

    def __init__(self, clock):
        super().__init__()
        self._clock = clock
        self.connects = []
        self.losses = []
        self.refused = self.cut = 0

    def received(self, wire, kind, body):
        if kind >> 4 == 1:
            self.connects.append(self._clock.seconds())
            self.mute.discard("connect")
            if self.refused:
                self.refused -= 1
                self.mute.add("connect")
        super().received(wire, kind, body)
        if kind >> 4 == 8 and self.cut:
            self.cut -= 1
            self.disconnect()

    def disconnect(self):
        self.losses.append(self._clock.seconds())
        self.wires[-1].end()

    def bodies(self, name):
        """The bodies of all packets of a type."""
        return [body for known, body in self.packets if known == name]


def advise(scenario, seed=1):
    """Run scenario(agent, advisor, cloud, clock) concurrently with an agent, in fast time."""

    async def main(clock):
        cloud = Cloud()
        advisor = cloud.broker = Advisor(clock)
        advisor.on_publish = cloud._published
        agent = Agent("thing", link=Link(b"thing", "host", keepalive=KEEPALIVE), directory=DIRECTORY)
        try:
            return await beside(agent, advisor, lambda task: scenario(agent, advisor, cloud, clock))
        finally:
            remove(DIRECTORY)

    random.seed(seed)
    return fast_time.run(main)


async def until(condition, seconds=TIMEOUT):
    await broker.until(condition, seconds)


def gaps(times):
    return [late - early for early, late in zip(times, times[1:])]


def check_backoff(pauses, first=0):
    """Check the pauses in seconds: the n-th is 1 plus a random part of 2 ** n, at most 32, and not all are equal."""
    for number, pause in enumerate(pauses):
        most = 1 << min(first + number, 5)
        assert 1 <= pause <= 1 + most + 0.2, (number, pauses)
    # They are not constant, linear or strictly exponential.
    assert max(pauses) > 2 * min(pauses), pauses
    growth = [late / early for early, late in zip(pauses, pauses[1:])]
    assert max(growth) > 1.1 * min(growth), pauses


def retries_without_connack(seed):
    async def scenario(agent, advisor, cloud, clock):
        advisor.refused = 5
        await until(agent.link.up.is_set)
        assert len(advisor.connects) == 6
        advisor.refused = 5
        advisor.disconnect()
        await until(lambda: len(advisor.connects) == 12)
        await until(agent.link.up.is_set)
        assert clock.seconds() < TIMEOUT
        first, second = gaps(advisor.connects[:6]), gaps(advisor.connects[6:])
        return [gap - PATIENCE for gap in first], [gap - PATIENCE for gap in second]

    return advise(scenario, seed)


def test_mqtt_connect_jitter_backoff_retries():
    first, second = retries_without_connack(1)
    check_backoff(first)
    # The connection in between was too short to count as stable.
    check_backoff(second, first=6)
    assert retries_without_connack(2) != (first, second)


class Middle:
    @staticmethod
    def random():
        return 0.5


def test_mqtt_connect_exponential_backoff_retries():
    with Replaced(ujobs.link, random=Middle):
        pauses = retries_without_connack(1)[0]
    # On average the random part doubles.
    for number, pause in enumerate(pauses):
        assert abs(pause - 1 - 0.5 * (1 << number)) < 0.2, pauses


def test_mqtt_reconnection_after_successful_connection():
    async def scenario(agent, advisor, cloud, clock):
        advisor.cut = 1
        await until(lambda: len(advisor.connects) == 2)
        assert advisor.connects[1] - advisor.losses[0] >= 1

    for seed in range(5):
        advise(scenario, seed)


def test_mqtt_reconnect_backoff_retries_on_server_disconnect():
    async def scenario(agent, advisor, cloud, clock):
        await until(agent.link.up.is_set)
        await asyncio.sleep(45)
        advisor.refused = 5
        advisor.disconnect()
        await until(lambda: len(advisor.connects) == 7)
        first, *others = advisor.connects[1:]
        pauses = [gap - PATIENCE for gap in gaps([first] + others)]
        check_backoff([first - advisor.losses[0]] + pauses)

    advise(scenario)


def test_mqtt_reconnect_backoff_retries_on_unstable_connection():
    async def scenario(agent, advisor, cloud, clock):
        advisor.cut = 6
        await until(lambda: len(advisor.connects) == 7)
        check_backoff([late - early for early, late in zip(advisor.losses, advisor.connects[1:])])

    advise(scenario)


def test_mqtt_subscribe_retry_no_suback():
    async def scenario(agent, advisor, cloud, clock):
        advisor.mute.add("subscribe")
        await until(lambda: advisor.count("subscribe") == 2, WINDOW)
        assert len(advisor.connects) == 1
        advisor.mute.discard("subscribe")
        first, second = advisor.bodies("subscribe")
        assert first == second
        names = (b"start-next/+", b"+/get/+", b"+/update/+", b"notify-next")
        assert filters(first) == [PREFIX + name for name in names]
        await until(agent.link.up.is_set)

    advise(scenario)


def test_mqtt_publish_retry_no_puback():
    async def scenario(agent, advisor, cloud, clock):
        advisor.on_publish = None
        await until(agent.link.up.is_set)
        advisor.mute.add("publish")
        before = advisor.count("publish")
        publishing = asyncio.create_task(agent.link.publish(b"advisor/topic", b"message", qos=1))

        def sent():
            return [body for body in advisor.bodies("publish")[before:] if body[2:15] == b"advisor/topic"]

        await until(lambda: len(sent()) == 2, WINDOW)
        assert len(advisor.connects) == 1
        assert sent()[0] == sent()[1]
        advisor.wires[-1].give(b"\x40\x02" + sent()[0][15:17])
        await publishing

    advise(scenario)


def test_mqtt_no_ack_pingresp():
    async def scenario(agent, advisor, cloud, clock):
        await until(agent.link.up.is_set)
        await asyncio.sleep(2)
        advisor.mute.update(("publish", "subscribe", "ping"))
        blocked = clock.seconds()
        await until(lambda: advisor.closed)
        assert advisor.count("ping") == 1
        assert clock.seconds() - blocked < 1.5 * KEEPALIVE

    advise(scenario)


def test_mqtt_persistent_session_happy_case_is_not_used():
    async def scenario(agent, advisor, cloud, clock):
        await until(agent.link.up.is_set)
        clean_session = 2
        assert advisor.bodies("connect")[0][7] & clean_session
        # Instead of a persistent session, the agent asks for its jobs.
        advisor.disconnect()
        cloud.quiet = True
        cloud.queue("meanwhile", {"operation": "unknown"})
        await until(cloud.done)

    advise(scenario)


def test_mqtt_persistent_session_session_expiry():
    async def scenario(agent, advisor, cloud, clock):
        await until(agent.link.up.is_set)
        advisor.disconnect()
        await until(lambda: len(advisor.connects) == 2 and agent.link.up.is_set())
        first, second = advisor.bodies("subscribe")
        assert first[2:] == second[2:]

    advise(scenario)


def test_mqtt_long_duration():
    async def scenario(agent, advisor, cloud, clock):
        # Hours of silence, a reconnect, a long outage of the server, intermittent connectivity, and all of these.
        for number, (refusals, drops) in enumerate(((0, 0), (120, 0), (0, 8), (40, 8))):
            await until(agent.link.up.is_set)
            await asyncio.sleep(3600)
            advisor.packets.clear()
            assert agent.link.up.is_set()
            advisor.refuse = [OSError(111) for _ in range(refusals)]
            advisor.cut = drops
            advisor.disconnect()
            await until(lambda: not agent.link.up.is_set())
            await until(agent.link.up.is_set, 6 * 3600)
            cloud.queue("job-%d" % number, {"operation": "unknown"})
            await until(cloud.done)
        assert cloud.statuses() == ["REJECTED"] * 4

    advise(scenario)
