"""`Link` connects, notices that a connection is lost, and connects again: the faults of umqtt.simple do not occur."""

import asyncio
from errno import ECONNRESET, ENOTCONN, ETIMEDOUT

import fast_time
import ujobs.link
from broker import Broker, raises, raises_async, until
from linked import connected
from replaced import Replaced
from ujobs.link import Link
from umqtt.simple import MQTTClient, MQTTException


class Random:
    def __init__(self, value):
        self.value = value

    def random(self):
        return self.value


def test_link_is_an_mqtt_client_of_umqtt_simple():
    link = Link(b"thing", "host")
    assert isinstance(link, MQTTClient)
    assert (link.port, link.keepalive, link.client_id) == (1883, 60, b"thing")
    assert (link.timeout, link.receive_limit) == (10, 16384)


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

    for keepalive in (20, 20.5):
        connected(scenario, will, keepalive=keepalive, user="user", password="pass")


def test_a_keepalive_of_more_than_a_byte_is_sent_whole():
    async def scenario(link, broker):
        await link.up.wait()
        assert broker.packets[0][1][8:10] == b"\x03\xe8"

    connected(scenario, keepalive=1000)


def test_more_filters_than_aws_accepts_at_once_are_subscribed_one_after_the_other():
    def before(link, broker):
        for number in range(17):
            link.filters.append((b"filter/%d" % number, number & 1))

    async def scenario(link, broker):
        heard = []
        link.listeners.append(heard.append)
        await until(lambda: heard)
        assert broker.filters == [topic for topic, _ in link.filters]
        assert broker.count("subscribe") == 3

    connected(scenario, before)


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


def test_a_host_that_does_not_answer_is_given_up_and_named_as_the_failure():
    async def silent(*arguments):
        await asyncio.sleep(1000)

    async def scenario(link, broker):
        with Replaced(asyncio, open_connection=silent):
            await until(lambda: link.failure, 60)
            assert link.failure == "connecting took too long"
            assert 30 <= ujobs.link.time.seconds() < 30.5
        await link.up.wait()
        broker.wires[-1].end()
        await until(lambda: not link.up.is_set())
        assert link.failure.startswith("OSError")

    connected(scenario, timeout=10)


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


def test_the_failure_says_why_the_link_was_lost():
    def nothing(wire):
        pass

    def end(wire):
        wire.end()

    def reply_of_a_web_server(wire):
        wire.give(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    causes = ((nothing, str(ETIMEDOUT)), (end, str(ECONNRESET)), (reply_of_a_web_server, "not an MQTT packet"))

    async def scenario(link, broker):
        for connected_first in (False, True):
            broker.mute.add("ping")
            broker.mute.discard("connect") if connected_first else broker.mute.add("connect")
            for act, reason in causes:
                count, closed = broker.count("connect"), broker.closed
                await until(lambda count=count: broker.count("connect") > count)
                await until(lambda: not connected_first or link.up.is_set())
                act(broker.wires[-1])
                await until(lambda closed=closed: broker.closed > closed)
                assert reason in link.failure, (connected_first, reason, link.failure)

    with Replaced(ujobs.link, random=Random(0)):
        connected(scenario, keepalive=1)


def test_a_link_that_was_lost_without_memory_is_made_again_when_there_is_some():
    short = []

    def scarce(*words):
        if short:
            raise MemoryError

    class Scarce(Random):
        def random(self):
            scarce()
            return self.value

    async def scenario(link, broker):
        link.listeners.append(scarce)
        await link.up.wait()
        for _ in range(2):
            short.append(True)
            broker.wires[-1].end()
            before = broker.count("connect")
            await asyncio.sleep(10)
            # AWS accepts one a second.
            assert broker.count("connect") - before <= 10
            short.clear()
            await until(link.up.is_set)
            broker.send(b"a", b"1")
            await until(lambda: link.got)
            # Nobody else reads from the new connection.
            assert link.got == [(b"a", b"1")]
            link.got.clear()

    with Replaced(ujobs.link, random=Scarce(1.0), print=scarce):
        connected(scenario)


def test_a_dead_link_is_noticed_also_after_a_timer_had_no_memory():
    short = []

    async def scarce(seconds, sleep=asyncio.sleep):
        if short and seconds == 5:
            # The link's own timer.
            short.pop()
            raise MemoryError
        await sleep(seconds)

    async def scenario(link, broker):
        await link.up.wait()
        short.append(True)
        await until(lambda: not short, 60)
        broker.mute.add("ping")
        await until(lambda: not link.up.is_set(), 60)

    with Replaced(ujobs.link.asyncio, sleep=scarce):
        connected(scenario, keepalive=20, timeout=20)


def test_a_timer_without_memory_does_not_end_a_wait_at_once():
    async def scarce(seconds, sleep=asyncio.sleep):
        if seconds == 5:
            raise MemoryError
        await sleep(seconds)

    async def main(clock):
        with Replaced(ujobs.link.asyncio, sleep=scarce):
            return await ujobs.link.until(asyncio.Event(), 5), clock.seconds()

    assert fast_time.run(main) == (False, 1)


def test_a_link_whose_failure_has_no_text_for_want_of_memory_is_made_again():
    class Failure(OSError):
        def __str__(self):
            raise MemoryError

    def fail(view):
        raise Failure

    async def scenario(link, broker):
        await link.up.wait()
        broker.wires[-1].s.readinto = fail
        broker.send(b"a", b"1")
        await until(lambda: not link.up.is_set())
        await until(link.up.is_set)
        assert link.failure == "Failure"

    connected(scenario)


def test_the_memory_of_a_tls_connection_is_given_back_when_it_is_lost():
    closed = []

    class Secure:
        """A TLS socket."""

        def __init__(self, sock):
            self._sock = sock

        def __getattr__(self, name):
            return getattr(self._sock, name)

        def close(self):
            closed.append("TLS")

    class Tls:
        def wrap_socket(self, sock, server_hostname, do_handshake_on_connect):
            assert (server_hostname, do_handshake_on_connect) == ("host", False)
            return Secure(sock)

    class Stream:
        """A stream made of a socket, as those of MicroPython are."""

        def __init__(self, s):
            self.s = s

        def __getattr__(self, name):
            return getattr(self.s.wire, name)

    async def open_connection(host, port):
        wire, _ = await Broker.open_connection(broker, host, port)
        return Stream(wire.s), None

    async def scenario(link, broker):
        await link.up.wait()
        broker.wires[-1].end()
        await until(lambda: not link.up.is_set())
        await until(link.up.is_set)
        assert (closed, broker.closed) == (["TLS"], 1)

    broker = Broker()
    broker.open_connection = open_connection
    connected(scenario, broker=broker, ssl=Tls())


def test_a_link_that_was_never_up_has_no_failure():
    assert Link("thing", "host").failure == ""


def test_a_link_that_has_disconnected_is_down():
    async def scenario(link, broker):
        heard = []
        link.listeners.append(heard.append)
        await until(lambda: heard)
        await link.disconnect()
        assert not link.up.is_set()
        assert heard[:2] == [True, False]

    connected(scenario)


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
