"""The time server of the virtual board: a UDP socket to port 123 ends here, and the host's clock tells the time.

Runs on MicroPython only. The board's option --ntp says how it answers: "right", "silent", "zeros", "kiss" (a
kiss-o'-death, with which a busy server refuses), "year" (thirty years ahead), "foreign" (an answer to no question).
"""

import real_time

PORT = 123
ADDRESS = ("192.0.2.123", PORT)  # of a block for documentation: nothing else is there

_TO_1970 = 2208988800
_THIRTY_YEARS = 946684800
_AGAIN = 11  # EAGAIN
_TIMED_OUT = 116  # ETIMEDOUT as newlib numbers it


def answer(question: bytes, kind: str) -> bytes:
    """Return the packet that answers a question, empty for silence."""
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
    """A UDP socket on which only the time server is heard. kind: how it answers."""

    def __init__(self, kind: str):
        self._kind = kind
        self._waiting = []
        self._blocking = True

    def setblocking(self, flag: bool) -> None:
        """Whether recv() waits."""
        self._blocking = flag

    def settimeout(self, seconds: "float | None") -> None:
        """How long recv() waits; nothing comes later, so it does not."""
        self._blocking = seconds != 0

    def sendto(self, data: bytes, address: tuple) -> int:
        """Send a packet."""
        if address[1] == PORT:
            found = answer(data, self._kind)
            if found:
                self._waiting.append(found)
        return len(data)

    def recv(self, size: int) -> bytes:
        """Receive a packet. Raises OSError when none has come."""
        if not self._waiting:
            raise OSError(_TIMED_OUT if self._blocking else _AGAIN)
        return self._waiting.pop(0)[:size]

    def close(self) -> None:
        """Nothing is held."""
