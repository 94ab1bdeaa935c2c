"""Checks settings as the board does, with the board's own program, firmware/settings.py."""

import json
import subprocess
import sys
from typing import Any

from ujobs_tools.board.device_files import FIRMWARE, LIBRARY, SHIMS

# Modules of the ESP32 port, built in or frozen: a folder in the root that has the name of one is closed to jobs. The
# check looks for it with `__import__`, which would find this computer's modules.
_MODULES = (
    "aioespnow apa106 array asyncio binascii bluetooth btree builtins cmath collections cryptolib deflate dht ds18x20 "
    "errno esp esp32 espnow flashbdev framebuf gc hashlib heapq inisetup io json machine math micropython mip neopixel "
    "network ntptime onewire os platform random re requests select socket ssl struct sys time tls uasyncio uctypes "
    "upysh vfs webrepl webrepl_setup websocket"
)
# A process of its own: a user's application may have modules named `firmware` or `ujobs`.
_PROGRAM = f"""
import json, sys
import ujobs.sources
from firmware import settings

def find(name):
    if name not in {_MODULES.split()!r}:
        raise ImportError(name)

def missing(path):
    raise OSError(path)

ujobs.sources.__import__ = find
ujobs.sources.os.stat = missing  # this computer's folders are not the board's
try:
    settings.check(json.loads(sys.stdin.buffer.read()))
except ValueError as error:
    sys.stdout.buffer.write(str(error).encode())
"""
_FOLDERS = [str(folder) for folder in (SHIMS, LIBRARY.parent, FIRMWARE.parent)]


def check_settings(settings: dict[str, Any]) -> None:
    """Raise ValueError with the board's message if a board would refuse these settings, or ignore one of them."""
    program = f"import sys; sys.path[:0] = {_FOLDERS!r}\n{_PROGRAM}"
    # -I: neither the current folder nor the environment adds modules. -B: the files may belong to another user.
    command = [sys.executable, "-I", "-S", "-B", "-c", program]
    result = subprocess.run(command, input=json.dumps(settings).encode(), capture_output=True, check=True)
    if result.stdout:
        raise ValueError(result.stdout.decode())
