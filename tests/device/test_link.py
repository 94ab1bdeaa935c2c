"""`Link` with a broker in memory: the faults of umqtt.simple on a bad link do not occur."""

import asyncio
import gc
from errno import ENOTCONN

import fast_time
import ujobs.link
from broker import Broker, raises, raises_async, until
from replaced import Replaced
from ujobs.link import Link
from umqtt.simple import MQTTClient, MQTTException


class Random:
    def __init__(self, value):
        self.value = value

    def random(self):
        return self.value


def connected(scenario, before=None, **options):
    """Run scenario(link, broker) with a new link and broker, in fast time."""

    async def main(clock):
        broker = Broker()
        options.setdefault("timeout", 0.3)
        link = Link(b"thing", "host", **options)
        got = link.got = []
        link.set_callback(lambda topic, payload: got.append((topic, bytes(payload))))
        if before:
            before(link, broker)
        with Replaced(asyncio, open_connection=broker.open_connection):
            task = asyncio.create_task(link.run())
            try:
                await scenario(link, broker)
            finally:
                task.cancel()
                await asyncio.sleep(0)

    fast_time.run(main)


def test_link_is_an_mqtt_client_of_umqtt_simple():
    link = Link(b"thing", "host")
    assert isinstance(link, MQTTClient)
    assert (link.port, link.keepalive, link.client_id) == (1883, 60, b"thing")


def test_connect_packet_carries_client_id_keepalive_will_and_password():
    async def scenario(link, broker):
        await link.up.wait()
        name, body = broker.packets[0]
        assert name == "connect"
        assert body == (
            b"\0\x04MQTT\x04\xee\0\x14\0\x05thing\0\x04gone\0\x03bye\0\x04user\0\x04pass"
        ), body

    def will(link, broker):
        link.set_last_will(b"gone", b"bye", retain=True, qos=1)

    connected(scenario, will, keepalive=20, user="user", password="pass")


def test_messages_reach_callback_or_route():
    async def scenario(link, broker):
        routed = []
        link.routes.append((b"$aws/", lambda topic, payload: routed.append((topic, bytes(payload)))))
        await link.up.wait()
        broker.send(b"a/b", b"one")
        broker.send(b"$aws/c", b"two", qos=1)
        await until(lambda: link.got and routed and broker.count("puback"))
        assert link.got == [(b"a/b", b"one")]
        assert routed == [(b"$aws/c", b"two")]

    connected(scenario)


def test_a_message_may_arrive_byte_by_byte():
    async def scenario(link, broker):
        await link.up.wait()
        broker.send(b"topic", b"x" * 300, qos=1)
        await until(lambda: link.got)
        assert link.got == [(b"topic", b"x" * 300)]

    def slow(link, broker):
        broker.piece = 1

    connected(scenario, slow)


def test_a_partial_packet_does_not_block_other_tasks_and_times_out():
    async def scenario(link, broker):
        await link.up.wait()
        whole = broker.packet(b"topic", b"payload")
        broker.wires[-1].give(whole[:9])
        turns = 0
        while link.up.is_set():
            turns += 1
            await asyncio.sleep(0.01)
        assert turns > 10
        await until(lambda: len(broker.wires) == 2 and link.up.is_set())
        assert not link.got

    connected(scenario)


def test_subscriptions_are_restored_after_a_reconnect():
    async def scenario(link, broker):
        await link.up.wait()
        await link.subscribe(b"one/#", 1)
        await link.subscribe(b"two")
        await link.unsubscribe(b"two")
        heard = []
        link.listeners.append(heard.append)
        broker.wires[-1].end()
        await until(lambda: heard == [False, True])
        wanted = [body[4:-1] for name, body in broker.packets if name == "subscribe"]
        assert wanted == [b"one/#", b"two", b"one/#"], wanted

    connected(scenario)


