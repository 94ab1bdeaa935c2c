"""Files that AWS IoT delivers over MQTT in blocks ("MQTT-based file delivery"), on the link that is there anyway.

It asks for a window of blocks, writes them in whatever order they come, and asks again for those that are missing: lost
blocks, doubled ones and a link that breaks cost time, not the file. One block is in memory at a time. Like a download,
what it brings is not to be trusted before its SHA-256 has been checked.
"""

import asyncio
import gc
import random
from errno import ETIMEDOUT

from micropython import const

from .cbor import decode, encode
from .link import Link, explain, log

# What only type checkers read; the compiler leaves it out.
_TYPING = const(0)
if _TYPING:
    from typing import Callable

BLOCK = const(4096)  # bytes; AWS takes 256 to 131072
_WINDOW = const(30)  # blocks; AWS answers one request with at most 128 KB. Less than a small integer has bits
_PATIENCE = const(3)  # requests in a row that bring nothing


class _Receiver:
    def __init__(self, file_id, size, token, write):
        self._file_id = file_id
        self._size = size
        self._write = write
        self._token = token
        self.arrived = asyncio.Event()
        self.first = self.missing = 0
        self.error = None

    def received(self, topic, payload):
        try:
            if payload is None:
                raise ValueError("a block is over the link's receive limit")
            fields = decode(payload)
            if topic.endswith(b"/rejected/cbor"):
                self._rejected(fields)
            elif topic.endswith(b"/data/cbor") and fields.get("c") == self._token:
                self._block(fields)
        except MemoryError as error:
            # As good as lost: it is asked for again.
            log("stream:", explain(error))
            gc.collect()
            return
        except (OSError, ValueError) as error:
            self.error = error
        # Not for each block: to wake the task that waits costs more than to write one.
        if self.error or not self.missing:
            self.arrived.set()

    def _rejected(self, fields):
        # The token is missing when the service could not read the request.
        if fields.get("c", self._token) == self._token:
            code = str(fields.get("o") or fields.get("code"))
            text = "stream: %s: %s" % (code, fields.get("m") or fields.get("message"))
            raise OSError(text) if code == "InternalError" else ValueError(text)

    def _block(self, fields):
        index = fields.get("i")
        if fields.get("f") != self._file_id or not isinstance(index, int):
            return
        bit = index - self.first
        if not 0 <= bit < _WINDOW or not self.missing & 1 << bit:
            return
        data = fields.get("p")
        if not isinstance(data, memoryview) or len(data) != min(BLOCK, self._size - index * BLOCK):
            raise ValueError("stream: block %d is not as long as it has to be" % index)
        self._write(index * BLOCK, data, self._size)
        self.missing &= ~(1 << bit)


async def receive(
    link: Link, thing: str, stream: str, file_id: int, size: int, write: "Callable[[int, memoryview, int], None]",
    arrived: "Callable[[int], None]", start: int = 0,
) -> None:
    """Receive a file of a stream, from byte `start` on.

    thing, stream: their names; file_id: 0 to 255; size: bytes in the file, up to 24 MB; start: a multiple of BLOCK.
    write: called as `write(offset, block, size)`, not in order; block: a memoryview, valid only during the call.
    arrived: called as `arrived(offset)` when everything before that offset has been written. Raises ValueError when the
    service refuses or sends what does not fit, OSError when no block came for three requests or none found room in
    memory, and what write() raises.
    """
    token = "%x" % random.getrandbits(30)
    receiver = _Receiver(file_id, size, token, write)
    prefix = ("$aws/things/%s/streams/%s/" % (thing, stream)).encode()
    route = (prefix, receiver.received)
    link.routes.append(route)
    filters = (prefix + b"data/cbor", prefix + b"rejected/cbor")
    try:
        for name in filters:
            await link.subscribe(name)
        window = 4
        first = start // BLOCK
        count = (size + BLOCK - 1) // BLOCK
        while first < count:
            blocks = min(window, count - first)
            receiver.first = first
            receiver.missing = (1 << blocks) - 1
            smooth = await _window(link, prefix, receiver, file_id, token)
            window = min(window * 2, _WINDOW) if smooth else max(window // 2, 1)
            first += blocks
            arrived(min(first * BLOCK, size))
    finally:
        link.routes.remove(route)
        for name in filters:
            try:
                await link.unsubscribe(name)
            except OSError as error:
                log("not unsubscribed:", explain(error))


async def _window(link, prefix, receiver, file_id, token):
    """Get the blocks that are missing; return whether one request was enough."""
    asked = silent = 0
    while receiver.missing:
        missing = receiver.missing
        await link.up.wait()
        # Bit 0 of byte 0 stands for the first block.
        bitmap = bytes([missing >> shift & 255 for shift in range(0, _WINDOW, 8) if missing >> shift])
        request = {
            "c": token, "f": file_id, "l": BLOCK, "o": receiver.first,
            "n": sum([missing >> bit & 1 for bit in range(_WINDOW)]), "b": bitmap,
        }
        asked += 1
        try:
            await link.publish(prefix + b"get/cbor", encode(request))
            await _arrivals(link, receiver)
        except (OSError, asyncio.TimeoutError) as error:
            if receiver.error:
                raise receiver.error
            log("stream:", explain(error))
        if receiver.error:
            raise receiver.error
        silent = silent + 1 if receiver.missing == missing else 0
        if silent == _PATIENCE:
            raise OSError(ETIMEDOUT)
    return asked == 1


async def _arrivals(link, receiver):
    # Ends when nothing is missing any more, or nothing has come for a while.
    while receiver.missing and not receiver.error:
        missing = receiver.missing
        receiver.arrived.clear()
        try:
            await asyncio.wait_for(receiver.arrived.wait(), link.timeout)
        except asyncio.TimeoutError:
            if receiver.missing == missing:
                raise
