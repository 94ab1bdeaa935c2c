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
