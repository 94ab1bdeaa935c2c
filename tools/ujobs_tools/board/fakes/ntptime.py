"""`ntptime` for the virtual board. Like micropython-lib's, it accepts any 48 bytes: zeros, refusals and any year.

Runs on MicroPython only. Its requests go to the time server in `time_server`.
"""

import board_socket as socket
import machine
import real_time

host = "pool.ntp.org"
timeout = 1

_TO_1970 = 2208988800  # seconds from NTP's epoch to 1970
_ERA = 1 << 32  # seconds; times before 2024 are of the next era
_EARLIEST = 3913056000


def time() -> int:
    """Return the server's time as seconds since 2000-01-01. Raises OSError if it does not answer."""
    question = bytearray(48)
    question[0] = 0x1B
    address = socket.getaddrinfo(host, 123)[0][-1]
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.settimeout(timeout)
        sock.sendto(question, address)
        answer = sock.recv(48)
    finally:
        sock.close()
    seconds = int.from_bytes(answer[40:44], "big")
    if seconds < _EARLIEST:
        seconds += _ERA
    return seconds - _TO_1970 - real_time.EPOCH


def settime() -> None:
    """Set the board's clock from the time server."""
    year, month, day, hour, minute, second, weekday, _ = real_time.to_tuple(time())
    machine.RTC().datetime((year, month, day, weekday, hour, minute, second, 0))
