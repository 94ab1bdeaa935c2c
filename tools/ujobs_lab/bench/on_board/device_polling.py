"""A client built like asyncio MQTT clients for MicroPython: a non-blocking socket, polled with short sleeps, QoS 1
publishes, whole packets. It checks, retries and records nothing. Runs on MicroPython only.

Options: those of device_by_hand.py. It polls every 5 ms, as such clients usually do.
"""

import asyncio
import json
import os
import socket
import struct

import connecting

_POLL = 5  # milliseconds


class Client:
    """thing: thing name, as bytes; context: for TLS, or None; received(topic, payload): a coroutine function."""

    def __init__(self, thing: bytes, received):
        self.thing = thing
        self.received = received
        self._sock = None
        self._packet_id = 0
        self._acknowledged = {}
        self._writing = asyncio.Lock()
        self._task = None

    async def connect(self, host: str, port: int, context) -> None:
        """Connect, with a clean session."""
        sock = socket.socket()
        sock.connect(socket.getaddrinfo(host, port)[0][-1])
        sock.setsockopt(6, 1, 1)  # TCP_NODELAY
        if context:
            sock = context.wrap_socket(sock, server_hostname=host)
        sock.setblocking(False)
        self._sock = sock
        body = b"\0\x04MQTT\x04\x02\0\x3c" + struct.pack("!H", len(self.thing)) + self.thing
        await self._write(bytes((0x10, len(body))) + body)
        await self._read(4)

    async def subscribe(self, topic: bytes) -> None:
        """Subscribe with QoS 1, without waiting for the SUBACK."""
        self._packet_id += 1
        body = struct.pack("!HH", self._packet_id, len(topic)) + topic + b"\x01"
        await self._write(bytes((0x82,)) + _length(len(body)) + body)

    async def publish(self, topic: bytes, payload: bytes) -> None:
        """Publish with QoS 1, and wait for the acknowledgement."""
        self._packet_id += 1
        packet_id = self._packet_id
        event = self._acknowledged[packet_id] = asyncio.Event()
        body = struct.pack("!H", len(topic)) + topic + struct.pack("!H", packet_id) + payload
        await self._write(bytes((0x32,)) + _length(len(body)) + body)
        await event.wait()

    async def run(self) -> None:
        """Read packets forever."""
        while True:
            kind = (await self._read(1))[0]
            size = shift = 0
            while True:
                byte = (await self._read(1))[0]
                size |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    break
            body = await self._read(size)
            if kind & 0xF0 == 0x30:
                length = body[0] << 8 | body[1]
                start = 2 + length
                if kind & 6:
                    await self._write(b"\x40\x02" + body[start : start + 2])
                    start += 2
                self._task = asyncio.create_task(self.received(body[2 : 2 + length], body[start:]))
            elif kind == 0x40:
                self._acknowledged.pop(body[0] << 8 | body[1]).set()

    async def _read(self, count):
        data = b""
        while len(data) < count:
            piece = self._sock.read(count - len(data))
            if piece == b"":
                raise OSError(104)
            if piece is None:
                await asyncio.sleep_ms(_POLL)
            else:
                data += piece
        return data

    async def _write(self, data):
        async with self._writing:
            while data:
                count = self._sock.write(data)
                if count is None:
                    await asyncio.sleep_ms(_POLL)
                else:
                    data = data[count:]


def _length(size):
    return bytes((size,)) if size < 128 else bytes((size & 127 | 128, size >> 7))


async def _work(options, watch):
    prefix = b"$aws/things/" + options["thing"].encode() + b"/jobs/"
    finished = asyncio.Event()
    done = 0

    async def received(topic, payload):
        nonlocal done
        execution = json.loads(payload).get("execution")
        if not execution:
            return
        if topic.endswith(b"notify-next"):
            await client.publish(prefix + b"start-next", b"{}")
        elif topic.endswith(b"start-next/accepted"):
            done += 1
            watch.job()
            fields = {"status": "SUCCEEDED", "statusDetails": {"steps": str(len(execution["jobDocument"]["steps"]))}}
            await client.publish(prefix + execution["jobId"].encode() + b"/update", json.dumps(fields).encode())
            if done == options["jobs"]:
                finished.set()

    client = Client(options["thing"].encode(), received)
    await client.connect(options["host"], options["port"], connecting.tls(options))
    reader = asyncio.create_task(client.run())
    await client.subscribe(prefix + b"notify-next")
    await client.subscribe(prefix + b"start-next/accepted")
    await client.publish(prefix + b"start-next", b"{}")
    await finished.wait()
    reader.cancel()


def main() -> None:
    """Do jobs, and print the time."""
    watch = connecting.Watch()
    asyncio.run(_work(json.loads(os.getenv("UJOBS_BENCH")), watch))
    watch.show()
