"""The `firmware` job: an image goes to the other partition, is verified, and is confirmed only after its trial."""

import hashlib
import sys
from binascii import b2a_base64, hexlify

import signature_vectors as vectors
import ujobs.trial as trial
from cloud import PREFIX
from restarts import ROOT, with_board
from test_streams import Service
from ujobs.job import Job
from web import File

sys.path.append(__file__.rsplit("/", 1)[0] + "/../../tools/ujobs_tools/board/fakes")
import partitions  # noqa: E402
from partitions import SLOT, Partition, image_header  # noqa: E402

sys.path.pop()

URL = "http://files.example.com/firmware.bin"
IMAGE = image_header() + bytes((n * 13 + n // 300) & 255 for n in range(50000))


def job(image=IMAGE, **fields):
    document = {
        "operation": "firmware", "version": "1.29", "url": URL, "size": len(image),
        "sha256": hexlify(hashlib.sha256(image).digest()).decode(),
    }
    document.update(fields)
    return document


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


def with_chip(scenario, document, answer=None, setup=use):
    def on_board(board):
        chip = Chip(board)
        sys.modules["esp32"] = partitions
        try:
            scenario(board, chip)
        finally:
            del sys.modules["esp32"]
            chip.file.close()

    with_board(on_board, document, setup, answer or File(IMAGE))


def test_new_firmware_is_started_and_stays():
    def scenario(board, chip):
        assert chip.finish(board) == "SUCCEEDED"
        assert board.resets == 1
        assert board.execution["statusDetails"]["partition"] == "ota_1"
        assert chip.content("ota_1", len(IMAGE)) == IMAGE
        assert [chip.power_on() for _ in range(3)] == ["ota_1"] * 3
        assert trial.current() == ""

    with_chip(scenario, job())


def test_firmware_that_does_not_connect_is_rolled_back_by_the_bootloader():
    def scenario(board, chip):
        board.start()
        assert chip.power_on() == "ota_1"
        board.start(proves=False)
        assert chip.finish(board) == "FAILED"
        assert "rolled back" in board.reason()
        assert chip.power_on() == "ota_0"

    with_chip(scenario, job())


def test_two_updates_in_a_row_use_both_partitions():
    def scenario(board, chip):
        assert chip.finish(board) == "SUCCEEDED"
        board.execution = board.cloud.queue("update-2", job(version="1.30"))
        assert chip.finish(board) == "SUCCEEDED"
        assert chip.power_on() == "ota_0"
        assert board.execution["statusDetails"]["version"] == "1.30"

    with_chip(scenario, job())


def test_images_that_differ_from_the_document_are_never_started():
    def scenario(board, chip):
        assert chip.finish(board) in ("FAILED", "REJECTED")
        assert board.resets == 0
        assert chip.power_on() == "ota_0"

    for wrong in ({"sha256": "0" * 64}, {"size": len(IMAGE) - 1}, {"size": len(IMAGE) + 1}):
        with_chip(scenario, job(**wrong))


def test_images_for_other_or_unknown_chips_are_refused():
    def scenario(board, chip):
        assert chip.finish(board) == "FAILED"
        assert "chip" in board.reason()
        assert board.resets == 0

    for image in (image_header(5) + IMAGE, b"\0" + IMAGE[1:], b"MZ" * 5000):
        with_chip(scenario, job(image), File(image))


def test_invalid_documents_are_rejected():
    def scenario(board, chip):
        assert chip.finish(board) == "REJECTED"
        assert not board.web.connections

    for fields in (
        {"size": SLOT + 1}, {"size": 0}, {"size": None}, {"sha256": None}, {"url": None}, {"stream": "app-2"},
        {"url": "https://files.example.com/f"},
    ):
        document = job(**fields)
        with_chip(scenario, {name: value for name, value in document.items() if value is not None})


def test_a_board_with_one_partition_rejects_firmware():
    def only_one(running):
        raise OSError(2)

    def scenario(board, chip):
        # The ESP32 port does the same.
        Partition.get_next_update = only_one
        try:
            assert chip.finish(board) == "REJECTED"
        finally:
            Partition.get_next_update = real
        assert "one application partition" in board.reason()

    real = Partition.get_next_update
    with_chip(scenario, job())


SIGNED = image_header() + vectors.MESSAGE * 20


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


def test_updates_of_aws_are_installed_by_stream():
    def scenario(board, chip):
        jobs = board.cloud.broker.on_publish
        streams = Service(board.cloud.broker, SIGNED, b"$aws/things/thing/streams/AFR_OTA-1/")

        def published(topic, payload):
            (jobs if topic.startswith(PREFIX) else streams.published)(topic, payload)

        board.cloud.broker.on_publish = published
        assert chip.finish(board) == "SUCCEEDED", board.reason()
        assert chip.content("ota_1", len(SIGNED)) == SIGNED
        assert not board.web.connections

    with_chip(scenario, afr_ota(("MQTT", "HTTP")), setup=with_key(vectors.IMAGE_P256))


def test_updates_of_aws_need_the_right_signature():
    for key in (vectors.P256, vectors.IMAGE_RSA):
        def scenario(board, chip):
            assert chip.finish(board) == "FAILED"
            assert "signature" in board.reason()
            assert chip.power_on() == "ota_0"

        with_chip(scenario, afr_ota(), File(SIGNED), with_key(key))


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


def test_a_power_cut_at_the_switch_costs_only_a_restart():
    set_boot = Partition.set_boot

    def cut_before(partition):
        raise_the_power(partition, False)

    def cut_after(partition):
        raise_the_power(partition, True)

    def raise_the_power(partition, lands):
        Partition.set_boot = set_boot
        if lands:
            set_boot(partition)
        sys.modules["machine"].reset()

    def scenario(board, chip):
        Partition.set_boot = cut
        try:
            assert chip.finish(board) == "SUCCEEDED"
        finally:
            Partition.set_boot = set_boot
        assert chip.power_on() == "ota_1"
        assert board.resets == resets

    for cut, resets in ((cut_before, 2), (cut_after, 1)):
        with_chip(scenario, job())


def test_a_switch_that_cannot_be_recorded_is_made_anyway():
    save = Job.save

    def full(job, value):
        if value[1] < 0:
            raise OSError(28)
        save(job, value)

    def scenario(board, chip):
        Job.save = full
        try:
            assert chip.finish(board) == "SUCCEEDED"
        finally:
            Job.save = save
        assert chip.power_on() == "ota_1"

    with_chip(scenario, job())


def test_a_failed_switch_leaves_no_trial():
    set_boot = Partition.set_boot

    def failing(partition):
        raise OSError(-5379)

    def scenario(board, chip):
        Partition.set_boot = failing
        try:
            assert chip.finish(board) == "FAILED"
        finally:
            Partition.set_boot = set_boot
        assert trial.current() == ""
        assert chip.power_on() == "ota_0"

    with_chip(scenario, job())


def test_a_complete_image_is_only_verified_after_a_reset():
    save = Job.save
    image = IMAGE[:40960]

    def cut(job, value):
        save(job, value)
        if value[1] == len(image):
            Job.save = save
            sys.modules["machine"].reset()

    def scenario(board, chip):
        Job.save = cut
        try:
            assert chip.finish(board) == "SUCCEEDED"
        finally:
            Job.save = save
        assert len(board.web.connections) == 1
        assert chip.content("ota_1", len(image)) == image

    with_chip(scenario, job(image), File(image))
