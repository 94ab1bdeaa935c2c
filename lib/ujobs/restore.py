"""After a reset: the record that is in flash, and the cause of the reset. Imported only when needed."""

import struct
from binascii import crc32

import ujson

from .journal import FORMAT, STATES
from .link import log

# Neither is in a .mpy at -O2: its compiler knows const, and types are for type checkers only.
if __debug__:
    from micropython import const
_TYPING = const(0)
if _TYPING:
    from .journal import Journal

_HEAD = const(25)  # bytes of FORMAT
_SOUND = const(0x2144DF1C)  # the CRC-32 of anything that ends with its own CRC-32, little endian


def load(journal: "Journal") -> None:
    """Read the record in flash. A damaged one is dropped, with a line on the console."""
    data = journal._read("record")
    if not data:
        return
    if len(data) < _HEAD + 4 or crc32(data) != _SOUND or data[:2] != b"J1":
        log("the job record is damaged: dropped")
        return
    (
        _, state, journal.attempt, journal.execution_number, journal.version, journal.queued_at, details_crc, length
    ) = struct.unpack(FORMAT, data[:_HEAD])
    journal.job_id = data[_HEAD : _HEAD + length].decode()
    journal.status = STATES[state & 0x7F]
    journal.acknowledged = state > 0x7F
    journal._short = data = data[_HEAD + length : -4]
    if details_crc and not journal.acknowledged:
        journal._crc = details_crc
        data = journal._read("details")
        if crc32(data) != details_crc:
            data = b'{"reason": "the status details were lost"}'
    if data:
        journal.details = ujson.loads(data)


def reset_cause() -> str:
    """Return the name of the last reset's cause, such as WDT_RESET; its number if it has no name here."""
    try:
        import machine

        cause = machine.reset_cause()
    except (ImportError, AttributeError):
        return "cause unknown"  # no board
    # The numbers differ from port to port; the names do not.
    for name in dir(machine):
        if name.endswith("_RESET") and getattr(machine, name) == cause:
            return name
    return str(cause)
