"""The time server of the virtual board: it answers UDP packets to port 123 with the host's time.

Runs on MicroPython only. The board's option --ntp selects its behaviour: "right", "silent", "zeros", "kiss" (the
kiss-o'-death of a busy server), "year" (thirty years ahead), "foreign" (a reply to another request).
"""

import real_time

PORT = 123
ADDRESS = ("192.0.2.123", PORT)  # reserved for documentation, so no host has it

_TO_1970 = 2208988800
_THIRTY_YEARS = 946684800
_AGAIN = 11  # EAGAIN
_TIMED_OUT = 116  # ETIMEDOUT in newlib


def answer(question: bytes, kind: str) -> bytes:
    """Return the reply to a request; empty for no reply."""
    seconds = real_time.host_now() + real_time.EPOCH + _TO_1970 + (_THIRTY_YEARS if kind == "year" else 0)
    now = (seconds & 0xFFFFFFFF).to_bytes(4, "big") + bytes(4)
    asked = b"another!" if kind == "foreign" else bytes(question[40:48])
    if kind == "silent":
        return b""
    if kind == "zeros":
        return bytes(48)
    if kind == "kiss":
        return b"\xe4\x00\x06\xec" + bytes(8) + b"RATE" + bytes(8) + asked + now + now
    return b"\x24\x02\x06\xec" + bytes(8) + b"host" + now + asked + now + now


class Datagrams:
    """A UDP socket that reaches only the time server. kind: behaviour of the time server."""

    def __init__(self, kind: str):
        self._kind = kind
        self._waiting = []
        self._timeout: "float | None" = None

    def setblocking(self, flag: bool) -> None:
        """Set whether recv() waits."""
        self._timeout = None if flag else 0

    def settimeout(self, seconds: "float | None") -> None:
        """Set the timeout of recv(). It never waits: a packet that is not here will not come."""
        self._timeout = seconds

    def sendto(self, data: bytes, address: tuple) -> int:
        """Send a packet."""
        if address[1] == PORT:
            found = answer(data, self._kind)
            if found:
                self._waiting.append(found)
        return len(data)

    def recv(self, size: int) -> bytes:
        """Receive a packet. Raises OSError if there is none, RuntimeError where a board would hang for ever."""
        if not self._waiting:
            if self._timeout is None:
                raise RuntimeError("recv() without a timeout never returns")
            raise OSError(_TIMED_OUT if self._timeout else _AGAIN)
        return self._waiting.pop(0)[:size]

    def close(self) -> None:
        """Do nothing: there is nothing to close."""
