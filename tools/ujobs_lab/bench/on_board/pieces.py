"""Pieces of the work on a job, one at a time and many times over, by ujobs and by hand. Runs on MicroPython only.

Options: who, "ujobs" or "by hand"; piece, its name below; times, how often, the first not timed; document, of a job;
journal, a folder of the host.
"""

import asyncio
import gc
import json
import os
import time

import scripted
import vfs

from micropython import const

_BLOCK = const(4096)
_BLOCKS = const(16)
_PREFIX = scripted.PREFIX
_TOPICS = (
    _PREFIX + b"notify-next", _PREFIX + b"start-next/accepted", _PREFIX + b"kiln-7-job/update/accepted", b"measured/7"
)
_DETAILS = {"steps": "12", "result": "done"}


class _Flash:
    # MicroPython's block device, of the extended kind that littlefs needs, with as little work as can be.
    def __init__(self):
        self._content = memoryview(bytearray(_BLOCK * _BLOCKS))

    def readblocks(self, block, buffer, offset=0):
        begin = block * _BLOCK + offset
        buffer[:] = self._content[begin : begin + len(buffer)]

    def writeblocks(self, block, buffer, offset=0):
        begin = block * _BLOCK + offset
        self._content[begin : begin + len(buffer)] = buffer

    def ioctl(self, operation, argument):
        return {4: _BLOCKS, 5: _BLOCK}.get(operation, 0)


def _reply(document):
    execution = {
        "jobId": "kiln-7-job", "status": "IN_PROGRESS", "queuedAt": 1700000000, "startedAt": 1700000001,
        "lastUpdatedAt": 1700000001, "versionNumber": 2, "executionNumber": 1, "jobDocument": document,
    }
    return json.dumps({"clientToken": "18a7f", "timestamp": 1700000001, "execution": execution}).encode()


def _of_ujobs(piece, document, directory):
    from ujobs import protocol

    if piece == "collect garbage":
        return _collect()
    if piece == "classify four topics":
        return lambda: [protocol.classify(_PREFIX, topic) for topic in _TOPICS]
    if piece == "build an update":
        return lambda: (
            protocol.topic(_PREFIX, protocol.UPDATE, "kiln-7-job"),
            protocol.update(protocol.SUCCEEDED, _DETAILS, 2, 1, client_token="18a7f"),
        )
    reply = _reply(document)
    if piece == "parse a reply":
        return lambda: protocol.execution(protocol.parse(reply))
    from ujobs.journal import Journal

    if piece == "write the journal, on littlefs":
        flash = _Flash()
        vfs.VfsLfs2.mkfs(flash)
        vfs.mount(vfs.VfsLfs2(flash), "/flash")
        directory = "/flash/journal"
    journal = Journal(directory)
    execution = protocol.execution(protocol.parse(reply))
    journal.begin(execution, 1)
    if piece == "run a handler":
        return _handler(journal, execution)
    return lambda: journal.set_version(journal.version + 1)


def _collect():
    # With in memory what a board has there.
    from ujobs.agent import Agent
    from ujobs.link import Link

    agent = Agent("thing", link=Link("thing", "host"), directory="/tmp")
    return lambda: gc.collect() and agent


def _handler(journal, execution):
    from ujobs.agent import Agent
    from ujobs.job import Job
    from ujobs.link import Link

    client = Agent("thing", link=Link("thing", "host"), directory="/tmp").client
    loop = asyncio.get_event_loop()

    async def handler(job):
        return {"steps": "12"}

    return lambda: loop.run_until_complete(Job(client, journal, execution.document, 10, 200).run(handler, 60))


def _by_hand(piece, document, directory):
    if piece == "classify four topics":
        return lambda: [topic.endswith(b"notify-next") or topic.endswith(b"start-next/accepted") for topic in _TOPICS]
    if piece == "build an update":
        return lambda: (
            _PREFIX + b"kiln-7-job" + b"/update",
            json.dumps({"status": "SUCCEEDED", "statusDetails": _DETAILS}),
        )
    reply = _reply(document)
    return lambda: json.loads(reply).get("execution")


def main() -> None:
    """Do the piece, and print how long it took how many times, which leaves out the first."""
    options = json.loads(os.getenv("UJOBS_BENCH"))
    do = (_of_ujobs if options["who"] == "ujobs" else _by_hand)(
        options["piece"], options["document"], options["journal"]
    )
    do()
    times = options["times"] - 1
    began = time.ticks_us()
    for _ in range(times):
        do()
    print(json.dumps({"microseconds": time.ticks_diff(time.ticks_us(), began), "times": times}))
