"""Pieces of the work on a job, one at a time and many times over, by ujobs and by hand. Runs on MicroPython only.

Options: who, "ujobs" or "by hand"; piece, its name below; times, how often, the first not timed; document, of a job;
journal, a folder of the host.
"""

import gc
import json
import os
import time

import vfs

from micropython import const

_BLOCK = const(4096)
_BLOCKS = const(16)


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
    from ujobs import agent
    from ujobs.checks import check_execution

    if piece == "collect garbage":
        return _collect()
    reply = _reply(document)
    if piece == "parse a reply":
        return lambda: check_execution(agent.parse(reply)["execution"])
    from ujobs.journal import Journal

    if piece == "write the journal, on littlefs":
        flash = _Flash()
        vfs.VfsLfs2.mkfs(flash)
        vfs.mount(vfs.VfsLfs2(flash), "/flash")
        directory = "/flash/journal"
    journal = Journal(directory)
    journal.begin(check_execution(agent.parse(reply)["execution"]), 1)
    return lambda: journal.set_version(journal.version + 1)


def _collect():
    # With in memory what a board has there.
    from ujobs.agent import Agent
    from ujobs.link import Link

    agent = Agent("thing", link=Link("thing", "host"), directory="/tmp")
    return lambda: gc.collect() and agent


def _by_hand(piece, document, directory):
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
