"""The application partitions of an ESP32 under test, and its bootloader."""

import sys

from replaced import with_modules
from restarts import ROOT, with_board
from web import File

sys.path.append(__file__.rsplit("/", 1)[0] + "/../../tools/ujobs_tools/board/fakes")
import partitions  # noqa: E402
from app_image import image  # noqa: E402
from partitions import Partition  # noqa: E402

sys.path.pop()

CONTENT = bytes((n * 13 + n // 300) & 255 for n in range(50000))
IMAGE = image(CONTENT)


def use(agent):
    agent.use("firmware")


class Chip:
    """The application partitions of a board under test."""

    def __init__(self, board):
        board.put("/partitions", b"")
        self.file = open(ROOT + "/partitions", "r+b")  # noqa: SIM115
        self.power_on()

    def power_on(self):
        """Do what the bootloader does at every reset."""
        Partition.bootloader = partitions.Bootloader(partitions.Flash(self.file))
        return self.running()

    def running(self):
        return Partition(Partition.RUNNING).info()[4]

    def content(self, label, size):
        buffer = bytearray(size)
        Partition(label).readblocks(0, buffer)
        return bytes(buffer)

    def finish(self, board, **options):
        """Restart until the job has ended; return its status."""
        for _ in range(10):
            self.power_on()
            board.start(**options)
            if board.cloud.done():
                break
        return board.execution["status"]


def with_chip(scenario, document, answer=None, setup=None):
    """Run scenario(board, chip) on a board that gets a job with this document. setup(agent): enables the handlers."""

    def on_board(board):
        chip = Chip(board)
        try:
            with with_modules(esp32=partitions):
                scenario(board, chip)
        finally:
            chip.file.close()

    with_board(on_board, document, setup or use, answer or File(IMAGE))
