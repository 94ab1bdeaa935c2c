"""Any reply of an HTTP server, any message of a stream: the correct bytes are written, or an error gives the reason."""

import asyncio
from typing import Any
from unittest import mock

import cbor2
from fuzzing import JSON, NAMES, bounded, damaged, mangled
from hypothesis import example, given
from hypothesis import strategies as st

import fast_time
from broker import Broker
from ujobs import streams
from ujobs.download import Refused, download
from ujobs.link import Link
from web import Web, head

CONTENT = bytes(range(256)) * 20
LONGEST = 600  # seconds for six replies that never end
STREAM = b"$aws/things/thing/streams/files/"
SIZE = streams.BLOCK * 3 + 100

NUMBERS = st.sampled_from(
    ["0", "1", "5120", "5119", "99999999999", "-1", "-5", "+5120", "5_120", "1e3", "0x10", "", " ", "a", "\u0665",
     "9" * 5000]
)
RANGES = st.sampled_from(
    ["bytes 100-5119/5120", "bytes 100-5119/*", "bytes 0-5119/5120", "bytes */5120", "100-/", "bytes", "", "a-b/c",
     "bytes 100/-1"]
)
CHUNKS = st.lists(
    st.tuples(
        st.sampled_from(["0", "5", "a;x=y", "-5", "ffffffff", "", " ", "5_0", "x", "0" * 200]), st.binary(max_size=12)
    )
)
BODIES = st.one_of(
    st.just(CONTENT), st.just(CONTENT[100:]), st.binary(max_size=50),
    CHUNKS.map(lambda chunks: b"".join(size.encode() + b"\r\n" + data + b"\r\n" for size, data in chunks)),
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "Content-Length": NUMBERS, "Content-Range": RANGES,
        "Transfer-Encoding": st.sampled_from(["chunked", "gzip", ""]),
        "Content-Encoding": st.sampled_from(["gzip", ""]),
        "ETag": st.sampled_from(['"tag"', '"other"', 'W/"tag"', "\u0416"]),
        "Location": st.sampled_from(["/x", "//x/y", "http://", "http://a:99999/", "https://a/", "x", "/ b", "\u0416"]),
        "X": st.sampled_from(["", "\0", "y" * 3000, "y" * 5000]),
    },
)
ANSWERS = st.builds(
    lambda status, headers, body: head(status, headers) + body,
    st.sampled_from([200, 206, 206, 302, 404, 416, 503, 100, 0, -1]), HEADERS, BODIES,
)
SOUND = head(200, {"Content-Length": len(CONTENT)}) + CONTENT


@bounded(200)
@given(
    answers=st.lists(ANSWERS | st.just(SOUND) | damaged(SOUND) | st.binary(max_size=80), min_size=1, max_size=3),
    piece=st.sampled_from([1, 3, 100, 100000]), start=st.sampled_from([0, 100]), ends=st.booleans(),
)
@example(answers=[head(200, {"Location": "http://a:99999/"})], piece=100, start=0, ends=True)
def test_any_reply_of_a_server(answers: list[bytes], piece: int, start: int, ends: bool) -> None:
    if piece < 100:
        answers = [answer[: 40 * piece] for answer in answers]  # byte by byte takes longer
    given_out = list(answers)
    written: list[int] = []

    def begin(offset: int, total: int | None, etag: str | None) -> None:
        assert offset in (0, start)
        assert total is None or 0 <= total < 2**53
        assert etag is None or etag.startswith('"')
        assert not written
        written.append(offset)

    def write(offset: int, data: memoryview) -> None:
        assert offset == sum(written)
        assert 0 < len(data) <= 4096
        written.append(len(data))

    async def main(clock: fast_time.Clock) -> None:
        web = Web(lambda connection: (given_out.pop(0) if given_out else SOUND, ends), piece)
        with mock.patch.object(asyncio, "open_connection", web.open_connection):
            try:
                await asyncio.wait_for(download("http://files/x", begin, write, start, '"tag"'), LONGEST)
            except (OSError, ValueError, Refused) as error:
                assert not isinstance(error, asyncio.TimeoutError)
                assert str(error)
        assert len(web.connections) <= 6
        assert all(connection.closed for connection in web.connections)

    fast_time.run(main)


