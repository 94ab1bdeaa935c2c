"""`esp32` for the virtual board: the running partition's name and place; there is no second one to update.

Runs on MicroPython only.
"""


class Partition:
    """The one application partition of the board."""

    BOOT = 0
    RUNNING = 1
    TYPE_APP = 0
    TYPE_DATA = 1

    def __init__(self, which: int | str) -> None:
        if which not in (self.BOOT, self.RUNNING, "factory"):
            raise OSError(2)

    def info(self) -> tuple:
        """(type, subtype, address, size, label, encrypted)"""
        return (self.TYPE_APP, 0, 0x10000, 0x1F0000, "factory", False)
