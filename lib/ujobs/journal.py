"""`Journal`: the one small record in flash that says which job execution is at hand and how far it got.

It knows nothing of MQTT. The record is at most 128 bytes, which littlefs keeps inside the directory block: rewriting it
costs about a tenth of an erase. A handler's checkpoint, and status details that do not fit into the record, are files
of their own, written before the record that makes them count. Every write goes to a temporary file that is then
renamed, so that a power cut leaves the old state or the new one. A write that fails after the handler has started is
logged, and what it should have recorded is held in memory.

Record, little endian: magic "J1", state, attempt, execution number (int64), version number, queuedAt, CRC-32 of the
file of status details (0: none), length of the job id; job id; status details as JSON; CRC-32 of all before.
"""

import os
import struct
from binascii import crc32

import ujson
from micropython import const

from . import protocol

_FORMAT = "<2sBBqIIIB"
_HEAD = const(25)
_MOST = const(128)  # bytes of the record
_STATES = ("", protocol.IN_PROGRESS, protocol.SUCCEEDED, protocol.FAILED, protocol.REJECTED)
_ACKNOWLEDGED = const(0x80)


class Journal:
    """The record of the execution at hand, read from flash when made.

    directory: where its files are kept; made if missing. Its name should not be that of a module: MicroPython takes a
    folder in the root for a package, and would then find `/ujobs` instead of the library.

    job_id: empty when there never was a job; execution_number, version (the last known version number of the
    execution), queued_at: as the service gave them; attempt: how often the handler was started, from 1; status:
    IN_PROGRESS, or the result; acknowledged: the service has the result.
    """

    def __init__(self, directory: str = "/ujobs-journal"):
        self._directory = directory
        self.job_id = ""
        self.execution_number = self.version = self.queued_at = self.attempt = 0
        self.status = ""
        self.acknowledged = True
        self._details: "dict | None" = None
        self._short = b""  # status details within the record
        self._details_crc = 0
        self._load()

    def begin(self, execution: protocol.Execution, attempt: int) -> None:
        """Record that a handler is about to run. Raises OSError when the flash does not take it."""
        self.job_id = execution.job_id
        self.execution_number = execution.execution_number
        self.version = execution.version_number
        self.queued_at = execution.queued_at & 0xFFFFFFFF
        self.attempt = min(attempt, 255)
        self.status = protocol.IN_PROGRESS
        self.acknowledged = False
        self._details = None
        self._short = b""
        self._details_crc = 0
        self._write("record", self._record())

    def set_version(self, version: int) -> None:
        """Record the version number the service now holds."""
        self.version = version
        self._try("record", self._record())

    def finish(self, status: str, details: "dict | None") -> None:
        """Record a result: from here a power cut cannot lose it."""
        self.status = status
        self._details = details
        self._short = ujson.dumps(details).encode() if details else b""
        self._details_crc = 0
        record = self._record()
        if len(record) > _MOST:
            data = self._short
            self._short = b""
            if self._try("details", data):
                self._details_crc = crc32(data)
            record = self._record()
        self._try("record", record)

    def details(self) -> "dict | None":
        """Return the status details of the result, None when there are none."""
        if self._details is None and (self._short or self._details_crc):
            data = self._short or self._read("details")
            if data is None or (self._details_crc and crc32(data) != self._details_crc):
                self._details = {"reason": "the status details were lost"}
            else:
                self._details = ujson.loads(data)
        return self._details

    def acknowledge(self) -> None:
        """Record that the service has the result, or that the execution ended without one from here. The identity is
        kept, so that this execution is known should it be handed out once more."""
        self.acknowledged = True
        self._details = None
        self._short = b""
        self._try("record", self._record())

    def holds(self, execution: protocol.Execution) -> bool:
        """Return whether this execution is the one recorded. A job made anew with the id of a deleted one is not: it
        was queued at another time."""
        return (self.job_id, self.execution_number, self.queued_at) == (
            execution.job_id, execution.execution_number, execution.queued_at & 0xFFFFFFFF
        )

    def save(self, value: "protocol.Any") -> None:
        """Keep a handler's checkpoint, anything JSON can hold; None removes it. Raises OSError."""
        data = ujson.dumps(value).encode()
        # The identity goes into the check, so that a checkpoint never outlives its execution.
        self._write("checkpoint", struct.pack("<I", crc32(data, crc32(self._identity()))) + data)

    def checkpoint(self) -> "protocol.Any":
        """Return the last checkpoint saved for this execution, None when there is none."""
        data = self._read("checkpoint")
        if data is None or len(data) < 4:
            return None
        if struct.unpack("<I", data[:4])[0] != crc32(data[4:], crc32(self._identity())):
            return None
        return ujson.loads(data[4:])

    def _identity(self):
        return struct.pack("<qI", self.execution_number, self.queued_at) + self.job_id.encode()

    def _load(self):
        data = self._read("record")
        if data is None:
            return
        if len(data) < _HEAD + 4 or crc32(data[:-4]) != struct.unpack("<I", data[-4:])[0]:
            print("ujobs: the job record in flash is damaged and was dropped")
            return
        magic, state, attempt, number, version, queued, crc, length = struct.unpack(_FORMAT, data[:_HEAD])
        if magic != b"J1" or state & 0x7F >= len(_STATES):
            print("ujobs: the job record in flash is of another version and was dropped")
            return
        self.job_id = data[_HEAD : _HEAD + length].decode()
        self.execution_number = number
        self.version = version
        self.queued_at = queued
        self.attempt = attempt
        self.status = _STATES[state & 0x7F]
        self.acknowledged = bool(state & _ACKNOWLEDGED)
        self._details_crc = crc
        self._short = data[_HEAD + length : -4]

    def _record(self):
        job_id = self.job_id.encode()
        state = _STATES.index(self.status) | (_ACKNOWLEDGED if self.acknowledged else 0)
        data = struct.pack(
            _FORMAT, b"J1", state, self.attempt, self.execution_number, self.version & 0xFFFFFFFF,
            self.queued_at & 0xFFFFFFFF, self._details_crc, len(job_id)
        ) + job_id + self._short
        return data + struct.pack("<I", crc32(data))

    def _try(self, name, data):
        # Once a handler has run, a flash that takes nothing more is no reason to stop: memory still knows.
        try:
            self._write(name, data)
            return True
        except OSError as error:
            print("ujobs: the journal's", name, "was not written:", error)
            return False

    def _write(self, name, data):
        name = self._directory + "/" + name
        try:
            file = open(name + ".tmp", "wb")
        except OSError as error:
            try:
                os.mkdir(self._directory)
            except OSError:
                # It is there: what was wrong is what open() says.
                raise error
            file = open(name + ".tmp", "wb")
        with file:
            file.write(data)
        os.rename(name + ".tmp", name)

    def _read(self, name):
        try:
            with open(self._directory + "/" + name, "rb") as file:
                return file.read()
        except OSError:
            return None
