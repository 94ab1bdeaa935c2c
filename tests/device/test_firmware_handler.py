"""The `firmware` job: an image goes to the other partition, is verified, and is confirmed only after its trial."""

import asyncio
import hashlib
import sys
from binascii import b2a_base64, hexlify

import signature_vectors as vectors
import ujobs.trial as trial
from chip import CONTENT, IMAGE, Partition, image, partitions, with_chip
from replaced import Replaced
from streams_service import serve_stream
from ujobs.job import Job
from web import File

URL = "http://files.example.com/firmware.bin"


def job(image=IMAGE, **fields):
    document = {
        "operation": "firmware", "version": "1.29", "url": URL, "size": len(image),
        "sha256": hexlify(hashlib.sha256(image).digest()).decode(),
    }
    document.update(fields)
    return document


def test_new_firmware_is_started_and_stays():
    def scenario(board, chip):
        assert chip.finish(board) == "SUCCEEDED"
        assert board.resets == 1
        assert board.execution["statusDetails"]["partition"] == "ota_1"
        assert chip.content("ota_1", len(IMAGE)) == IMAGE
        assert [chip.power_on() for _ in range(3)] == ["ota_1"] * 3
        assert trial.current() == ""

    with_chip(scenario, job())


def test_other_tasks_run_while_the_image_is_checked():
    real = Partition.readblocks
    turns, seen = [], []

    async def others():
        for _ in range(5):
            turns.append(1)
            await asyncio.sleep(0)

    def reading(self, number, buffer, *offset):
        if not offset:
            seen.append(len(turns))
            if len(seen) == 1:
                asyncio.create_task(others())
        return real(self, number, buffer, *offset)

    def scenario(board, chip):
        with Replaced(Partition, readblocks=reading):
            board.start()
        assert board.resets == 1

    with_chip(scenario, job())
    assert seen[:6] == list(range(6)), seen


def test_firmware_that_does_not_connect_is_rolled_back_by_the_bootloader():
    def scenario(board, chip):
        board.start()
        assert chip.power_on() == "ota_1"
        board.start(proves=False)
        assert chip.finish(board) == "FAILED"
        assert "rolled back" in board.reason()
        assert chip.power_on() == "ota_0"

    with_chip(scenario, job())


def test_an_image_for_the_whole_flash_does_not_start():
    # It begins with the bootloader's image. The partition table is where an ESP32 has it: at 0x8000, and the bootloader
    # is at 0x1000.
    bootloader = image(CONTENT[:20000], description=b"")
    whole = bootloader + b"\xff" * (0x7000 - len(bootloader)) + b"\xaa\x50" + IMAGE

    def scenario(board, chip):
        board.start()
        assert [chip.power_on() for _ in range(2)] == ["ota_0"] * 2
        assert chip.finish(board) == "FAILED"
        assert board.reason() == "OSError: rolled back: by the bootloader"

    with_chip(scenario, job(whole), File(whole))


def test_a_damaged_image_is_not_started():
    def scenario(board, chip):
        assert chip.finish(board) == "FAILED"
        assert "ESP_ERR_OTA_VALIDATE_FAILED" in board.reason(), board.reason()
        assert (board.resets, chip.power_on(), trial.current()) == (0, "ota_0", "")

    changed = bytearray(IMAGE)
    changed[30000] ^= 1
    # As a build or a copy that was cut short leaves it: size and SHA-256 of the document are those of the file.
    for damaged in (IMAGE[:-1], IMAGE[:30000], IMAGE[:24], bytes(changed)):
        with_chip(scenario, job(damaged), File(damaged))


def test_two_updates_in_a_row_use_both_partitions():
    def scenario(board, chip):
        assert chip.finish(board) == "SUCCEEDED"
        board.execution = board.cloud.queue("update-2", job(version="1.30"))
        assert chip.finish(board) == "SUCCEEDED"
        assert chip.power_on() == "ota_0"
        assert board.execution["statusDetails"]["version"] == "1.30"

    with_chip(scenario, job())


