"""Updates that fail, for every handler that fetches files: the link or the server fails near the end, the flash is
full, the signature is wrong, the power is cut. Either the old file remains, or the new one is complete.
"""

import asyncio
import hashlib
import os
from binascii import b2a_base64, hexlify
from errno import ECONNRESET, ENOENT

import signature_vectors as vectors
import ujobs.flash
import ujobs.journal
import ujobs.trial as trial
from broker import raises
from chip import CONTENT, IMAGE, image, partitions, with_chip
from cloud import lose_power
from replaced import Replaced
from restarts import ROOT
from ujobs.verify import RSA_PSS
from web import File, head

URL = "http://files.example.com/new"
ENOSPC = 28
OLD = b"what was there before"
KINDS = ("files", "app", "firmware")


class Update:
    """A job that fetches one file. kind: its operation. answer: of the server. options: of Agent.use()."""

    def __init__(self, kind, content=IMAGE, answer=None, options=None, **fields):
        self.kind = kind
        self.content = content
        self.answer = answer or File(content)
        self.options = options or {}
        digest = hexlify(hashlib.sha256(content).digest()).decode()
        source = {"url": URL, "size": len(content), "sha256": digest}
        source.update(fields)
        source = {name: value for name, value in source.items() if value is not None}
        self.document = {"operation": kind}
        if not self.options:
            # With a version, the whole document would be signed: see test_versions.py.
            self.document["version"] = "2"
        if kind == "files":
            source["path"] = ROOT + "/data/new"
            self.document["fetch"] = [source]
        elif kind == "app":
            source["path"] = "app.py"
            self.document["files"] = [source]
        else:
            self.document.update(source)

    def run(self, scenario):
        """Run scenario(board, chip) on a board that gets the job."""

        def setup(agent):
            agent.use(self.kind, roots=(ROOT + "/data",), **self.options)

        def on_board(board, chip):
            board.put("/data/new", OLD)
            board.put("/app/app.py", OLD)
            scenario(board, chip)

        with_chip(on_board, self.document, self.answer, setup)

    def is_done(self, board, chip):
        """Whether the new version is complete, in its place, and active."""
        size = len(self.content)
        if self.kind == "files":
            return board.get("/data/new") == self.content
        if self.kind == "app":
            return trial.boot() == "/app-b" and board.get("/app-b/app.py") == self.content
        return chip.power_on() == "ota_1" and chip.content("ota_1", size) == self.content

    def check_undone(self, board, chip):
        """Check that only the previous version is there."""
        assert board.get("/data/new") == OLD
        assert board.get("/app/app.py") == OLD
        assert (trial.boot(), chip.power_on(), board.resets) == ("/app", "ota_0", 0)
        for name in ("/data/new", "/app-b/app.py"):
            assert board.get(name + ".part") is None
        assert board.get("/app-b/app.py") is None


def succeeds(update, connections):
    def scenario(board, chip):
        assert chip.finish(board) == "SUCCEEDED", board.reason()
        assert update.is_done(board, chip)
        assert len(board.web.connections) == connections

    update.run(scenario)


def fails(update, reason, connections=1, status="FAILED"):
    def scenario(board, chip):
        assert chip.finish(board) == status
        assert reason in board.reason(), board.reason()
        assert len(board.web.connections) == connections
        update.check_undone(board, chip)

    update.run(scenario)


