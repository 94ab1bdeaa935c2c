"""Streams without any transport: their content, and the blocks that a device gets."""

from pathlib import Path
from typing import Any

import pytest
from engine_service import Service
from http_service import Server
from hypothesis import given
from hypothesis import strategies as st

from ujobs_tools.service.engine import Engine
from ujobs_tools.service.errors import ApiError
from ujobs_tools.service.streams import MAX_BITMAP, MAX_FILE, MAX_REPLY

ROLE = "arn:aws:iam::000000000000:role/streams"
CONTENT = bytes((n * 7 + n // 256) & 255 for n in range(300_000))


def file(file_id: int, key: str = "key") -> dict[str, Any]:
    return {"fileId": file_id, "s3Location": {"bucket": "bucket", "key": key}}


def engine_with_stream(content: bytes = CONTENT, path: str = ":memory:") -> Engine:
    engine = Service(path).engine
    engine.create_stream("app-2", [file(3), file(0)], ROLE, {3: content, 0: b""}, "text")
    return engine


def blocks(engine: Engine, **request: Any) -> list[dict[str, Any]]:
    return list(engine.stream_blocks("app-2", {"f": 3, "l": 4096, **request}))


def refusal(engine: Engine, stream: str = "app-2", **request: Any) -> str:
    with pytest.raises(ApiError) as caught:
        engine.stream_blocks(stream, request)
    return caught.value.code


def test_a_device_sees_version_description_and_sizes() -> None:
    found = engine_with_stream().stream_description("app-2", {})
    assert found == {"s": 1, "d": "text", "r": [{"f": 0, "z": 0}, {"f": 3, "z": 300_000}]}


def test_one_request_returns_at_most_128_kilobytes() -> None:
    engine = engine_with_stream()
    for size in (256, 4096, 5000, MAX_REPLY):
        given = blocks(engine, l=size)
        assert [block["i"] for block in given] == list(range(MAX_REPLY // size))
        assert b"".join(block["p"] for block in given) == CONTENT[: MAX_REPLY // size * size]
        assert len(blocks(engine, l=size, n=98304)) == MAX_REPLY // size


def test_the_last_block_is_short() -> None:
    given = blocks(engine_with_stream(), o=73, n=5)
    assert [(block["i"], block["l"], len(block["p"])) for block in given] == [(73, 992, 992)]


def test_an_empty_file_has_one_empty_block() -> None:
    assert blocks(engine_with_stream(), f=0) == [{"f": 0, "l": 0, "i": 0, "p": b""}]


def test_the_developer_guides_bitmap() -> None:
    given = blocks(engine_with_stream(), o=20, n=10, b=bytes.fromhex("130080"))
    assert [block["i"] for block in given] == [20, 21, 24, 43]
    assert [block["i"] for block in blocks(engine_with_stream(), o=20, n=2, b=bytes.fromhex("130080"))] == [20, 21]


@given(
    size=st.integers(0, 40_000), block=st.integers(256, 3000), first=st.integers(0, 160), bitmap=st.binary(max_size=12),
    count=st.none() | st.integers(0, 40),
)
def test_every_requested_block_arrives_once(
    size: int, block: int, first: int, bitmap: bytes, count: int | None
) -> None:
    engine = engine_with_stream(CONTENT[:size])
    request: dict[str, Any] = {"l": block, "o": first, "b": bitmap} | ({} if count is None else {"n": count})
    last = max(0, size - 1) // block
    if first > last:
        assert refusal(engine, f=3, **request) == "OffsetOutOfBounds"
        return
    wanted = [first + bit for bit in range(8 * len(bitmap)) if bitmap[bit // 8] >> bit % 8 & 1 and first + bit <= last]
    given_blocks = blocks(engine, **request)
    most = min(MAX_REPLY // block, 98304 if count is None else count)
    assert [found["i"] for found in given_blocks] == wanted[:most]
    for found in given_blocks:
        assert found["p"] == CONTENT[:size][found["i"] * block :][:block]
        assert found["l"] == len(found["p"])


@pytest.mark.parametrize(
    ("request_members", "code"),
    [
        ({"l": 4096}, "InvalidRequest"), ({"f": 3}, "InvalidRequest"), ({"f": "three", "l": 4096}, "InvalidRequest"),
        ({"f": "3", "l": 4096}, "InvalidRequest"), ({"f": 3, "l": 4096, "s": "1"}, "InvalidRequest"),
        ({"f": 3, "l": True}, "InvalidRequest"), ({"f": 256, "l": 4096}, "InvalidRequest"),
        ({"f": 3, "l": 255}, "BlockSizeOutOfBounds"), ({"f": 3, "l": MAX_REPLY + 1}, "BlockSizeOutOfBounds"),
        ({"f": 3, "l": 4096, "o": 74}, "OffsetOutOfBounds"), ({"f": 3, "l": 4096, "o": -1}, "OffsetOutOfBounds"),
        ({"f": 3, "l": 4096, "n": 98305}, "BlockCountLimitExceeded"),
        ({"f": 3, "l": 4096, "b": bytes(MAX_BITMAP)}, "BlockBitmapLimitExceeded"),
        ({"f": 3, "l": 4096, "b": 5}, "InvalidRequest"), ({"f": 3, "l": 4096, "s": 2}, "VersionMismatch"),
        ({"f": 4, "l": 4096}, "ResourceNotFound"),
    ],
)
def test_requests_out_of_bounds_are_refused(request_members: dict[str, Any], code: str) -> None:
    assert refusal(engine_with_stream(), **request_members) == code
    assert refusal(engine_with_stream(), "other", f=3, l=4096) == "ResourceNotFound"


def test_streams_survive_a_restart(tmp_path: Path) -> None:
    path = str(tmp_path / "jobs.db")
    engine_with_stream(path=path).store.close()
    engine = Service(path).engine
    assert blocks(engine)[0]["p"] == CONTENT[:4096]
    engine.delete_stream("app-2")
    assert refusal(engine, f=3, l=4096) == "ResourceNotFound"
    assert engine.store.file_sizes("app-2") == {}


def test_files_over_24_megabytes_are_refused() -> None:
    with pytest.raises(ApiError, match="fileId 1 has 25165825 bytes"):
        Service().engine.create_stream("big", [file(1)], ROLE, {1: bytes(MAX_FILE + 1)})


def test_streams_through_boto3(server: Server) -> None:
    iot = server.iot
    server.objects.put("bucket", "one", b"1" * 1000)
    server.objects.put("bucket", "two", b"2" * 2000)
    made = iot.create_stream(streamId="s-b", files=[file(1, "one")], roleArn=ROLE)
    assert made["streamVersion"] == 1
    assert made["streamArn"].endswith(":stream/s-b")
    with pytest.raises(iot.exceptions.ResourceAlreadyExistsException):
        iot.create_stream(streamId="s-b", files=[file(1, "one")], roleArn=ROLE)
    with pytest.raises(iot.exceptions.InvalidRequestException, match="fileId"):
        iot.create_stream(streamId="s-d", files=[file(1, "one"), file(1, "two")], roleArn=ROLE)
    assert iot.update_stream(streamId="s-b", files=[file(2, "two")], description="new")["streamVersion"] == 2
    assert iot.update_stream(streamId="s-b", roleArn=ROLE + "-2")["streamVersion"] == 3
    info = iot.describe_stream(streamId="s-b")["streamInfo"]
    assert (info["description"], info["roleArn"], info["files"]) == ("new", ROLE + "-2", [file(2, "two")])
    assert server.run(lambda service: service.engine.store.file_sizes("s-b")) == {2: 2000}
    iot.create_stream(streamId="s-a", files=[file(1, "one")], roleArn=ROLE)
    pages = iot.get_paginator("list_streams").paginate(PaginationConfig={"PageSize": 1})
    assert [found["streamId"] for page in pages for found in page["streams"]] == ["s-a", "s-b"]
    descending = iot.get_paginator("list_streams").paginate(ascendingOrder=False, PaginationConfig={"PageSize": 1})
    assert [found["streamId"] for page in descending for found in page["streams"]] == ["s-b", "s-a"]
    iot.delete_stream(streamId="s-a")
    iot.delete_stream(streamId="s-b")
    for call in (iot.describe_stream, iot.delete_stream, iot.update_stream):
        with pytest.raises(iot.exceptions.ResourceNotFoundException):
            call(streamId="s-b")