def test_images_for_other_or_unknown_chips_are_refused():
    def scenario(board, chip):
        assert chip.finish(board) == "FAILED"
        assert "chip" in board.reason()
        assert board.resets == 0

    for other in (image(CONTENT, 5), b"\0" + IMAGE[1:], b"MZ" * 5000):
        with_chip(scenario, job(other), File(other))


def test_invalid_documents_are_rejected():
    def scenario(board, chip):
        assert chip.finish(board) == "REJECTED"
        assert not board.web.connections

    for fields in (
        {"size": partitions.SLOT + 1}, {"size": 0}, {"size": None}, {"sha256": None}, {"url": None},
        {"stream": "app-2"}, {"url": "https://files.example.com/f"},
        {"deflate": {"size": 5, "sha256": "0" * 64}},
    ):
        document = job(**fields)
        with_chip(scenario, {name: value for name, value in document.items() if value is not None})


def test_a_board_with_one_partition_rejects_firmware():
    def none(running):
        # As the ESP32 port does.
        raise OSError(2)

    def itself(running):
        # As ESP-IDF does if the table has ota_0 only, perhaps beside a factory partition.
        return running

    def scenario(board, chip):
        assert chip.finish(board) == "REJECTED"
        assert "one application partition" in board.reason()

    for only in (none, itself):
        with Replaced(Partition, get_next_update=only):
            with_chip(scenario, job())


SIGNED = image(vectors.MESSAGE * 20)


def afr_ota(protocols=("HTTP",), **fields):
    """AWS's document for an over-the-air update. fields: of its first file; None removes a field."""
    entry = {
        "filepath": "firmware.bin", "filesize": len(SIGNED), "fileid": 0, "certfile": "/cert.pem",
        "update_data_url": URL, "auth_scheme": "aws.s3.presigned",
        "sig-sha256-ecdsa": b2a_base64(vectors.IMAGE_P256_SIGNATURE).decode().strip(),
    }
    entry.update(fields)
    entry = {name: value for name, value in entry.items() if value is not None}
    return {"operation": "firmware", "afr_ota": {
        "protocols": list(protocols), "streamname": "AFR_OTA-1", "files": [entry]
    }}


def with_key(key):
    return lambda agent: agent.use("firmware", signing_key=key)


def test_updates_of_aws_are_installed_over_http():
    def scenario(board, chip):
        assert chip.finish(board) == "SUCCEEDED", board.reason()
        assert chip.content("ota_1", len(SIGNED)) == SIGNED
        assert board.web.connections[0].target[:2] == ("files.example.com", 80)

    with_chip(scenario, afr_ota(), File(SIGNED), with_key(vectors.IMAGE_P256))
    rsa = b2a_base64(vectors.IMAGE_RSA_SIGNATURE).decode().strip()
    document = afr_ota(**{"sig-sha256-ecdsa": None, "sig-sha256-rsa": rsa})
    with_chip(scenario, document, File(SIGNED), with_key(vectors.IMAGE_RSA))


def test_a_path_means_nothing_for_firmware():
    def scenario(board, chip):
        status = chip.finish(board)
        assert status == ("SUCCEEDED" if valid else "REJECTED"), board.reason()
        assert valid or board.reason().endswith(": sha256 must be 64 hex digits")

    for path in (5, None, [1], {"a": 1}, True, "", "/lib/x"):
        for valid in (True, False):
            with_chip(scenario, job(path=path) if valid else job(path=path, sha256="12"))


def test_of_two_signatures_of_aws_the_one_for_the_key_counts():
    signatures = {
        "sig-sha256-rsa": b2a_base64(vectors.IMAGE_RSA_SIGNATURE).decode().strip(),
        "sig-sha256-ecdsa": b2a_base64(vectors.IMAGE_P256_SIGNATURE).decode().strip(),
    }

    def scenario(board, chip):
        status = chip.finish(board)
        if right in given:
            assert status == "SUCCEEDED", board.reason()
        else:
            assert status == "REJECTED"
            assert "signature is missing" in board.reason()
            assert not board.web.connections

    for key, right in ((vectors.IMAGE_RSA, "sig-sha256-rsa"), (vectors.IMAGE_P256, "sig-sha256-ecdsa")):
        for given in (("sig-sha256-rsa",), ("sig-sha256-ecdsa",), tuple(signatures), ()):
            fields = {name: signatures[name] if name in given else None for name in signatures}
            with_chip(scenario, afr_ota(**fields), File(SIGNED), with_key(key))


