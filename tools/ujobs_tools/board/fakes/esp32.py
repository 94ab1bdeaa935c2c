"""`esp32` for the virtual board: two application partitions, kept in a file beside the flash image.

Runs on MicroPython only. Both hold the firmware that runs the board, which is MicroPython's unix port; what is written
to them decides only which of the two is said to run.
"""

import hardware
import partitions
from partitions import Partition as Partition

Partition.bootloader = partitions.Bootloader(
    partitions.Flash(open(hardware.settings["partitions_fd"], "r+b")),  # noqa: SIM115
    hardware.settings["one_partition"],
)
