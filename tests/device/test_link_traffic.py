"""The order of packets: round trips, subscriptions, and brokers that send replies to subscribers only."""

import asyncio

import fast_time
from agent_handlers import all_done, handlers
from broker import filters, until
from cloud import DIRECTORY, PREFIX, Cloud, idle, remove, run
from ujobs.agent import Agent
from ujobs.link import Link


def matches(wanted, topic):
    wanted, topic = wanted.split(b"/"), topic.split(b"/")
    return len(wanted) == len(topic) and all(one in (b"+", level) for one, level in zip(wanted, topic))


class Subscribed(Cloud):
    """A cloud whose broker sends messages to subscribers of their topics only. suback: whether it sends SUBACK."""

    def __init__(self):
        super().__init__()
        self._send, self._received = self.broker.send, self.broker.received
        self.broker.send = self._filtered
        self.broker.received = self._packet
        self.filters = []
        self.delivered = []

    def _packet(self, wire, kind, body):
        if kind >> 4 == 1:
            self.filters = []
        elif kind >> 4 == 8:
            self.filters += filters(body)
        self._received(wire, kind, body)

    def _filtered(self, topic, payload, qos=0):
        if any(matches(wanted, topic) for wanted in self.filters):
            self.delivered.append(topic[len(PREFIX):])
            self._send(topic, payload, qos)


def test_replies_come_from_a_broker_that_sends_them_to_subscribers_only():
    async def scenario(agent, cloud):
        await until(lambda: idle(agent))
        cloud.queue("a", {"operation": "long", "n": 8})
        cloud.queue("b", {"operation": "quick"})
        await all_done(agent, cloud)
        assert cloud.statuses() == ["SUCCEEDED", "SUCCEEDED"]
        assert cloud.delivered.count(b"a/update/accepted") >= 2
        assert b"notify-next" in cloud.delivered

    run(scenario, handlers, Subscribed(), update_interval=0.1)


def test_no_subscription_is_for_more_than_replies_and_notify_next():
    async def scenario(agent, cloud):
        await until(lambda: idle(agent))
        for name in (b"notify", b"get/accepted", b"a/notify-namespace-x", b"a/update", b"start-next"):
            assert not any(matches(wanted, PREFIX + name) for wanted in cloud.filters), name

    run(scenario, handlers, Subscribed())


def test_the_first_request_does_not_wait_for_suback():
    async def scenario(agent, cloud):
        await until(lambda: cloud.broker.count("publish") == 1)
        names = [name for name, _ in cloud.broker.packets]
        assert names[:3] == ["connect", "subscribe", "publish"]
        # The reply came before SUBACK, so the agent asks again after SUBACK: a notification may have been missed.
        cloud.quiet = True
        cloud.queue("a", {"operation": "quick"})
        await asyncio.sleep(0.1)
        assert cloud.statuses() == ["QUEUED"]
        cloud.broker.mute.clear()
        await all_done(agent, cloud)
        assert len(cloud.broker.wires) == 1

    cloud = Cloud()
    cloud.broker.mute.add("subscribe")
    run(scenario, handlers, cloud)


def test_a_request_answered_after_suback_is_not_repeated():
    async def scenario(agent, cloud):
        await until(lambda: idle(agent))
        await asyncio.sleep(0.1)
        assert [suffix for suffix, _ in cloud.requests] == ["start-next"]

    run(scenario, handlers)


def test_small_packets_do_not_wait_for_one_another():
    async def scenario(agent, cloud):
        await until(lambda: idle(agent))
        tcp, no_delay = 6, 1
        assert cloud.broker.wires[-1].options == [(tcp, no_delay, 1)]

    run(scenario, handlers)


def test_until_idle_needs_no_notifications_and_asks_after_each_result():
    async def main(clock):
        cloud = Subscribed()
        asyncio.open_connection, real = cloud.broker.open_connection, asyncio.open_connection
        for name in "abc":
            cloud.queue(name, {"operation": "quick", "text": "x" * 200})
        agent = Agent("thing", link=Link(b"thing", "host", timeout=0.3), directory=DIRECTORY)
        handlers(agent)
        try:
            await asyncio.wait_for(agent.run(until_idle=True), 10)
        finally:
            asyncio.open_connection = real
        assert cloud.statuses() == ["SUCCEEDED"] * 3
        asked = [suffix for suffix, _ in cloud.requests]
        assert asked == [
            "start-next", "a/update", "start-next", "b/update", "start-next", "c/update", "start-next"]
        assert not any(matches(wanted, PREFIX + b"notify-next") for wanted in cloud.filters)

    remove(DIRECTORY)
    fast_time.run(main)
    remove(DIRECTORY)


