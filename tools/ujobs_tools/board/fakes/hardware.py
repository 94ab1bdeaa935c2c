"""What the fakes share: the supervisor's settings for this start, and the pipe back to it.

Runs on MicroPython only. The supervisor passes one JSON object in the environment variable UJOBS_BOARD; its
keys are those of `ujobs_tools.board.process.Start`. Messages back are single lines, listed in
`ujobs_tools.board.supervisor`.
"""

import json
import os
import time

settings: dict = json.loads(os.getenv("UJOBS_BOARD") or "{}")
_messages = open(settings["message_fd"], "wb")  # noqa: SIM115
_radio = open(settings["radio_fd"], "rb")  # noqa: SIM115
_pins = open(settings["pins_fd"], "r+b")  # noqa: SIM115
_PINS = 64


def tell(message: str) -> None:
    """Send one line (well under 4096 bytes, so that the pipe takes it whole) to the supervisor."""
    _messages.write(message.encode() + b"\n")


def stop(message: str) -> None:
    """Ask the supervisor for a reset or sleep; never returns.

    The supervisor kills this process, so no `finally` and no `except` of the program runs, as on silicon.
    """
    tell(message)
    while True:
        time.sleep(1)


def radio_up() -> bool:
    """True while the supervisor lets the access point be heard."""
    _radio.seek(0)
    return _radio.read(1) == b"1"


def level(pin: int) -> int:
    """The level of a pin: what the program drives it to, else what is attached to it gives."""
    for place in (pin, _PINS + pin):
        _pins.seek(place)
        found = _pins.read(1)
        if found in (b"1", b"2"):
            return found[0] - 49
    return 0


def drive(pin: int, level: int) -> None:
    """The program sets the level of a pin."""
    _pins.seek(pin)
    _pins.write(b"2" if level else b"1")
