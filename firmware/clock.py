"""The board's clock, set by NTP: TLS checks the dates of certificates against it.

Replies are checked: MicroPython's `ntptime` accepts any 48 bytes, even zeros or the refusal of a busy server. Works
with either epoch of MicroPython's `time`.
"""

import asyncio
import os
import socket
import time

_FIRST_YEAR = 2026  # when this software was made: an earlier time is wrong
_YEARS = 20  # how long it may be in use
_DAY = 86400  # seconds between two synchronisations
_PATIENCE = 2  # seconds to wait for a reply
_LONGEST_PAUSE = 64  # seconds between two requests without a reply
_TO_1970 = 2208988800  # seconds from NTP's epoch, 1900, to 1970
_2036 = 1 << 32  # seconds after which NTP's count wraps around


def plausible() -> bool:
    """Return whether the clock may be right: without a battery, boards start in 2000 or 1970."""
    return _FIRST_YEAR <= time.gmtime()[0] < _FIRST_YEAR + _YEARS


class Clock:
    """Keeps the clock right.

    host: NTP server. link: the ujobs Link, whose `failure` shows that TLS has refused a certificate's dates. answered:
    asyncio.Event, set once the server has replied with the time.
    """

    def __init__(self, host: str, link: object = None):
        self._host = host
        self._link = link
        self.answered = asyncio.Event()

    async def run(self) -> None:
        """Synchronise now, then once a day, and whenever TLS refuses a certificate's dates. Never returns."""
        pause = 1
        while True:
            try:
                _set(await ask(self._host))
                self.answered.set()
                pause = 1
                await self._wait(_DAY)
            except Exception as error:
                print("clock: no time from %s: %s. Next try in %d s" % (self._host, error, pause))
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)

    async def ready(self, seconds: float = 5) -> None:
        """Wait until the time is known; if the clock is plausible without a reply, wait at most so many seconds."""
        waited = 0.0
        while not self.answered.is_set() and (waited < seconds or not plausible()):
            await asyncio.sleep(0.1)
            waited += 0.1

    async def off(self) -> str:
        """Return the difference between the board's clock and the time server's as text."""
        try:
            difference = int(time.time()) + _epoch() - await ask(self._host)
        except (OSError, ValueError) as error:
            return "no time from %s: %s" % (self._host, error)
        return "%+d s" % difference if difference else "right"

    async def _wait(self, seconds):
        known = getattr(self._link, "failure", "")
        while seconds > 0:
            await asyncio.sleep(1)
            seconds -= 1
            failure = getattr(self._link, "failure", "")
            if failure is not known and "validity" in failure:
                return
            known = failure


async def ask(host: str) -> int:
    """Return the time of the NTP server `host` in seconds since 1970.

    Raises OSError without a reply within 2 s, ValueError for a reply that must be wrong (RFC 5905).
    """
    address = socket.getaddrinfo(host, 123)[0][-1]
    # The reply must repeat this random transmit timestamp, which nobody else knows.
    question = b"\x23" + bytes(39) + os.urandom(8)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.sendto(question, address)
        start = time.ticks_ms()
        while time.ticks_diff(time.ticks_ms(), start) < _PATIENCE * 1000:
            try:
                answer = sock.recv(48)
            except OSError:
                answer = b""  # no reply yet
            if len(answer) == 48 and answer[24:32] == question[40:]:
                return read(answer)
            await asyncio.sleep(0.02)
    finally:
        sock.close()
    raise OSError("no answer within %d s" % _PATIENCE)


def read(answer: bytes) -> int:
    """Return the seconds since 1970 from an NTP reply. Raises ValueError with the reason why it must be wrong."""
    if answer[0] & 7 != 4:
        raise ValueError("not the answer of a server")
    if answer[1] == 0:
        # A "kiss-o'-death": the server refuses and gives a four-letter reason.
        raise ValueError("the server refuses: " + "".join([chr(c) for c in answer[12:16] if 32 < c < 127]))
    if answer[0] >> 6 == 3 or answer[1] > 15:
        raise ValueError("the server does not know the time itself")
    seconds = int.from_bytes(answer[40:44], "big")
    if not seconds >> 31:
        seconds += _2036
    seconds -= _TO_1970
    year = _gmtime(seconds)[0]
    if not _FIRST_YEAR <= year < _FIRST_YEAR + _YEARS:
        raise ValueError("the year %d cannot be" % year)
    return seconds


def _epoch():
    # Seconds from 1970 to MicroPython's epoch, which is 2000 on boards.
    return 946684800 if time.gmtime(0)[0] == 2000 else 0


def _gmtime(seconds):
    return time.gmtime(seconds - _epoch())


def _set(seconds):
    import machine

    year, month, day, hour, minute, second, weekday = _gmtime(seconds)[:7]
    machine.RTC().datetime((year, month, day, weekday, hour, minute, second, 0))
