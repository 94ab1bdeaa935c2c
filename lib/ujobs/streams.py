"""Files that AWS IoT delivers over MQTT in blocks ("MQTT-based file delivery"), on the connection that is there anyway.

Blocks are written in the order in which they arrive. More are requested when half of those requested have arrived, so
that the link is never idle, and missing ones are requested again: lost and duplicate blocks and a broken link cost
time, not the file. One block is in memory at a time. The caller checks the SHA-256 before it trusts the file.
"""

import asyncio
import gc
import random
from errno import ETIMEDOUT

from .link import log, until

# Neither is in a .mpy at -O2: its compiler knows const, and types are for type checkers only.
if __debug__:
    from micropython import const
_TYPING = const(0)
if _TYPING:
    from typing import Callable

    from .link import Link

BLOCK = const(4096)  # bytes; AWS accepts 256 to 131072
_FIRST = const(8)  # blocks to begin with: a slow link is not flooded, and one of 200 ms is not idle
_SPAN = const(30)  # blocks in flight, of all requests together: AWS answers with at most 128 KB. Fits a small integer
_AROUND = const(64)  # bytes of a message besides its block and the start of its topic
_PATIENCE = const(3)  # requests in a row that bring nothing

# CBOR, the first byte of an item: its kind in three bits, then a number, or in how many more bytes the number comes.
_NEGATIVE = const(0x20)
_BYTES = const(0x40)
_TEXT = const(0x60)
_MAP = const(0xA0)
_SIMPLE = const(0xE0)
_ENDLESS = const(31)  # a map that continues until a break
_BREAK = const(0xFF)


