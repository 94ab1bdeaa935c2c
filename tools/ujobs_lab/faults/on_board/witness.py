"""`Witness`: what really happened on a board, kept where no power cut reaches it, and what of it was wrong.

It reads the journal's record by its documented layout, without the library's help. Runs on MicroPython only.
"""

import binascii
import struct

from board import FLASH, Board, PowerCut

_RECORD = "<2sBBqIIIB"
_HEAD = struct.calcsize(_RECORD)
_STATES = ("", "IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED")


def read(name: str) -> bytes:
    """The content of a file on flash, b"" when there is none."""
    try:
        with open(FLASH + name, "rb") as file:
            return file.read()
    except OSError:
        return b""


def read_record() -> "tuple[str, str, int]":
    """The job id, status and attempt in the journal's record; empty ones when there is none that is sound."""
    data = read("/ujobs-journal/record")
    if len(data) < _HEAD or struct.pack("<I", binascii.crc32(data[:-4])) != data[-4:]:
        return "", "", 0
    _, state, attempt, _, _, _, _, _ = struct.unpack(_RECORD, data[:_HEAD])
    return data[_HEAD:-4].decode(), _STATES[state & 0x7F], attempt


class Witness:
    """wrong: texts. starts: of handlers, by job id. effects: how often each (job id, step) was done. forgetful: the
    journal was damaged on purpose, so that jobs may run again."""

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
        """Before the board's program starts: see what the flash says."""
        self._running = None
        self._now = set()
        job_id, status, _ = read_record()
        if status not in ("", "IN_PROGRESS"):
            self._finished[job_id] = status

    def started(self, job) -> None:
        """A handler's first instruction."""
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
        """A handler's last instruction."""
        self._running = None

    def effect(self, job_id: str, step: int = 0) -> None:
        """A handler does what a job is for."""
        self._alive()
        key = (job_id, step)
        self.effects[key] = self.effects.get(key, 0) + 1
        if key in self._checkpoints:
            self.wrong.append("%s does step %d again, which was checkpointed" % key)

    def checkpointed(self, job_id: str, step: int) -> None:
        """job.save() has returned after this step."""
        self._alive()
        self._checkpoints.add((job_id, step))

    def deposit(self, job_id: str, step: int) -> None:
        """An effect that is itself in flash: done exactly once, however often a handler gets here."""
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
    """Put a file on flash, whole or not at all."""
    import os

    with open(FLASH + name + ".tmp", "w") as file:
        file.write(text)
    os.rename(FLASH + name + ".tmp", FLASH + name)
