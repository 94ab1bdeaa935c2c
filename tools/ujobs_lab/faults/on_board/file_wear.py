"""Counts the flash operations for a downloaded file of 1 MB, by littlefs's cache size and the distance of checkpoints.

Prints a JSON list of [cache in bytes, KB between checkpoints, programs, erases]. Runs on MicroPython only.
"""

import json
import os

import vfs
from nor_flash import BLOCK_SIZE, NorFlash, Power

from ujobs.journal import Journal

_BLOCKS = 512
_FILE = 256  # blocks
_CACHES = (32, 128)
_DISTANCES = (16, 32, 64, 128)


def _download(cache: int, distance: int) -> "tuple[int, int]":
    flash = NorFlash(bytearray(b"\xff" * (_BLOCKS * BLOCK_SIZE)), Power())
    sizes = {"readsize": cache, "progsize": cache, "lookahead": cache}
    vfs.VfsLfs2.mkfs(flash, **sizes)
    vfs.mount(vfs.VfsLfs2(flash, **sizes), "/flash")
    try:
        journal = Journal("/flash/journal")
        before = flash.programs, flash.erases
        block = bytes(BLOCK_SIZE)
        with open("/flash/new.part", "wb") as file:
            for number in range(1, _FILE + 1):
                file.write(block)
                if number * BLOCK_SIZE % (distance * 1024) == 0:
                    file.flush()
                    journal.save(number * BLOCK_SIZE)
        os.rename("/flash/new.part", "/flash/new")
        return flash.programs - before[0], flash.erases - before[1]
    finally:
        vfs.umount("/flash")


def main() -> None:
    print(json.dumps([(cache, each) + _download(cache, each) for cache in _CACHES for each in _DISTANCES]))


if __name__ == "__main__":
    main()
