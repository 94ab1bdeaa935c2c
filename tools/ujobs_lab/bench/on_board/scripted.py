"""The service's side of AWS IoT Jobs in canned packets, reachable without a network in two ways: as the stream of
asyncio.open_connection, and as the blocking socket of umqtt.simple. Runs on MicroPython only.

Everything is allocated at the start and packets are patched in place, so that only the measured program allocates.
"""

import asyncio
import json
import sys

from micropython import const

_DELAY = const(5)  # milliseconds until a reply arrives
_LARGEST_REQUEST = const(1024)
PREFIX = b"$aws/things/thing/jobs/"
_JOB_ID = b"job-00000"
_TOKEN = b'"token                 '
_BLANK = b" " * len(_TOKEN)


def _publish(topic, payload):
    body = len(topic).to_bytes(2, "big") + topic + payload
    header = bytearray((0x30,))
    size = len(body)
    while size > 127:
        header.append(size & 127 | 128)
        size >>= 7
    header.append(size)
    return bytearray(bytes(header) + body)


class _Packet:
    # token, job_ids: the offsets in `data` of the client token (-1: none) and of the job ids.
    def __init__(self, topic, payload):
        self.data = _publish(topic, json.dumps(payload).encode().replace(b'"token"', _TOKEN))
        text = bytes(self.data)
        self.token = text.find(_TOKEN)
        self.job_ids = [at for at in range(len(text)) if text[at : at + len(_JOB_ID)] == _JOB_ID]
        self.view = memoryview(self.data)


class Script:
    """document: of each job. jobs: number of pending ones. silence: polls without a reply in a row."""

    def __init__(self, document: dict):
        execution = {
            "jobId": _JOB_ID.decode(), "status": "QUEUED", "queuedAt": 1700000000, "lastUpdatedAt": 1700000000,
            "versionNumber": 1, "executionNumber": 1, "jobDocument": document,
        }
        started = dict(execution)
        started.update({"status": "IN_PROGRESS", "startedAt": 1700000001, "versionNumber": 2})
        times = {"clientToken": "token", "timestamp": 1700000001}
        accepted = PREFIX + b"start-next/accepted"
        self._started = _Packet(accepted, dict(times, execution=started))
        self._nothing = _Packet(accepted, times)
        self._updated = _Packet(PREFIX + _JOB_ID + b"/update/accepted", times)
        self._next = _Packet(PREFIX + b"notify-next", {"timestamp": 1700000001, "execution": execution})
        self._idle = _Packet(PREFIX + b"notify-next", {"timestamp": 1700000001})
        self._granted = bytearray(b"\x90\x03\0\0\x01")
        self._request = bytearray(_LARGEST_REQUEST)
        self._length = 0
        self._number = 0
        self.replies = []
        self.jobs = self.silence = 0

    def reply(self):
        """Remove and return the next packet for the board; None if there is none."""
        if self.replies:
            self.silence = 0
            return self.replies.pop(0)
        self.silence += 1
        return None

    def queue(self, jobs: int) -> None:
        """Add so many pending jobs, and notify the board."""
        self.jobs += jobs
        self._announce()

    def written(self, data) -> None:
        """Receive bytes from the board, possibly only a part of a packet."""
        self._request[self._length : self._length + len(data)] = data
        self._length += len(data)
        begin = size = shift = 0
        while True:
            begin += 1
            if begin >= self._length:
                return
            size |= (self._request[begin] & 127) << shift
            shift += 7
            if self._request[begin] < 128:
                break
        if self._length <= begin + size:
            return
        self._length = 0
        self._received(self._request[0] & 0xF0, bytes(memoryview(self._request)[begin + 1 : begin + 1 + size]))

    def _received(self, kind, body):
        if kind == 0x10:
            self.replies.append(b"\x20\x02\0\0")
        elif kind == 0x80:
            self._granted[2:4] = body[:2]
            self.replies.append(memoryview(self._granted))
        elif kind == 0xC0:
            self.replies.append(b"\xd0\0")
        elif kind == 0x30 and body.find(b"/start-next", 0, 80) > 0:
            self._answer(self._started if self.jobs else self._nothing, body)
        elif kind == 0x30 and body.find(b"/update", 0, 80) > 0:
            self._answer(self._updated, body)
            if body.find(b'"IN_PROGRESS"') < 0:
                self.jobs -= 1
                self._number += 1
                self._announce()

    def _answer(self, packet, request):
        begin = request.find(b'"clientToken"')
        token = b'""'
        if begin > 0:
            begin = request.find(b'"', begin + 13)
            token = request[begin : request.find(b'"', begin + 1) + 1]
        at = packet.token
        packet.data[at : at + len(_TOKEN)] = _BLANK
        packet.data[at : at + len(token)] = token
        self._send(packet)

    def _announce(self):
        self._send(self._next if self.jobs else self._idle)

    def _send(self, packet):
        for at in packet.job_ids:
            packet.data[at : at + len(_JOB_ID)] = b"job-%05d" % self._number
        self.replies.append(packet.view)


class _Raw:
    # The non-blocking socket below the stream.
    def __init__(self, stream):
        self._stream = stream

    def readinto(self, view):
        return self._stream.take(view)

    def setsockopt(self, level, option, value):
        pass

    def close(self):
        self._stream.close()


class Stream:
    """What asyncio.open_connection returns: reader and writer in one object."""

    def __init__(self, script: Script):
        self.s = _Raw(self)
        self.out_buf = b""
        self._script = script
        self._reply = b""

    async def open_connection(self, host, port, ssl=None, server_hostname=None):
        await asyncio.sleep_ms(_DELAY)
        self._reply = b""
        return self, self

    def write(self, data):
        self._script.written(data)

    async def drain(self):
        await asyncio.sleep_ms(0)

    async def readinto(self, view):
        while not self._reply:
            await asyncio.sleep_ms(_DELAY)
            self._reply = self._script.reply()
        return self.take(view)

    def take(self, view):
        if not self._reply:
            return None
        count = min(len(view), len(self._reply))
        view[:count] = self._reply[:count]
        self._reply = self._reply[count:]
        return count

    def close(self):
        self._script.replies.clear()


class Socket:
    """What socket.socket() returns to umqtt.simple."""

    def __init__(self, script: Script):
        self._script = script
        self._reply = b""

    def settimeout(self, seconds):
        pass

    setblocking = settimeout
    connect = settimeout

    def write(self, data, length=None):
        if isinstance(data, str):
            data = data.encode()
        self._script.written(data if length is None else memoryview(data)[:length])

    def read(self, count):
        if not self._reply:
            self._reply = self._script.reply()
            if not self._reply:
                return None
        found = bytes(self._reply[:count])
        self._reply = self._reply[count:]
        return found

    def close(self):
        pass


def install(script: Script) -> None:
    """Replace the network, for both ways."""
    stream = Stream(script)
    asyncio.open_connection = stream.open_connection
    connected = Socket(script)

    class Module:
        @staticmethod
        def socket():
            return connected

        @staticmethod
        def getaddrinfo(host, port):
            return (((host, port),),)

    sys.modules["socket"] = Module
