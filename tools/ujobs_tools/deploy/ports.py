"""Serial ports: choosing one, explaining why one does not open, reading a board's output."""

import errno
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import serial
from serial.tools import list_ports

BAUD = 115200
_LOOK = 0.2  # seconds; also between attempts to reopen a port


class BoardError(Exception):
    """A board cannot be reached or does not work as asked. The message is for the user."""


def choose(port: str | None) -> str:
    """Return the given port, or the only port with a USB device.

    port: a device, or a pyserial URL such as socket://HOST:PORT. Raises BoardError if there is no such port,
    ValueError if several boards are connected and the port is None.
    """
    found = _boards()
    if port is None:
        if len(found) == 1:
            return found[0]
        if found:
            raise ValueError(f"several boards are plugged in: choose one with --port: {', '.join(found)}")
        raise BoardError("no board is plugged in")
    if "://" not in port and not os.path.exists(port):
        raise BoardError(
            f"no board at {port}: " + (f"boards are at {', '.join(found)}" if found else "none is plugged in")
        )
    return port


def why_not(port: str) -> str:
    """Return in one line why an existing port does not open."""
    try:
        _open(port).close()
    except ValueError as error:
        return f"{port}: {error}"
    except serial.SerialException as error:
        number = error.errno
    else:
        number = errno.EBUSY  # free again by now
    if number in (errno.EAGAIN, errno.EBUSY):
        return f"{port} is in use by another program: close that program first"
    if number == errno.EACCES:
        return f"{port} is only for its group: add yourself to {Path(port).group()}, and log in again"
    if "://" in port:
        return f"nothing answers at {port}"
    return f"{port} does not open: {os.strerror(number) if number else 'it is not a serial port'}"


def lines(
    port: str, seconds: float | None, opened: serial.SerialBase | None = None, stop: threading.Event | None = None
) -> Iterator[str]:
    """Yield the lines that a board prints, without disturbing it.

    seconds: how long to listen; None means forever. opened: the port, if it is already open; it is closed at the end.
    stop: ends the iteration when set. A port that disappears, as native USB does at a reset, is reopened when it is
    back. Raises BoardError if the port does not open at first.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    line: Any = opened  # pyserial's base class does not declare all methods of its ports
    seen, rest = opened is not None, b""
    try:
        while not (stop and stop.is_set()) and (deadline is None or time.monotonic() < deadline):
            try:
                line = line or _open(port)
                line.timeout = _LOOK
                seen = True
                *whole, rest = (rest + line.read(line.in_waiting or 1)).split(b"\n")
            except OSError as error:  # also pyserial's SerialException
                if not seen:
                    raise BoardError(why_not(port)) from error
                if line:
                    line.close()
                line = None
                time.sleep(_LOOK)
                continue
            for text in whole:
                yield text.decode(errors="replace").rstrip("\r")
    finally:
        if line:
            line.close()


def _open(port: str) -> serial.SerialBase:
    opened: serial.SerialBase = serial.serial_for_url(port, BAUD, exclusive=True)
    return opened


def _boards() -> list[str]:
    return sorted(found.device for found in list_ports.comports() if found.vid is not None)