def test_pings_are_sent_only_when_idle_and_keep_the_link():
    async def scenario(link, broker):
        await link.up.wait()
        await until(lambda: broker.count("ping") >= 2)
        assert len(broker.wires) == 1

    connected(scenario, keepalive=1)


def test_strings_and_bytes_are_published_and_an_acknowledgement_waited_for_with_qos_1():
    async def scenario(link, broker):
        await link.up.wait()
        await link.publish("topic", "größer")
        link.pid = 65535
        await link.publish(b"topic", b"message", qos=1)
        assert link.pid == 1
        assert broker.published == [(b"topic", "größer".encode()), (b"topic", b"message")]

    connected(scenario)


def test_an_unacknowledged_publish_is_sent_twice_and_then_an_error():
    async def scenario(link, broker):
        await link.up.wait()
        broker.mute.add("publish")
        await raises_async(OSError, link.publish(b"topic", b"message", qos=1))
        assert broker.count("publish") == 2

    connected(scenario, timeout=0.1)


def test_publishing_without_a_link_is_an_error_at_once():
    async def main():
        link = Link(b"thing", "host")
        await raises_async(OSError, link.publish(b"topic", b"message"))
        await raises_async(ValueError, link.publish(b"topic", b"message", qos=2))

    asyncio.run(main())


def test_an_acknowledgement_is_not_waited_for_once_the_link_is_lost():
    async def scenario(link, broker):
        await until(link.up.is_set)
        broker.mute.add("publish")
        publishing = asyncio.create_task(raises_async(OSError, link.publish(b"topic", b"message", qos=1)))
        await until(lambda: broker.count("publish"))
        lost_at = ujobs.link.time.seconds()
        broker.refuse = [OSError(111)] * 9
        broker.wires[-1].end()
        await publishing
        assert ujobs.link.time.seconds() - lost_at < 5

    connected(scenario, timeout=10)


def test_nothing_is_published_before_connack():
    async def scenario(link, broker):
        await until(lambda: broker.count("connect") == 1)
        await raises_async(OSError, link.publish(b"topic", b"message"))
        assert broker.count("publish") == 0

    def mute(link, broker):
        broker.mute.add("connect")

    connected(scenario, mute)


def test_a_blocked_write_times_out_and_ends_the_link():
    async def scenario(link, broker):
        await link.up.wait()
        broker.stuck = True
        await raises_async(OSError, link.publish(b"topic", b"message"))
        broker.stuck = False
        await until(lambda: len(broker.wires) == 2 and link.up.is_set())

    connected(scenario, timeout=0.1)


def test_a_packet_for_a_connection_that_was_replaced_does_not_delay_the_next():
    async def scenario(link, broker):
        await link.up.wait()
        wire = broker.wires[-1]
        wire.stuck = True
        for message in (b"sent", b"waits"):
            asyncio.create_task(raises_async(OSError, link.publish(b"topic", message)))  # noqa: RUF006
        await asyncio.sleep(0)
        wire.end()
        lost_at = ujobs.link.time.seconds()
        await until(lambda: len(broker.wires) == 2, 20)
        await until(link.up.is_set, 30)
        assert ujobs.link.time.seconds() - lost_at < 15
        assert b"waits" not in wire.out_buf

    connected(scenario, timeout=10)


def test_a_refused_subscription_is_an_error_and_not_repeated_at_the_next_connect():
    async def scenario(link, broker):
        await link.up.wait()
        broker.suback = 0x80
        error = await raises_async(MQTTException, link.subscribe(b"forbidden"))
        assert "forbidden" in str(error)
        broker.wires[-1].end()
        await until(lambda: len(broker.wires) == 2 and link.up.is_set())

    connected(scenario)


def test_a_packet_that_could_not_be_written_leaves_no_bytes_behind():
    async def scenario(link, broker):
        await link.up.wait()

        def fail(text):
            raise MemoryError

        link._send_str = fail
        await raises_async(MemoryError, link.publish(b"topic", b"too large"))
        del link._send_str
        await link.publish(b"topic", b"message")
        assert broker.published == [(b"topic", b"message")]

    connected(scenario)


