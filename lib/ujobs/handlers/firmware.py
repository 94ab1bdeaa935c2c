"""The job `{"operation": "firmware"}`: new firmware for an ESP32, in a trial until it has connected.

    {"operation": "firmware", "version": "1.29", "url": "https://…", "size": 1650000, "sha256": "…"}

The image is written to the inactive partition sector by sector, and checked in flash before the bootloader boots it.
Once the board has connected with it, it is confirmed; otherwise the bootloader rolls back, and the job is FAILED. AWS's
own over-the-air updates ("afr_ota" documents) are supported too; they have a signature instead of a SHA-256.
Options of Agent.use(): ca and signing_key, see sources.check().
"""
# The stubs know Partition by name only.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false

import asyncio
import hashlib

from .. import lend, trial
from ..agent import Reject
from ..fetch import checked, fetch
from ..link import log

# Neither is in a .mpy at -O2: its compiler knows const, and types are for type checkers only.
if __debug__:
    from micropython import const
_TYPING = const(0)
if _TYPING:
    from ..job import Job

_SECTOR = const(4096)
_MAGIC = const(0xE9)
_CHIP = const(12)  # where in an image the number of the chip is, two bytes


async def run(job: "Job", options: dict) -> "dict | None":
    """Fetch the image and restart, or report how that went. Returns the version that runs."""
    # Imported here: ujobs itself runs where there is no board.
    from esp32 import Partition

    await trial.outcome(job)
    running = Partition(Partition.RUNNING)
    document = job.document  # as it is checked: a later one brings new URLs only
    version = str(document.get("version", ""))
    in_use = running.info()[4]
    label, position = job.checkpoint or ("", 0)
    if label == in_use:
        return {"version": version, "partition": in_use}
    if position < 0:
        raise OSError("rolled back: by the bootloader")
    try:
        target = running.get_next_update()
    except OSError:
        target = running  # as if ota_0 is the only one for updates and runs
    most, label = target.info()[3:5]
    if label == in_use:
        raise Reject("this board has one application partition")
    kind = None
    if "afr_ota" in document:
        if not options.get("signing_key"):
            raise Reject("afr_ota needs a signing_key")
        kind = lend("verify", "load_key", options["signing_key"])[0]  # type: ignore[index]
    try:
        source = _source(document, kind)
    except (LookupError, TypeError, ValueError):
        raise Reject("afr_ota is malformed")
    means = checked("check_update", document, (source,), "/" + in_use, options)
    if not 0 < source.get("size", 0) <= most:
        raise Reject("size must be 1 to %d bytes" % most)
    # Only whole sectors are in flash.
    position = position // _SECTOR * _SECTOR
    job.save((label, position))
    image = _Image(target, source["size"], running, position)
    await fetch(job, source, _source, (label,), image, position, means)
    trial.write("/" + label + ".version", version)

    def put():
        target.set_boot()
        try:
            # Only after the switch: a power cut in between would look as if the bootloader had rolled back.
            job.save((label, -1))
        except OSError as error:
            # The switch is made. If the bootloader rolls back, the job runs once more.
            log("firmware:", error)

    await trial.restart(job, trial.FIRMWARE, put)


def _source(document, kind):
    update = document.get("afr_ota")
    if not update:
        return document
    # FreeRTOS "OTA job document"; only the first file can be the board's firmware.
    entry = update["files"][0]
    source = {"size": int(entry["filesize"]), "file": int(entry["fileid"])}
    if "MQTT" in update["protocols"]:
        source["stream"] = update["streamname"]
    else:
        source["url"] = entry["update_data_url"]
    source["signature"] = entry.get(kind)  # one for each kind of key
    return source


class _Image:
    # The sink of fetch(): whole sectors go to flash, the last one filled up.
    def __init__(self, partition, size, running, position):
        self.partition = partition
        self.running = running
        self.sector = bytearray(_SECTOR)
        self.total = size
        self.size = position

    def write(self, offset, data):
        while data:
            number, begin = divmod(offset, _SECTOR)
            piece = data[: _SECTOR - begin]
            end = begin + len(piece)
            self.sector[begin:end] = piece
            data = data[len(piece) :]
            offset += len(piece)
            if end == _SECTOR or offset == self.total:
                if not number:
                    mine = bytearray(_CHIP + 2)
                    self.running.readblocks(0, mine, 0)
                    if self.sector[0] != _MAGIC or self.sector[_CHIP : _CHIP + 2] != mine[_CHIP:]:
                        raise ValueError("the image is not for this chip")
                self.partition.writeblocks(number, self.sector)
        self.size = max(self.size, offset)

    def flush(self, room=0):
        pass

    room = clear = flush  # the size was checked; the next attempt overwrites

    async def sha256(self):
        digest = hashlib.sha256()
        view = memoryview(self.sector)
        for offset in range(0, self.total, _SECTOR):
            self.partition.readblocks(offset // _SECTOR, self.sector)
            digest.update(view[: self.total - offset])
            await asyncio.sleep(0)
        return digest.digest()
