"""Downloads a file over TLS, by a job with ujobs or by a minimal loop. Runs on MicroPython only.

Options: path of the file; collect, whether to measure the heap at every piece, which takes time. For the loop: host,
port, ca, and sha256, whether to compute the SHA-256. For ujobs: those of device_ujobs.py; two jobs must be waiting,
`held`, which does nothing, and `files`.

Prints the microseconds from the first byte until the file is closed, without connection and handshake; the turns of
asyncio's loop in that time; and, with collect, the heap before the download and its peak.
"""

import asyncio
import gc
import hashlib
import json
import os
import socket
import time

import ujobs.flash
from ujobs.agent import Agent

_PIECE = 4096
_REQUEST = b"GET /file HTTP/1.0\r\n\r\n"


class Watch:
    """Measures a download. collect: see above."""

    def __init__(self, collect: bool):
        self.collect = collect
        self.began = None
        self.took = 0
        self.before = self.most = 0
        self.turns = 0

    def count_turns(self) -> None:
        """Count the turns of asyncio's loop from the first byte on."""
        asyncio.core._io_queue = _Turns(asyncio.core._io_queue, self)  # type: ignore[attr-defined]

    def idle(self) -> None:
        gc.collect()
        self.before = gc.mem_alloc()

    def piece(self) -> None:
        if self.began is None:
            self.began = time.ticks_us()
        if self.collect:
            gc.collect()
            self.most = max(self.most, gc.mem_alloc())

    def over(self) -> None:
        self.took = time.ticks_diff(time.ticks_us(), self.began)


class _Turns:
    # Replaces asyncio's I/O queue, which the loop polls once in every turn.
    def __init__(self, queue, watch):
        self._queue = queue
        self._watch = watch

    def __getattr__(self, name):
        return getattr(self._queue, name)

    def wait_io_event(self, delay):
        if self._watch.began is not None and not self._watch.took:
            self._watch.turns += 1
        self._queue.wait_io_event(delay)


def by_loop(options: dict, watch: Watch) -> None:
    """Copy from the socket to the file, and compute the SHA-256 if the options say so."""
    digest = hashlib.sha256() if options["sha256"] else None
    context = server_context(options)
    watch.idle()
    plain = socket.socket()
    plain.connect(socket.getaddrinfo(options["host"], options["port"])[0][-1])
    sock = context.wrap_socket(plain, server_hostname=options["host"])
    sock.write(_REQUEST)
    while sock.readline() != b"\r\n":
        pass
    buffer = memoryview(bytearray(_PIECE))
    with open(options["path"], "wb") as file:
        while True:
            count = sock.readinto(buffer)
            if not count:
                break
            watch.piece()
            file.write(buffer[:count])
            if digest:
                digest.update(buffer[:count])
    watch.over()
    sock.close()


def server_context(options: dict):
    """A TLS context that verifies the server."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_mode = ssl.CERT_REQUIRED
    with open(options["ca"], "rb") as file:
        context.load_verify_locations(cadata=file.read())
    return context


def by_job(options: dict, watch: Watch) -> None:
    """Run the job `files`, which also checks the SHA-256 of the written file."""

    class Part(ujobs.flash.Part):
        def write(self, offset, data):
            watch.piece()
            super().write(offset, data)

        def install(self):
            super().install()
            watch.over()

    ujobs.flash.Part = Part
    ca, cert, key = [options["certificates"] + "/" + name for name in ("ca.der", "cert.der", "key.der")]
    agent = Agent(
        options["thing"], options["host"], cert, key, ca, port=options["port"], directory=options["journal"]
    )
    agent.use("files", roots=(options["path"].rpartition("/")[0],))

    @agent.on("held")
    async def held(job):
        watch.idle()
        watch.count_turns()

    asyncio.run(agent.run(until_idle=True))


def main() -> None:
    """Download the file, and print the result."""
    options = json.loads(os.getenv("UJOBS_BENCH"))
    watch = Watch(options["collect"])
    if "certificates" in options:
        by_job(options, watch)
    else:
        by_loop(options, watch)
    print(json.dumps({
        "microseconds": watch.took, "before": watch.before, "most": watch.most, "turns": watch.turns,
    }))
