"""A TLS proxy between a board and its cloud that records every PUBLISH, and can lose one."""

import asyncio
import contextlib
import json
import shutil
import socket
import ssl
import threading
import time
from asyncio.streams import open_connection, start_server  # asyncio's names are the board's in tests
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ujobs_tools.aws.fleet import Thing
from ujobs_tools.keys import pki
from ujobs_tools.service import packets

_PATIENCE = 60.0  # seconds
_OWN = "tap-"  # how the client tokens of the proxy's own requests begin


@dataclass(frozen=True)
class Passed:
    """A PUBLISH that passed the proxy.

    from_board: its direction. topic: after `$aws/things/{thing}/jobs/`. payload: parsed JSON. at: epoch seconds.
    """

    from_board: bool
    topic: str
    payload: Any
    qos: int
    retain: bool
    duplicate: bool
    at: float


class WireTap:
    """The proxy; it runs inside the `with` statement, with MQTT over TLS on both sides.

    port: port for the board, at "localhost". thing_dir: the board's credentials, with the proxy's CA certificate.
    messages: messages that have passed, in order.
    """

    def __init__(self, thing: Thing, mqtts: int, folder: Path) -> None:
        self.thing_dir = folder / "thing-of-tap"
        shutil.copytree(thing.directory, self.thing_dir)
        authority = pki.Authority(folder / "tap")
        (self.thing_dir / "ca.der").write_bytes(authority.ca_der)
        self._near = authority.server_context()
        self._near.verify_mode = ssl.CERT_NONE  # the proxy has the board's key: the cloud verifies that
        self._far = ssl.create_default_context(cafile=thing.directory / "ca.pem")
        self._far.load_cert_chain(thing.directory / "cert.pem", thing.directory / "key.pem")
        self._mqtts = mqtts
        self._prefix = f"$aws/things/{thing.name}/jobs/"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.messages: list[Passed] = []
        self._changed = threading.Condition()
        self._own_replies: list[str] = []
        self._lost: str | None = None
        self._cloud: asyncio.StreamWriter | None = None  # while a board is connected
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(_PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_PATIENCE)

    def settle(self) -> None:
        """Wait until all messages that the cloud has sent have passed. The proxy sends a request of its own; its reply
        comes last, and is not passed on."""
        token = f"{_OWN}{time.monotonic_ns()}"
        request = json.dumps({"clientToken": token}).encode()
        message = packets.publish(packets.Message(self._prefix + "$next/get", request), 0)
        self._loop.call_soon_threadsafe(self._ask, message)
        self.wait_for(lambda: token in self._own_replies, "answer to the proxy")

    def lose(self, topic: str) -> None:
        """Break the connection at the next message to the board on this topic, and discard the message."""
        self._lost = topic

    def wait_for_end(self) -> None:
        """Wait until the board's connection has ended: no message passes until the board connects again."""
        self.wait_for(lambda: self._cloud is None, "end of the connection")

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until a condition on the messages holds. Raises AssertionError after a minute."""
        with self._changed:
            assert self._changed.wait_for(condition, _PATIENCE), f"no {what}; the last messages: {self.messages[-5:]}"

    def _ask(self, message: bytes) -> None:
        assert self._cloud is not None, "the board is not connected"
        self._cloud.write(message)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        server = await start_server(self._connected, sock=self._listener, ssl=self._near)
        self._started.set()
        await self._stop.wait()
        server.close()

    async def _connected(self, near: asyncio.StreamReader, board: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            far, cloud = await open_connection("localhost", self._mqtts, ssl=self._far)
            self._cloud = cloud
            pumps = [
                asyncio.create_task(self._pump(near, cloud, cloud, True)),
                asyncio.create_task(self._pump(far, board, cloud, False)),
            ]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in pumps:
                pump.cancel()
            # Without DISCONNECT, like a lost connection.
            cloud.transport.abort()
        board.transport.abort()
        with self._changed:
            self._cloud = None
            self._changed.notify_all()

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, cloud: asyncio.StreamWriter, from_board: bool
    ) -> None:
        """Pass packets on until one side ends."""
        with contextlib.suppress(OSError, EOFError):
            while True:
                first, packet, body = await _read_packet(source)
                if first >> 4 == packets.PUBLISH:
                    message, packet_id = packets.read_publish(first, body)
                    passed = self._note(message, bool(first & 8), from_board)
                    if passed is None:
                        if packet_id:
                            cloud.write(packets.puback(packet_id))
                        continue
                    if passed.topic == self._lost and not from_board:
                        self._lost = None
                        return
                sink.write(packet)
                await sink.drain()

    def _note(self, message: packets.Message, duplicate: bool, from_board: bool) -> Passed | None:
        payload = json.loads(message.payload)
        token = payload.get("clientToken", "")
        topic = message.topic.removeprefix(self._prefix)
        passed = Passed(from_board, topic, payload, message.qos, message.retain, duplicate, time.time())
        with self._changed:
            if token.startswith(_OWN):
                self._own_replies.append(token)
            else:
                self.messages.append(passed)
            self._changed.notify_all()
        return None if token.startswith(_OWN) else passed


async def _read_packet(source: asyncio.StreamReader) -> tuple[int, bytes, bytes]:
    """Return the first byte of a packet, the complete packet, and its body."""
    head = await source.readexactly(1)
    size = shift = 0
    while True:
        digit = await source.readexactly(1)
        head += digit
        size |= (digit[0] & 127) << shift
        shift += 7
        if digit[0] < 128:
            body = await source.readexactly(size)
            return head[0], head + body, body