def breaking_off(ranges, times):
    """A server whose next connections end at 99 percent of the file. ranges: whether it sends ranges."""
    server = File(IMAGE, ranges)
    server.breaks_at = [len(IMAGE) * 99 // 100] * times
    return server


def test_a_connection_that_is_lost_at_99_percent_once_or_always():
    for kind in KINDS:
        for ranges in (True, False):
            succeeds(Update(kind, answer=breaking_off(ranges, 1)), 2)
            fails(Update(kind, answer=breaking_off(ranges, 100)), str(OSError(ECONNRESET)), 6)


def test_a_version_whose_content_differs_from_the_document_is_never_started():
    for kind in KINDS:
        for wrong in ({"sha256": "0" * 64}, {"size": len(IMAGE) - 1}, {"size": len(IMAGE) + 1}):
            fails(Update(kind, **wrong), list(wrong)[0] if "sha256" in wrong else "bytes, not")
        fails(Update(kind, answer=lambda connection: head(404, {})), "404")


class Full:
    """`os` with a file system that has so many free blocks of 4,096 bytes."""

    def __init__(self, free):
        self.free = free

    def __getattr__(self, name):
        return getattr(os, name)

    def statvfs(self, path):
        return (4096, 4096, 100, self.free, self.free, 0, 0, 0, 0, 255)


def test_too_little_space_for_the_announced_size():
    # littlefs reports the last value when it has used more blocks than it has.
    for free in (0, 10, 17592186040320):
        with Replaced(ujobs.flash, os=Full(free)):
            for kind in ("files", "app"):
                fails(Update(kind), "no room: %d bytes needed" % (len(IMAGE) + 2 * 4096), 0)
    fails(Update("firmware", size=partitions.SLOT + 1), "size must be 1 to", 0, "REJECTED")


def test_an_empty_file_system_has_all_its_blocks_free():
    # FAT on a new memory card; littlefs always uses two.
    for free, size in ((0, 0), (1, 4096), (100, 409600), (101, 0)):
        with Replaced(ujobs.flash, os=Full(free)):
            assert ujobs.flash.free("/sd/x") == size
    full = Full(1)
    full.statvfs = lambda path: statvfs(path)
    full_of = {"/sd": 10, "/": 20}

    def statvfs(path):
        if path not in full_of:
            raise OSError(ENOENT)
        return Full(full_of[path]).statvfs(path)

    with Replaced(ujobs.flash, os=full):
        assert [ujobs.flash.free(path) // 4096 for path in ("/sd/x", "/sd/deep/x", "/data/x", "/")] == [10, 10, 20, 20]
    with Replaced(ujobs.flash, os=Full(3)):
        to_spare = 8192
        ujobs.flash.room("/x", 3 * 4096 - to_spare)
        raises(OSError, ujobs.flash.room, "/x", 3 * 4096 - to_spare + 1)


def test_a_flash_that_is_full_before_the_end():
    class FullPart(ujobs.flash.Part):
        def write(self, offset, data):
            if offset + len(data) > 30000:
                raise OSError(ENOSPC)
            super().write(offset, data)

    write = partitions.Partition.writeblocks

    def full(self, block, buffer):
        if block == 5:
            raise OSError(ENOSPC)
        write(self, block, buffer)

    with Replaced(ujobs.flash, Part=FullPart), Replaced(partitions.Partition, writeblocks=full):
        for kind in KINDS:
            size = None if kind == "files" else len(IMAGE)
            fails(Update(kind, size=size), str(OSError(ENOSPC)))


def signed(kind, key, signature, content=vectors.MESSAGE, **fields):
    text = signature if signature is None else b2a_base64(signature).decode().strip()
    return Update(kind, content, options={"signing_key": key}, signature=text, **fields)


def test_signed_files_are_accepted_with_and_without_a_hash():
    for kind in ("files", "app"):
        succeeds(signed(kind, vectors.P256, vectors.P256_SIGNATURE), 1)
        succeeds(signed(kind, vectors.RSA_2048, vectors.RSA_2048_PSS, scheme=RSA_PSS), 1)
    succeeds(signed("files", vectors.P256_CERTIFICATE, vectors.P256_SIGNATURE, sha256=None), 1)


def test_a_wrong_signature():
    for kind in KINDS:
        # For other content, with another key, and not a signature at all.
        fails(signed(kind, vectors.P256, vectors.P256_SIGNATURE, IMAGE), "signature")
        fails(signed(kind, vectors.RSA_3072, vectors.RSA_2048_PKCS1, IMAGE), "signature")
        fails(signed(kind, vectors.RSA_2048, b"", IMAGE), "signature")
    fails(signed("files", vectors.RSA_2048, vectors.RSA_2048_PSS), "signature")
    fails(signed("app", vectors.RSA_2048, vectors.RSA_2048_PKCS1, scheme=RSA_PSS), "signature")


def test_a_missing_signature_is_refused_if_required():
    for kind in KINDS:
        fails(signed(kind, vectors.P256, None, IMAGE), "signature is missing", 0, "REJECTED")


def test_a_missing_or_damaged_signing_key_is_an_error():
    for kind in KINDS:
        fails(signed(kind, "/no/such/key", vectors.P256_SIGNATURE, IMAGE), "/no/such/key: [Errno 2]")
        fails(signed(kind, b"\0" * 91, vectors.P256_SIGNATURE, IMAGE), "damaged")


class Power:
    """Counts changes of the flash, and cuts the power at one of them, which then happens partly or not at all.

    It replaces `os` in the library, and the flash of the partitions.
    """

    def __init__(self, changes, part):
        self.left = changes
        self.part = part
        self.off = False

    def change(self, change, partly=lambda: None):
        if not self.off and self.left:
            self.left -= 1
            return change()
        if not self.off:
            self.off = True
            if self.part:
                partly()
        lose_power()

    def flash(self, flash):
        power = self

        class Flash(flash):
            def erase(self, address):
                power.change(lambda: flash.erase(self, address))

            def program(self, address, data):
                half = bytes(data[: len(data) // 2])
                power.change(
                    lambda: flash.program(self, address, data), lambda: flash.program(self, address, half)
                )

        return Flash

    def __getattr__(self, name):
        return getattr(os, name)

    def rename(self, old, new):
        self.change(lambda: os.rename(old, new))

    def remove(self, name):
        os.stat(name)
        self.change(lambda: os.remove(name))


def cut(update, changes, part):
    """Cut the power once in the job; return its status, or None if there are fewer changes."""
    power = Power(changes, part)
    statuses = []

    def start(board, chip):
        # The changes of the bootloader are counted as well.
        try:
            if chip.power_on() == "ota_1":
                assert chip.content("ota_1", len(update.content)) == update.content
            board.start(until_condition=lambda: power.off or board.cloud.done() or board.resets > resets)
        except asyncio.CancelledError:
            assert power.off

    def scenario(board, chip):
        nonlocal resets
        flash = power.flash(partitions.Flash)
        with Replaced(partitions, Flash=flash), Replaced(trial, os=power), Replaced(ujobs.journal, os=power):
            while not power.off and not board.cloud.done():
                resets = board.resets
                start(board, chip)
        statuses.append(chip.finish(board) if power.off else None)
        done = update.is_done(board, chip)
        assert done == (board.execution["status"] == "SUCCEEDED"), (changes, part, board.reason())
        assert done or (chip.power_on() == "ota_0" and "rolled back" in board.reason())

    resets = 0
    update.run(scenario)
    return statuses[0]


def test_power_cuts_at_every_change_that_new_firmware_makes():
    for part in (False, True):
        statuses = []
        while None not in statuses:
            statuses.append(cut(Update("firmware", image(CONTENT[:6000])), len(statuses), part))
        # A cut during the trial ends it, because the ESP32's bootloader rolls back. Other cuts cost only time.
        assert statuses.count("SUCCEEDED") > 10
        assert statuses.count("FAILED") < 10
