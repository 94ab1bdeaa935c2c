"""`Link` receives and sends whole messages, in whatever pieces and of whatever size, and ends on what is not MQTT."""

import asyncio
import gc

import ujobs.link
from broker import raises_async, until
from linked import connected
from replaced import Replaced
from ujobs.link import Link


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


def test_retained_and_repeated_messages_arrive_whole():
    async def scenario(link, broker):
        await link.up.wait()
        for qos in (0, 1):
            for flags in (1, 8, 9):
                packet = bytearray(broker.packet(b"a", b"whole", qos))
                packet[0] |= flags
                broker.wires[-1].give(bytes(packet))
        await until(lambda: len(link.got) == 6)
        assert set(link.got) == {(b"a", b"whole")}
        await until(lambda: broker.count("puback") == 3)

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


def test_strings_and_bytes_are_published_and_an_acknowledgement_waited_for_with_qos_1():
    async def scenario(link, broker):
        await link.up.wait()
        await link.publish("topic", "größer")
        for before, after in ((65534, 65535), (65535, 1)):
            link.pid = before
            await link.subscribe(b"%d" % before)
            assert link.pid == after
        link.pid = 65535
        await link.publish(b"topic", b"message", qos=1)
        assert link.pid == 1
        await link.publish(b"topic", b"kept", retain=True, qos=1)
        assert broker.published == [(b"topic", "größer".encode()), (b"topic", b"message"), (b"topic", b"kept")]

    connected(scenario)


def test_an_unacknowledged_publish_is_sent_twice_and_then_an_error():
    async def scenario(link, broker):
        await link.up.wait()
        broker.mute.add("publish")
        await raises_async(OSError, link.publish(b"topic", b"message", qos=1))
        assert broker.count("publish") == 2

    connected(scenario, timeout=0.1)


def test_the_acknowledgement_of_another_packet_is_not_taken_for_the_one_that_is_awaited():
    async def scenario(link, broker):
        await link.up.wait()
        broker.mute.add("publish")
        sent = broker.count("publish")
        publishing = asyncio.create_task(raises_async(OSError, link.publish(b"topic", b"message", qos=1)))
        await until(lambda: broker.count("publish") > sent)
        for other in (link.pid - 1, link.pid + 1, link.pid + 256):
            broker.wires[-1].give(b"\x40\x02" + other.to_bytes(2, "big"))
        # Another kind, and none of a packet at all.
        broker.wires[-1].give(b"\xb0\x02" + link.pid.to_bytes(2, "big") + b"\x40\x00\x40\x01\x00")
        await publishing
        assert len(broker.wires) == 1

    connected(scenario)


def test_only_a_publish_that_is_sent_again_is_marked_as_a_duplicate():
    async def scenario(link, broker):
        await link.up.wait()
        kinds = []
        broker.received = lambda wire, kind, body: kinds.append(kind)
        for size in (8, 40, 200):
            for retain in (False, True):
                await raises_async(OSError, link.publish(b"topic", bytes(size), retain, 1))
        assert kinds == [0x32, 0x3A, 0x33, 0x3B] * 3
        kinds.clear()
        for size in (8, 50, 200):
            await raises_async(OSError, link.subscribe(b"t" * size))
            await raises_async(OSError, link.unsubscribe(b"t" * size))
        # Other bits are reserved, and a broker closes the connection for them.
        assert kinds == [0x82, 0x82, 0xA2, 0xA2] * 3

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


def test_a_message_that_is_one_byte_too_long_is_not_cut():
    async def scenario(link, broker):
        await link.up.wait()
        sizes = []
        link.routes.append((b"big", lambda topic, payload: sizes.append(payload and len(payload))))
        for size in range(1270, 1290):
            broker.send(b"big", bytes(size))
        await until(lambda: len(sizes) == 20)
        # 1280 bytes with the topic and its length.
        assert sizes == list(range(1270, 1276)) + [None] * 14, sizes
        assert len(broker.wires) == 1

    connected(scenario, receive_limit=1280)


def test_other_tasks_run_while_a_message_over_the_limit_is_discarded():
    async def scenario(link, broker):
        await link.up.wait()
        turns = 0
        broker.send(b"big", bytes(100000))
        broker.send(b"small", b"")
        while not link.got:
            turns += 1
            await asyncio.sleep(0)
        assert turns >= 50, turns

    connected(scenario, receive_limit=3000)


