"""`Journal`: the one small record in flash that says which job execution is at work and how far it got.

It knows nothing of MQTT. The record is at most 128 bytes, which littlefs keeps inside the directory block: rewriting it
costs about a tenth of an erase. A handler's checkpoint, and status details that do not fit into the record, are files
of their own, written before the record that refers to them. Every file is written under a temporary name and then
renamed, so that a power cut leaves the old state or the new one. Once a handler has started, a failed write is logged,
and memory holds what it should have recorded.

Record, little endian: magic "J1", state, attempt, execution number (int64), version number, queuedAt, CRC-32 of the
file of status details (0: none), length of the job id; job id; status details as JSON; CRC-32 of all before.
"""

import os
import struct
from binascii import crc32

import ujson

from . import lend
from .link import log

# Neither is in a .mpy at -O2: its compiler knows const, and types are for type checkers only.
if __debug__:
    from micropython import const
_TYPING = const(0)
if _TYPING:
    from typing import Any

FORMAT = "<2sBBqIIIB"
_MOST = const(128)  # bytes of the record
STATES = ("", "IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED")


class Journal:
    """The record of the execution at work, read from flash when made.

    directory: where its files are; created if missing. Its name should not be that of a module: MicroPython treats a
    folder in the root as a package, and would then find `/ujobs` instead of the library.

    job_id: empty when there never was a job; execution_number, version (the last known version number of the
    execution), queued_at: as the service gave them; attempt: how often the handler was started, from 1; status:
    IN_PROGRESS, or the result; details: the result's status details, until the service has them; acknowledged: the
    service has the result.
    """

    def __init__(self, directory: str = "/ujobs-journal"):
        self._directory = directory
        self.job_id = self.status = ""
        self.execution_number = self.version = self.queued_at = self.attempt = 0
        self.acknowledged = True
        self.details: "dict | None" = None
        self._short = b""  # status details within the record
        self._crc = 0  # of the file of status details; 0: none
        lend("restore", "load", self)

    def holds(self, execution: dict) -> bool:
        """Return whether this execution, as the service describes it, is the one recorded. A job created again with the
        id of a deleted one is not: it was queued at another time."""
        return (self.job_id, self.execution_number, self.queued_at) == (
            execution["jobId"], execution["executionNumber"], execution["queuedAt"] & 0xFFFFFFFF
        )

    def begin(self, execution: dict, attempt: int) -> None:
        """Record that a handler is about to run. Raises OSError when the flash does not accept it."""
        self.job_id = execution["jobId"]
        self.execution_number = execution["executionNumber"]
        self.version = execution["versionNumber"]
        self.queued_at = execution["queuedAt"] & 0xFFFFFFFF
        self.attempt = min(attempt, 255)
        self._hold(STATES[1], None)
        self._write("record", self._record())

    def set_version(self, version: int) -> None:
        """Record the version number that the service now has."""
        self.version = version
        self._try("record", self._record())

    def finish(self, status: str, details: "dict | None") -> None:
        """Record a result: from here on a power cut cannot lose it."""
        self._hold(status, details)
        record = self._record()
        if len(record) > _MOST:
            data, self._short = self._short, b""
            # Also of what was not written: a reset then says that they were lost.
            self._try("details", data)
            self._crc = crc32(data)
            record = self._record()
        self._try("record", record)

    def acknowledge(self) -> None:
        """Record that the service has the result, or that the execution ended without one from here. The identity is
        kept, so that this execution is recognised should it be handed out again."""
        self._hold(self.status, None, True)
        self._try("record", self._record())

    def save(self, value: "Any") -> None:
        """Keep a handler's checkpoint, anything JSON can hold; None removes it. Raises OSError, ValueError."""
        data = ujson.dumps(value).encode()
        # MicroPython writes what JSON cannot hold as well: notice it now, not after a reset.
        ujson.loads(data)
        self._write("checkpoint", self._checksum(data) + data)

    def checkpoint(self) -> "Any":
        """Return the last checkpoint saved for this execution, None when there is none."""
        data = self._read("checkpoint")
        if data[:4] == self._checksum(data[4:]):
            return ujson.loads(data[4:])
        return None

    def _checksum(self, data):
        # The identity goes into the check, so that a checkpoint never outlives its execution.
        identity = struct.pack("<qI", self.execution_number, self.queued_at) + self.job_id.encode()
        return struct.pack("<I", crc32(data, crc32(identity)))

    def _hold(self, status, details, acknowledged=False):
        self.acknowledged = acknowledged
        self.status = status
        self.details = details
        self._short = ujson.dumps(details).encode() if details else b""
        self._crc = 0

    def _record(self):
        job_id = self.job_id.encode()
        data = struct.pack(
            FORMAT, b"J1", STATES.index(self.status) | self.acknowledged << 7, self.attempt, self.execution_number,
            self.version & 0xFFFFFFFF, self.queued_at, self._crc, len(job_id)
        ) + job_id + self._short
        return data + struct.pack("<I", crc32(data))

    def _try(self, name, data):
        # Once a handler has run, continue even if the flash accepts no more writes: memory holds the state.
        try:
            self._write(name, data)
        except OSError as error:
            log("the journal's", name, "not written:", error)

    def _write(self, name, data):
        name = self._directory + "/" + name
        new = name + ".tmp"
        try:
            file = open(new, "wb")
        except OSError:
            # Only now: to try it before each write would take two percent of a job's instructions.
            try:
                os.mkdir(self._directory)
            except OSError:
                pass  # it is there; open() says why not
            file = open(new, "wb")
        with file:
            file.write(data)
        os.rename(new, name)

    def _read(self, name):
        try:
            with open(self._directory + "/" + name, "rb") as file:
                return file.read()
        except OSError:
            return b""
