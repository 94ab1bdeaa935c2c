"""`os` for the virtual board: the unix port's, without what the ESP32 port does not have.

Runs on MicroPython only.
"""

from os import *  # noqa: F403

del getenv, putenv, unsetenv, system, errno, VfsPosix, VfsLfs1  # noqa: F821
