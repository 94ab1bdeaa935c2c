"""`Witness`: records what happened on a board, where no power cut reaches it, and checks it.

It parses the journal's record from its documented layout, without using the library. Runs on MicroPython only.
"""

import binascii
import struct

from board import FLASH, Board, PowerCut

_RECORD = "<2sBBqIIIB"
_HEAD = struct.calcsize(_RECORD)
_STATES = ("", "IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED")


def read(name: str) -> bytes:
    """The content of a file on flash; b"" if it does not exist."""
    try:
        with open(FLASH + name, "rb") as file:
            return file.read()
    except OSError:
        return b""


def read_record() -> "tuple[str, str, int]":
    """The job id, status and attempt in the journal's record; empty values if there is no valid record."""
    data = read("/ujobs-journal/record")
    if len(data) < _HEAD or struct.pack("<I", binascii.crc32(data[:-4])) != data[-4:]:
        return "", "", 0
    _, state, attempt, _, _, _, _, _ = struct.unpack(_RECORD, data[:_HEAD])
    return data[_HEAD:-4].decode(), _STATES[state & 0x7F], attempt


class Witness:
    """wrong: errors in words. starts: of handlers, by job id. effects: number of each (job id, step). forgetful: the
    journal was damaged on purpose, so jobs may run again."""

    def __init__(self, board: Board):
        self._board = board
        self._running = None
        self._now = set()
        self._finished = {}
        self._checkpoints = set()
        self.forgetful = False
        self.wrong = []
        self.starts = {}
        self.effects = {}

    def powered(self) -> None:
        """Read the flash before the board's program starts."""
        self._running = None
        self._now = set()
        job_id, status, _ = read_record()
        if status not in ("", "IN_PROGRESS"):
            self._finished[job_id] = status

    def started(self, job) -> None:
        """Called by a handler's first instruction."""
        self._alive()
        name = job.job_id
        self.starts[name] = self.starts.get(name, 0) + 1
        if self._running:
            self.wrong.append("%s runs beside %s" % (name, self._running))
        if name in self._finished and not self.forgetful:
            self.wrong.append(name + " runs again after its result was journalled")
        if name in self._now:
            self.wrong.append(name + " runs again without a reset")
        if read_record() != (name, "IN_PROGRESS", job.attempt):
            self.wrong.append("%s runs with the record %s" % (name, read_record()))
        self._running = name
        self._now.add(name)

    def ended(self) -> None:
        """Called by a handler's last instruction."""
        self._running = None

    def effect(self, job_id: str, step: int = 0) -> None:
        """Record an effect of a handler."""
        self._alive()
        key = (job_id, step)
        self.effects[key] = self.effects.get(key, 0) + 1
        if key in self._checkpoints:
            self.wrong.append("%s does step %d again, which was checkpointed" % key)

    def checkpointed(self, job_id: str, step: int) -> None:
        """Record that job.save() has returned after this step."""
        self._alive()
        self._checkpoints.add((job_id, step))

    def deposit(self, job_id: str, step: int) -> None:
        """Record an effect that is itself in flash: it happens exactly once, however often the handler runs."""
        self._alive()
        done = read("/effects").decode().split()
        if done != [job_id, str(step + 1)]:
            if step and done != [job_id, str(step)]:
                self.wrong.append("%s is at step %d and has deposited %s" % (job_id, step, done))
            write("/effects", "%s %d" % (job_id, step + 1))

    def _alive(self):
        if self._board.power.off:
            raise PowerCut


def write(name: str, text: str) -> None:
    """Write a file to flash, completely or not at all."""
    import os

    with open(FLASH + name + ".tmp", "w") as file:
        file.write(text)
    os.rename(FLASH + name + ".tmp", FLASH + name)