def test_refused_or_unanswered_connects_are_retried_with_growing_pauses():
    pauses = []
    sleep = asyncio.sleep

    async def no_sleep(seconds):
        if seconds >= 1:
            pauses.append(seconds)
            seconds = 0
        await sleep(seconds)

    async def scenario(link, broker):
        await link.up.wait()
        assert pauses == [2, 3, 5, 9, 17, 33, 33, 33, 33], pauses

    def refuse(link, broker):
        broker.refuse = [OSError(111), ValueError("\ncertificate\n"), OSError(113)] + [OSError(111)] * 6

    with Replaced(asyncio, sleep=no_sleep), Replaced(ujobs.link, random=Random(1.0)):
        connected(scenario, refuse)


def test_pauses_are_reset_only_after_a_connection_of_half_a_minute():
    pauses = []

    async def scenario(link, broker):
        for seconds in (5, 5, 25, 35, 5):
            await link.up.wait()
            await asyncio.sleep(seconds)
            lost = ujobs.link.time.seconds()
            broker.wires[-1].end()
            await until(lambda: not link.up.is_set())
            await link.up.wait()
            pauses.append(int(ujobs.link.time.seconds() - lost + 0.5))

    with Replaced(ujobs.link, random=Random(1.0)):
        connected(scenario, timeout=10)
    assert pauses == [2, 3, 5, 2, 3], pauses


def test_a_missing_connack_and_a_bad_code_do_not_block():
    async def scenario(link, broker):
        await until(lambda: broker.count("connect") == 1)
        await until(lambda: broker.closed == 1)
        broker.mute.clear()
        broker.connack = 5
        await until(lambda: broker.closed == 2)
        broker.connack = 0
        await link.up.wait()

    def mute(link, broker):
        broker.mute.add("connect")

    connected(scenario, mute, timeout=0.1)


def test_a_message_over_the_limit_is_discarded_and_reported():
    async def scenario(link, broker):
        reported = []
        link.routes.append((b"big/", lambda topic, payload: reported.append((topic, payload and len(payload)))))
        link.set_callback(lambda topic, payload: link.got.append((topic, payload and bytes(payload))))
        await link.up.wait()
        broker.send(b"big/1", b"x" * 2990, qos=1)
        broker.send(b"big/2", b"x" * 50000, qos=1)
        # The last piece of a message may be a single byte.
        for size in range(5990, 6010):
            broker.send(b"other", b"y" * size)
        broker.send(b"small", b"z")
        await until(lambda: link.got and broker.count("puback") == 2)
        assert reported == [(b"big/1", 2990), (b"big/2", None)], reported
        assert link.got == [(b"small", b"z")]
        assert len(broker.wires) == 1

    connected(scenario, receive_limit=3000)


def held():
    """The number of bytes in use."""
    gc.collect()
    if hasattr(gc, "mem_alloc"):
        return gc.mem_alloc()
    import tracemalloc

    return tracemalloc.get_traced_memory()[0]


def test_a_large_message_leaves_no_buffer_behind():
    async def scenario(link, broker):
        await link.up.wait()
        sizes = []
        link.routes.append((b"big", lambda topic, payload: sizes.append(len(payload))))
        found = []
        for size in (100, 200000, 100):
            broker.send(b"big", bytes(size))
            await until(lambda size=size: sizes and sizes[-1] == size)
            found.append(held())
        assert found[1] < found[0] + 50000, found
        assert found[2] < found[0] + 50000, found

    try:
        import tracemalloc

        tracemalloc.start()
    except ImportError:
        tracemalloc = None
    try:
        connected(scenario, receive_limit=1 << 18)
    finally:
        if tracemalloc:
            tracemalloc.stop()


