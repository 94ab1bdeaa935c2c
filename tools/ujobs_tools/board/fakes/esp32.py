"""`esp32` for the virtual board: two application partitions, stored in a file next to the flash image.

Runs on MicroPython only. The board always runs MicroPython's unix port; the content of the partitions decides only
which of the two is reported as running.
"""

import hardware
import partitions
from partitions import Partition as Partition

Partition.bootloader = partitions.Bootloader(
    partitions.Flash(open(hardware.settings["partitions_fd"], "r+b"))  # noqa: SIM115
)