async def receive(
    link: "Link", thing: str, stream: str, file_id: int, size: int, write: "Callable[[int, memoryview], None]",
    arrived: "Callable[[int], None]", start: int = 0,
) -> None:
    """Receive a file of a stream, from the block that byte `start` is in.

    thing, stream: their names; file_id: 0 to 255; size: bytes in the file, up to 24 MB; start: in the first block.
    write: called as `write(offset, block)`, not in order; block: a memoryview, valid only during the call. arrived:
    called as `arrived(offset)` when everything before that offset has been written. Raises ValueError when the service
    refuses or sends what does not fit, OSError when three requests in a row brought no block, and what write() raises.
    Source: Developer Guide, "Using AWS IoT MQTT-based file delivery in devices".
    """
    prefix = ("$aws/things/%s/streams/%s/" % (thing, stream)).encode()
    least = len(prefix) + min(size, BLOCK) + _AROUND
    if link.receive_limit < least:
        raise ValueError("a stream needs a receive_limit of %d bytes" % least)
    token = "%08x" % random.getrandbits(30)
    moved = asyncio.Event()
    failure = None
    first = asked = start // BLOCK
    missing = 0  # bits of the blocks from `first` to before `asked` that have not arrived
    left = enough = 0  # how many these are; at how many to wake the waiting task

    def block(fields):
        nonlocal missing, left
        index = fields.get("i")
        if fields.get("f") != file_id or not isinstance(index, int) or not first <= index < asked:
            return
        bit = 1 << index - first
        if missing & bit:
            data = fields.get("p")
            if not isinstance(data, memoryview) or len(data) != min(BLOCK, size - index * BLOCK):
                raise ValueError("stream: block %d has the wrong length" % index)
            write(index * BLOCK, data)
            missing ^= bit
            left -= 1

    def received(topic, payload):
        nonlocal failure
        try:
            if payload is None:
                raise MemoryError("no room for a block")
            fields = decode(payload)
            # A rejection has no token when the service could not read the request.
            rejected = topic.endswith(b"rejected/cbor")
            if fields.get("c", rejected and token) == token:
                if rejected:
                    code = str(fields.get("o") or fields.get("code"))
                    text = "stream: %s: %s" % (code, fields.get("m") or fields.get("message"))
                    raise OSError(text) if code == "InternalError" else ValueError(text)
                block(fields)
        except MemoryError as error:
            # As good as lost: it is requested again.
            log("stream:", error)
            gc.collect()
        except (OSError, ValueError) as error:
            failure = error
        # Waking the waiting task costs more than writing a block.
        if failure or left <= enough:
            moved.set()

    route = (prefix, received)
    link.routes.append(route)
    filters = (prefix + b"data/cbor", prefix + b"rejected/cbor")
    count = (size + BLOCK - 1) // BLOCK
    window = _FIRST
    silent = 0
    more = True
    try:
        for name in filters:
            await link.subscribe(name)
        while True:
            while first < asked and not missing & 1:
                first += 1
                missing >>= 1
            arrived(min(first * BLOCK, size))
            if first == count:
                return
            if silent:
                begin, bits, blocks = first, missing, left
            else:
                begin = asked
                blocks = max(min(window - left, count - begin, first + _SPAN - begin), 0) if more else 0
                bits = (1 << blocks) - 1
                missing |= bits << begin - first
                left += blocks
                asked += blocks
            before = left
            enough = before // 2 if asked < count else 0
            moved.clear()
            try:
                await link.up.wait()
                if blocks:
                    # CBOR: {c: token, f: file, l: 4096, o: begin, n: blocks, b: bits}, bit 0 of byte 0 for the first.
                    request = b"\xa6\x61c\x68%s\x61f\x18%c\x61l\x19\x10\0\x61o\x1a%s\x61n\x18%c\x61b\x44%s" % (
                        token.encode(), file_id, begin.to_bytes(4, "big"), blocks, bits.to_bytes(4, "little")
                    )
                    await link.publish(prefix + b"get/cbor", request)
                if not await until(moved, link.timeout):
                    raise OSError(ETIMEDOUT)
                window = min(window * 2, _SPAN)
                more = True
                silent = 0
            except OSError as error:
                # As long as blocks arrive, the missing ones may still be on their way.
                more = False
                silent = silent + 1 if left == before else 0
                if silent:
                    log("stream:", error)
                    window = max(window // 2, 1)
                    # If the link broke, let it notice, so that `up` is waited for.
                    await asyncio.sleep(0.1)
            if failure:
                raise failure
            if silent == _PATIENCE:
                raise OSError(ETIMEDOUT)
    finally:
        link.routes.remove(route)
        for name in filters:
            try:
                await link.unsubscribe(name)
            except OSError as error:
                log("not unsubscribed:", error)


def decode(data: memoryview) -> "dict[str, int | str | memoryview | None]":
    """Read a flat CBOR map (RFC 8949) of at most 23 fields; byte strings are parts of `data`, and valid as long as it.

    Fractions, true, false and null are read as None. Raises ValueError for anything else.
    """
    fields = {}
    try:
        left = data[0] ^ _MAP
        if left > 23 and left != _ENDLESS:
            raise ValueError
        endless = left == _ENDLESS
        at = 1
        while left and not (endless and data[at] == _BREAK):
            name, at = _item(data, at)
            if not isinstance(name, str):
                raise ValueError
            fields[name], at = _item(data, at)
            left -= 1
    except (IndexError, ValueError):
        raise ValueError("not a flat CBOR map")
    return fields


def _item(data, at):
    # The item that begins at an index, and the index after it.
    kind, number = data[at] & 0xE0, data[at] & 31
    at += 1
    if number > 23:
        if number > 27:
            raise ValueError
        end = at + (1 << number - 24)
        number = int.from_bytes(data[at:end], "big")
        at = end
    end = at + number if kind in (_BYTES, _TEXT) else at
    if end > len(data):
        raise ValueError
    item = None
    if kind == 0:
        item = number
    elif kind == _NEGATIVE:
        item = -1 - number
    elif kind == _BYTES:
        item = data[at:end]
    elif kind == _TEXT:
        item = str(data[at:end], "utf-8")
    elif kind != _SIMPLE:
        raise ValueError
    return item, end