BLOCK = mangled(
    st.fixed_dictionaries(
        {
            "c": st.just("TOKEN") | NAMES, "f": st.sampled_from([0, 0, 0, 1]), "l": st.just(streams.BLOCK),
            "i": st.integers(-1, 5),
            "p": st.sampled_from([streams.BLOCK, 100, 99, 0]).map(bytes),
        }
    )
)
MESSAGES = st.tuples(
    st.sampled_from([b"data/cbor", b"data/cbor", b"rejected/cbor", b"data", b"description/cbor", b""]),
    st.one_of(BLOCK, JSON, st.binary(max_size=40)),
)


def encode(message: Any, token: str) -> bytes:
    """The message to send for a drawn one, as the reply to the request with this token."""
    if isinstance(message, bytes):
        return message
    if isinstance(message, dict) and message.get("c") == "TOKEN":
        message = message | {"c": token}
    return cbor2.dumps(message)


def serve(request: dict[str, Any]) -> list[bytes]:
    """The correct blocks for a request."""
    wanted = int.from_bytes(request["b"], "little")
    indexes = [request["o"] + bit for bit in range(30) if wanted >> bit & 1]
    return [
        cbor2.dumps(
            {
                "c": request["c"], "f": request["f"], "l": streams.BLOCK, "i": index,
                "p": bytes(min(streams.BLOCK, SIZE - index * streams.BLOCK)),
            }
        )
        for index in indexes
    ]


FLAT = st.dictionaries(
    NAMES, st.one_of(st.integers(-(2**64), 2**64 - 1), NAMES, st.binary(max_size=300), st.floats(), st.none()),
    max_size=23,
)


@bounded(120)
@given(data=st.one_of(st.binary(max_size=60), FLAT.map(cbor2.dumps), FLAT.map(cbor2.dumps).flatmap(damaged)))
def test_any_cbor_is_read_correctly_or_refused(data: bytes) -> None:
    try:
        found = streams.decode(memoryview(data))
    except ValueError as error:
        assert str(error) == "not a flat CBOR map"
        return
    meant = cbor2.loads(data)
    assert {name: bytes(value) if isinstance(value, memoryview) else value for name, value in found.items()} == {
        name: value if type(value) in (int, str, bytes) else None for name, value in meant.items()
    }


@bounded(100)
@given(messages=st.lists(st.lists(MESSAGES, max_size=4), max_size=4), serves=st.booleans())
def test_any_messages_of_a_stream(messages: list[list[tuple[bytes, Any]]], serves: bool) -> None:
    coming = list(messages)
    places: set[int] = set()

    def write(offset: int, data: memoryview) -> None:
        assert offset % streams.BLOCK == 0
        assert 0 <= offset < SIZE
        assert len(data) == min(streams.BLOCK, SIZE - offset)
        places.add(offset)

    async def main(clock: fast_time.Clock) -> None:
        broker = Broker()

        def answer(topic: bytes, payload: bytes) -> None:
            request = cbor2.loads(payload)
            for suffix, message in coming.pop(0) if coming else []:
                broker.send(STREAM + suffix, encode(message, request["c"]))
            for message in serve(request) if serves else []:
                broker.send(STREAM + b"data/cbor", message)

        broker.on_publish = answer
        with mock.patch.object(asyncio, "open_connection", broker.open_connection):
            link = Link(b"thing", "host")
            running = asyncio.create_task(link.run())
            await link.up.wait()
            try:
                await asyncio.wait_for(streams.receive(link, "thing", "files", 0, SIZE, write, lambda end: None), 600)
                assert places == set(range(0, SIZE, streams.BLOCK))
            except (OSError, ValueError) as error:
                assert not isinstance(error, asyncio.TimeoutError)
                assert str(error)
                assert messages or not serves
            assert link.filters == []
            assert not running.done()
            running.cancel()

    fast_time.run(main)