def test_updates_of_aws_are_installed_by_stream():
    def scenario(board, chip):
        service = serve_stream(board.cloud.broker, b"AFR_OTA-1", SIGNED)
        assert chip.finish(board) == "SUCCEEDED", board.reason()
        assert chip.content("ota_1", len(SIGNED)) == SIGNED
        assert not board.web.connections
        assert {request["f"] for request in service.requests} == {7}

    with_chip(scenario, afr_ota(("MQTT", "HTTP"), fileid=7), setup=with_key(vectors.IMAGE_P256))


def test_updates_of_aws_need_the_right_signature():
    def scenario(board, chip):
        assert chip.finish(board) == "FAILED"
        assert "signature" in board.reason()
        assert chip.power_on() == "ota_0"

    with_chip(scenario, afr_ota(), File(SIGNED), with_key(vectors.P256))


def test_updates_of_aws_that_cannot_be_checked_are_rejected():
    def scenario(board, chip):
        assert chip.finish(board) == "REJECTED"
        assert reason in board.reason(), board.reason()
        assert not board.web.connections

    for document, key, reason in (
        (afr_ota(), None, "afr_ota needs a signing_key"),
        (afr_ota(**{"sig-sha256-ecdsa": None}), vectors.IMAGE_P256, "signature is missing"),
        ({"operation": "firmware", "afr_ota": {"files": []}}, vectors.IMAGE_P256, "afr_ota is malformed"),
    ):
        with_chip(scenario, document, setup=with_key(key))


def test_an_interrupted_download_resumes_after_the_reset():
    stalls = [True]

    def stalling(connection):
        answer = File(IMAGE)(connection)
        return (answer[:45000], False) if stalls else answer

    def scenario(board, chip):
        board.start(until_condition=lambda: chip.content("ota_1", 40000) == IMAGE[:40000])
        stalls.clear()
        assert chip.finish(board) == "SUCCEEDED"
        assert chip.content("ota_1", len(IMAGE)) == IMAGE
        start = int(board.web.connections[-1].header("Range")[6:-1])
        assert start >= 32768
        assert start % 4096 == 0

    with_chip(scenario, job(), stalling)


def test_a_switch_that_cannot_be_recorded_is_made_anyway():
    save = Job.save

    def full(job, value):
        if value[1] < 0:
            raise OSError(28)
        save(job, value)

    def scenario(board, chip):
        assert chip.finish(board) == "SUCCEEDED"
        assert chip.power_on() == "ota_1"

    with Replaced(Job, save=full):
        with_chip(scenario, job())


def test_a_failed_switch_leaves_no_trial():
    def failing(partition):
        raise OSError(-5379)

    def scenario(board, chip):
        assert chip.finish(board) == "FAILED"
        assert trial.current() == ""
        assert chip.power_on() == "ota_0"

    with Replaced(Partition, set_boot=failing):
        with_chip(scenario, job())


def test_a_complete_image_is_only_verified_after_a_reset():
    save = Job.save
    whole = image(CONTENT[:40876])
    assert len(whole) % 4096 == 0  # so that the handler records its end

    def cut(job, value):
        save(job, value)
        if value[1] == len(whole):
            Job.save = save
            sys.modules["machine"].reset()

    def scenario(board, chip):
        assert chip.finish(board) == "SUCCEEDED"
        assert len(board.web.connections) == 1
        assert chip.content("ota_1", len(whole)) == whole

    with Replaced(Job, save=cut):
        with_chip(scenario, job(whole), File(whole))
