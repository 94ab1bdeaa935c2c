"""The order of packets: round trips, subscriptions, and brokers that send replies to subscribers only."""

import asyncio

from agent_handlers import all_done, handlers
from broker import until
from cloud import PREFIX, Cloud, idle, run
from subscribed import Subscribed


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
            assert not cloud.is_subscribed(PREFIX + name), name

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


def test_a_request_answered_after_suback_is_not_repeated_and_no_packet_waits_for_another():
    async def scenario(agent, cloud):
        await until(lambda: idle(agent))
        await asyncio.sleep(0.1)
        assert [suffix for suffix, _ in cloud.requests] == ["start-next"]
        tcp, no_delay = 6, 1
        assert cloud.broker.wires[-1].options == [(tcp, no_delay, 1)]

    run(scenario, handlers)
