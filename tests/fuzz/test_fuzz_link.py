"""Any bytes from the broker: the link reports an error or reconnects, in bounded time and memory, and then works
again."""

import asyncio
from unittest import mock

from fuzzing import bounded, damaged, pieces
from hypothesis import given
from hypothesis import strategies as st

import fast_time
import ujobs.link
from broker import Broker
from ujobs.link import Link

LIMIT = 1400  # bytes; receive limit of the link, which is over its buffer
PATIENCE = 300  # seconds: the longest pause between two connects is 33, and an incomplete packet times out after 10
PROBE = b"probe"

broker = Broker()
SOUND = [
    broker.packet(b"a/b", b"payload", 0), broker.packet(b"a/b", b"payload", 1), broker.packet(b"", b"", 1),
    broker.packet(b"big", b"x" * 1360, 1), broker.packet(b"bigger", b"x" * 1600, 0), broker.packet(b"t" * 1390, b"", 0),
    b"\xd0\0", b"\x40\x02\0\x01", b"\x90\x03\0\x01\x01", b"\x90\x03\0\x01\x80", b"\xb0\x02\0\x01", b"\x20\x02\0\0",
]
PACKETS = st.sampled_from(SOUND)
HEADERS = st.builds(
    lambda kind, size, rest: bytes((kind, *size)) + rest,
    st.integers(0, 255),
    st.sampled_from([b"\0", b"\1", b"\x7f", b"\xff\x7f", b"\xff\xff\x7f", b"\xff\xff\xff\x7f", b"\xff" * 4 + b"\x01"]),
    st.binary(max_size=40),
)
STREAM = st.lists(
    st.one_of(PACKETS, PACKETS.flatmap(damaged), HEADERS, st.binary(max_size=30)), min_size=1, max_size=6
).map(b"".join)


class Sizes(bytearray):
    """Replaces bytearray in the link, and records the allocations."""

    largest = 0

    def __init__(self, source: object = b"") -> None:
        size = source if isinstance(source, int) else len(source)  # type: ignore[arg-type]
        Sizes.largest = max(Sizes.largest, size)
        super().__init__(source)  # type: ignore[arg-type]


def survive(data: bytes, piece: int, pause: float, ends: bool, at_once: bool) -> None:
    """Send these bytes to a link, and check that it finally is connected and delivers messages."""

    async def main(clock: fast_time.Clock) -> None:
        at_broker = Broker()
        if at_once:
            at_broker.mute.add("connect")
        got: list[bytes] = []
        with mock.patch.object(asyncio, "open_connection", at_broker.open_connection):
            link = Link(b"thing", "host", receive_limit=LIMIT)
            link.set_callback(lambda topic, payload: got.append(bytes(payload)))
            link.filters.append((b"a/#", 1))
            task = asyncio.create_task(link.run())
            while not (at_broker.count("connect") if at_once else link.up.is_set()):
                await asyncio.sleep(0.01)
            at_broker.mute.clear()
            for part in pieces(data, piece):
                at_broker.wires[0].give(part)
                await asyncio.sleep(pause)
            if ends:
                at_broker.wires[0].end()
            started = clock.seconds()
            while PROBE not in got:
                assert not task.done(), task
                assert clock.seconds() - started < PATIENCE, data
                await asyncio.sleep(5)
                if link.up.is_set():
                    at_broker.send(b"a/probe", PROBE)
            assert all(len(payload) <= LIMIT for payload in got)
            task.cancel()

    Sizes.largest = 0
    with mock.patch.object(ujobs.link, "bytearray", Sizes, create=True):
        fast_time.run(main)
    assert Sizes.largest <= LIMIT


@bounded(160)
@given(
    data=STREAM, piece=st.sampled_from([1, 2, 3, 7, 100, 10000]), pause=st.sampled_from([0, 0.01, 3]),
    ends=st.booleans(),
)
def test_any_bytes_on_a_link_that_is_up(data: bytes, piece: int, pause: float, ends: bool) -> None:
    survive(data, piece, pause, ends, False)


@bounded(60)
@given(data=st.one_of(STREAM, damaged(b"\x20\x02\0\0")), piece=st.sampled_from([1, 100]), ends=st.booleans())
def test_any_bytes_as_the_reply_to_connect(data: bytes, piece: int, ends: bool) -> None:
    survive(data, piece, 0, ends, True)