def held():
    """The number of bytes in use."""
    gc.collect()
    if hasattr(gc, "mem_alloc"):
        return gc.mem_alloc()
    import tracemalloc

    return tracemalloc.get_traced_memory()[0]


def memory_watched(scenario, **options):
    """Run a scenario that calls held()."""
    try:
        import tracemalloc

        tracemalloc.start()
    except ImportError:
        tracemalloc = None
    try:
        connected(scenario, **options)
    finally:
        if tracemalloc:
            tracemalloc.stop()


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
        await link.publish(b"topic", bytes(200000))
        kept = [name for name, value in link.__dict__.items() if isinstance(value, bytearray) and len(value) > 50000]
        assert not kept, "nor one that was sent"

    memory_watched(scenario, receive_limit=1 << 18)


def test_a_message_that_does_not_fit_the_buffer_is_not_in_memory_beside_it():
    taken = []

    for size in (1200, 1400):  # the buffer has 1280 bytes

        async def scenario(link, broker, size=size):
            await link.up.wait()
            while_called = []
            link.routes.append((b"big", lambda topic, payload: while_called.append(held())))
            before = held()
            broker.send(b"big", bytes(size))
            await until(lambda: while_called)
            taken.append(while_called[0] - before)

        memory_watched(scenario)
    assert taken[1] - taken[0] < 1000, taken


def test_the_buffer_of_a_block_of_a_stream_is_used_for_the_next_ones():
    made = []

    def counted(*arguments):
        made.extend([size for size in arguments if isinstance(size, int) and size > 4000])
        return bytearray(*arguments)

    async def scenario(link, broker):
        await link.up.wait()
        for _ in range(5):
            broker.send(b"block", bytes(4096))
        await until(lambda: len(link.got) == 5)

    with Replaced(ujobs.link, bytearray=counted):
        connected(scenario)
    assert len(made) == 1, made


def test_the_length_of_a_packet_may_take_four_bytes():
    async def scenario(link, broker):
        await link.up.wait()
        for length in (b"\x04", b"\x84\x00", b"\x84\x80\x00", b"\x84\x80\x80\x00"):
            broker.wires[-1].give(b"\x30" + length + b"\x00\x01a1")
        await until(lambda: len(link.got) == 4)
        assert link.got == [(b"a", b"1")] * 4

    connected(scenario)


def test_client_ids_and_filters_of_any_length_arrive_whole():
    # Packets of 128 bytes and more have a second byte of length.
    for size in range(100, 130):

        async def scenario(link, broker, size=size):
            await link.up.wait()
            await link.subscribe("f" * size)
            assert broker.packets[0] == ("connect", b"\0\x04MQTT\x04\x02\0<" + bytes((0, size)) + b"c" * size)
            name, body = broker.packets[1]
            assert (name, body[2:]) == ("subscribe", bytes((0, size)) + b"f" * size + b"\0")

        def rename(link, broker, size=size):
            link.client_id = "c" * size

        connected(scenario, rename)


def test_the_length_of_a_packet_has_no_more_bytes_than_it_needs():
    async def scenario(link, broker):
        await link.up.wait()
        wire = broker.wires[-1]
        real = wire.write
        sent = []

        def noted(data):
            sent.append(bytes(data))
            real(data)

        wire.write = noted
        # Five bytes more than the filter.
        for size in (122, 123, 16378, 16379):
            await link.subscribe("f" * size)
        assert [packet[1 : packet.index(b"\0", 1)] for packet in sent] == [
            b"\x7f", b"\x80\x01", b"\xff\x7f", b"\x80\x80\x01"]

    connected(scenario)


def test_invalid_bytes_end_the_connection_not_the_task():
    garbage = (
        b"\x30\xff\xff\xff\xff\xff", b"\x30\x02\xff\xff", b"\x36\x05\0\x01a\0\x01", b"\x30\x01\x00", b"\xf0\x20",
        b"\x90\xff\x7f", b"\x00\x00" + b"\xff" * 8,
    )

    async def scenario(link, broker):
        for number, data in enumerate(garbage):
            await until(lambda number=number: len(broker.wires) == number + 1 and link.up.is_set(), 60)
            broker.wires[-1].give(data)
            await until(lambda: not link.up.is_set(), 0.2)
            await until(lambda: link.failure == "ValueError: not an MQTT packet", 0.2)
            link.failure = ""
        await until(lambda: len(broker.wires) == len(garbage) + 1 and link.up.is_set(), 60)

    connected(scenario)


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