def test_invalid_bytes_end_the_connection_not_the_task():
    garbage = (
        b"\x30\xff\xff\xff\xff\xff", b"\x30\x02\xff\xff", b"\x36\x05\0\x01a\0\x01", b"\x30\x01\x00", b"\xf0\x20",
        b"\x90\xff\x7f", b"\x00\x00" + b"\xff" * 8,
    )

    async def scenario(link, broker):
        for number, data in enumerate(garbage):
            await until(lambda number=number: len(broker.wires) == number + 1 and link.up.is_set(), 60)
            broker.wires[-1].give(data)
            broker.wires[-1].end()
        await until(lambda: len(broker.wires) == len(garbage) + 1 and link.up.is_set(), 60)

    connected(scenario)


def test_a_link_that_was_never_up_has_no_failure():
    assert Link("thing", "host").failure == ""


def test_keepalive_out_of_limits_is_refused():
    for keepalive in (0, 1201):
        assert "keepalive" in str(raises(ValueError, Link, b"thing", "host", keepalive=keepalive))


def test_failing_callbacks_listeners_and_sockets_do_not_end_the_link():
    def failing(*arguments):
        raise RuntimeError("not now")

    def before(link, broker):
        link.listeners.append(failing)
        link.set_callback(failing)

    async def scenario(link, broker):
        await link.up.wait()
        broker.send(b"a", b"1", qos=1)
        await until(lambda: broker.count("puback") == 1)
        assert link.up.is_set()

        def close():
            raise OSError(ENOTCONN)

        broker.wires[-1].s.close = close
        broker.wires[-1].end()
        await until(lambda: len(broker.wires) == 2 and link.up.is_set())

    connected(scenario, before)


LONG = b"a/" + b"x" * 300


def test_topics_of_more_than_255_bytes():
    async def scenario(link, broker):
        await link.up.wait()
        await link.subscribe(LONG, 1)
        await link.publish(LONG, b"one")
        await link.publish(LONG, b"two", qos=1)
        broker.send(LONG, b"three", qos=1)
        await until(lambda: link.got and broker.count("puback"))
        assert [body[4:-1] for name, body in broker.packets if name == "subscribe"] == [LONG]
        assert broker.published == [(LONG, b"one"), (LONG, b"two")]
        assert link.got == [(LONG, b"three")]
        await link.unsubscribe(LONG)
        assert [body[4:] for name, body in broker.packets if name == "unsubscribe"] == [LONG]

    connected(scenario)


def test_a_flood_of_messages_is_acknowledged_while_other_tasks_run():
    async def scenario(link, broker):
        await link.up.wait()
        turns = 0
        broker.wires[-1].give(b"".join([broker.packet(b"a", b"1", 1) for _ in range(400)]))
        while len(link.got) < 400:
            turns += 1
            await asyncio.sleep(0)
        assert turns >= 50, turns
        await until(lambda: broker.count("puback") == 400)
        assert len(set([body for name, body in broker.packets if name == "puback"])) == 400

    connected(scenario)


def test_a_packet_that_never_ends_times_out():
    async def scenario(link, broker):
        await link.up.wait()
        wire = broker.wires[-1]
        wire.give(broker.packet(b"topic", b"x" * 500)[:-400])
        while broker.closed == 0:
            # Single bytes arrive now and then, but the packet never ends.
            wire.give(b"x")
            await asyncio.sleep(0.05)
        assert not link.got

    connected(scenario)


def test_a_topic_longer_than_its_packet_ends_the_connection():
    async def scenario(link, broker):
        await link.up.wait()
        # The topic length is 200, but the packet has 10 bytes; the next packet must not be read as part of it.
        broker.wires[-1].give(b"\x30\x0c\0\xc8" + b"t" * 10 + broker.packet(b"b", b"c" * 300))
        await until(lambda: broker.closed == 1)
        assert not link.got

    connected(scenario)
