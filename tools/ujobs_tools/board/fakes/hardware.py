"""Common base of the fakes: the supervisor's parameters for this boot, and the pipe to the supervisor.

Runs on MicroPython only. The parameters are a JSON object in the environment variable UJOBS_BOARD; its members are
those of `ujobs_tools.board.process.Start`. Messages are lines, listed in `ujobs_tools.board.supervisor`.
"""

import json
import os
import time

settings: dict = json.loads(os.getenv("UJOBS_BOARD") or "{}")
_messages = open(settings["message_fd"], "wb")  # noqa: SIM115
_radio = open(settings["radio_fd"], "rb")  # noqa: SIM115


def tell(message: str) -> None:
    """Send one line to the supervisor; it must be under 4096 bytes, so that the pipe transfers it in one piece."""
    _messages.write(message.encode() + b"\n")


def stop(message: str) -> None:
    """Request a reset or sleep; never returns.

    The supervisor kills this process, so no `finally` or `except` of the program runs, as on a real board.
    """
    tell(message)
    while True:
        time.sleep(1)


def radio_up() -> bool:
    """Return whether the access point is on."""
    _radio.seek(0)
    return _radio.read(1) == b"1"
