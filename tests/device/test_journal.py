"""The record in flash: its content, and what happens if it is damaged."""

import os
import struct
from binascii import crc32
from errno import EISDIR, ENOENT

from broker import raises
from cloud import DIRECTORY, remove
from ujobs.agent import Agent
from ujobs.journal import Journal
from ujobs.link import Link

LONG = {"answer": "42" * 100}  # does not fit into the record


def execution(job_id="job-1", number=1, queued_at=1730000000, version=2):
    return {"jobId": job_id, "executionNumber": number, "versionNumber": version, "queuedAt": queued_at}


def fresh():
    remove(DIRECTORY)
    return Journal(DIRECTORY)


def contents(name):
    with open(DIRECTORY + "/" + name, "rb") as file:
        return file.read()


def overwrite(name, data):
    with open(DIRECTORY + "/" + name, "wb") as file:
        file.write(data)


def test_an_empty_journal_has_no_record():
    journal = fresh()
    assert journal.job_id == ""
    assert journal.acknowledged
    assert (journal.execution_number, journal.version, journal.queued_at, journal.attempt) == (0, 0, 0, 0)
    assert journal.checkpoint() is None
    assert not journal.holds(execution())


def test_a_record_is_read_back():
    fresh().begin(execution("a" * 64, 1 << 40, 1730000000, 5), 3)
    journal = Journal(DIRECTORY)
    assert (journal.job_id, journal.execution_number, journal.version) == ("a" * 64, 1 << 40, 5)
    assert (journal.attempt, journal.status, journal.acknowledged) == (3, "IN_PROGRESS", False)
    assert journal.holds(execution("a" * 64, 1 << 40))
    assert not journal.holds(execution("a" * 64, 2))
    assert not journal.holds(execution("a" * 64, 1 << 40, 1730000001))
    journal.set_version(9)
    assert Journal(DIRECTORY).version == 9


def test_the_record_is_at_most_128_bytes():
    journal = fresh()
    journal.begin(execution("a" * 64, (1 << 63) - 1, 4294967295, 4294967295), 255)
    journal.finish("REJECTED", {"reason": "x" * 1024})
    assert len(contents("record")) <= 128


def test_details_are_in_the_record_as_long_as_they_fit():
    whole = []
    for length in range(1, 110):
        journal = fresh()
        journal.begin(execution(), 1)
        journal.finish("SUCCEEDED", {"a": "x" * length})
        assert len(contents("record")) <= 128, length
        if os.listdir(DIRECTORY) == ["record"]:
            whole.append(len(contents("record")))
    assert max(whole) == 128


def test_a_result_is_kept_until_acknowledged():
    journal = fresh()
    journal.begin(execution(), 1)
    journal.finish("SUCCEEDED", {"answer": "42", "text": "größer"})
    journal = Journal(DIRECTORY)
    assert (journal.status, journal.acknowledged) == ("SUCCEEDED", False)
    assert journal.details == {"answer": "42", "text": "größer"}
    journal.acknowledge()
    journal = Journal(DIRECTORY)
    assert journal.acknowledged
    assert journal.status == "SUCCEEDED"
    assert journal.holds(execution())


def test_details_of_any_length_are_kept():
    for length in (1, 40, 70, 75, 80, 85, 90, 100, 1024):
        journal = fresh()
        journal.begin(execution(), 1)
        details = {"reason": "x" * length}
        journal.finish("FAILED", details)
        journal.set_version(7)
        assert len(contents("record")) <= 128
        assert Journal(DIRECTORY).details == details, length


def test_details_survive_a_change_of_the_version_after_a_reset():
    for details in ({"answer": "42"}, LONG):
        journal = fresh()
        journal.begin(execution(), 1)
        journal.finish("SUCCEEDED", details)
        Journal(DIRECTORY).set_version(9)
        journal = Journal(DIRECTORY)
        assert (journal.version, journal.details) == (9, details)


def test_details_that_were_not_written_are_said_to_be_lost_after_a_reset():
    journal = fresh()
    journal.begin(execution(), 1)
    write = journal._write

    def full(name, data):
        if name == "details":
            raise OSError(28)
        write(name, data)

    journal._write = full
    journal.finish("SUCCEEDED", LONG)
    assert journal.details == LONG
    journal = Journal(DIRECTORY)
    assert (journal.status, journal.details) == ("SUCCEEDED", {"reason": "the status details were lost"})


def test_short_details_cost_no_second_file():
    journal = fresh()
    journal.begin(execution(), 1)
    journal.finish("SUCCEEDED", {"answer": "42"})
    assert os.listdir(DIRECTORY) == ["record"]


def test_a_result_without_details():
    journal = fresh()
    journal.begin(execution(), 1)
    journal.finish("FAILED", {"reason": "one"})
    journal.begin(execution("job-2"), 1)
    journal.finish("SUCCEEDED", None)
    assert Journal(DIRECTORY).details is None


def test_checkpoints_belong_to_their_execution():
    journal = fresh()
    journal.begin(execution(), 1)
    journal.save({"block": 17})
    assert journal.checkpoint() == {"block": 17}
    journal = Journal(DIRECTORY)
    assert journal.checkpoint() == {"block": 17}
    journal.begin(execution(), 2)
    assert journal.checkpoint() == {"block": 17}
    journal.begin(execution(number=2), 1)
    assert journal.checkpoint() is None


def test_attempts_over_255_are_recorded_as_255():
    journal = fresh()
    for attempt in (255, 256, 1000):
        journal.begin(execution(), attempt)
        assert journal.attempt == Journal(DIRECTORY).attempt == 255


def test_the_journal_of_a_board_is_in_one_place():
    assert Journal()._directory == Agent("thing", link=Link("thing", "host")).journal._directory == "/ujobs-journal"


def noticed(name, condition):
    # Flip a bit of every byte, and cut at every length; `make faults` flips every bit.
    sound = contents(name)
    for at in range(len(sound)):
        overwrite(name, sound[:at] + bytes((sound[at] ^ 1 << at % 8,)) + sound[at + 1 :])
        assert condition(Journal(DIRECTORY))
        overwrite(name, sound[:at])
        assert condition(Journal(DIRECTORY))
    overwrite(name, sound)


def test_damage_is_detected():
    journal = fresh()
    journal.begin(execution(), 1)
    journal.save([1, 2, 3])
    journal.finish("SUCCEEDED", LONG)
    noticed("record", lambda journal: journal.job_id == "")
    noticed("checkpoint", lambda journal: journal.checkpoint() is None)
    noticed("details", lambda journal: "lost" in journal.details["reason"])
    os.remove(DIRECTORY + "/details")
    assert "lost" in Journal(DIRECTORY).details["reason"]
    journal.finish("SUCCEEDED", {"answer": "42"})
    noticed("record", lambda journal: journal.job_id == "")


def test_a_record_that_is_too_short_is_dropped_although_its_checksum_is_right():
    fresh().begin(execution(), 1)
    for size in range(23):
        data = (b"J1" + bytes(size))[:size]
        overwrite("record", data + crc(data))
        journal = Journal(DIRECTORY)
        assert (journal.job_id, journal.acknowledged) == ("", True), size


def test_a_cut_at_any_write_leaves_the_old_state_or_the_new():
    class Cut(Exception):
        pass

    def steps(journal, details, cut_at):
        """Do the same steps every time; the cut_at-th write fails."""
        written = [0]
        write = journal._write

        def counting(name, data):
            written[0] += 1
            if written[0] == cut_at:
                raise Cut
            write(name, data)

        journal._write = counting
        journal.begin(execution(), 1)
        journal.save("half")
        journal.set_version(3)
        journal.finish("SUCCEEDED", details)
        journal.acknowledge()
        return written[0]

    for details, total in (({"answer": "42"}, 5), (LONG, 6)):
        assert steps(fresh(), details, 0) == total
        for cut_at in range(1, total + 1):
            raises(Cut, steps, fresh(), details, cut_at)
            journal = Journal(DIRECTORY)
            if cut_at == 1:
                assert journal.job_id == ""
            elif cut_at < total:
                assert journal.status == "IN_PROGRESS"
                assert journal.version == (2 if cut_at <= 3 else 3)
                assert journal.checkpoint() == (None if cut_at == 2 else "half")
            else:
                assert journal.status == "SUCCEEDED"
                assert not journal.acknowledged
                assert journal.version == 3
                assert journal.details == details


def test_a_deleted_journal_is_created_again():
    journal = fresh()
    journal.begin(execution(), 1)
    remove(DIRECTORY)
    journal.finish("SUCCEEDED", {"answer": "42"})
    assert Journal(DIRECTORY).details == {"answer": "42"}


def test_a_flash_that_cannot_be_written_is_an_os_error():
    remove(DIRECTORY)
    journal = Journal(DIRECTORY + "/missing/deeper")
    assert raises(OSError, journal.begin, execution(), 1).errno == ENOENT
    # A folder that is there does not hide why a file cannot be made in it.
    os.mkdir(DIRECTORY)
    journal = Journal(DIRECTORY)
    os.mkdir(DIRECTORY + "/record.tmp")
    try:
        assert raises(OSError, journal.begin, execution(), 1).errno == EISDIR
    finally:
        os.rmdir(DIRECTORY + "/record.tmp")
        remove(DIRECTORY)


# Records of ujobs 0.1: status details in the record, in a separate file, and acknowledged.
OLD = {
    "record": b"J1\x01\x02\x01\0\0\0\0\0\0\0\x04\0\0\0\x80\xb4\x1dg\0\0\0\0\x05job-1",
    "checkpoint": b"[1, 2, 3]",
}


def test_the_format_of_the_record_is_unchanged():
    # Boards in the field have such records when they get a new library, and use them again after a rollback.
    journal = fresh()
    journal.begin(execution(version=4), 2)
    journal.save([1, 2, 3])
    identity = b"\x01\0\0\0\0\0\0\0\x80\xb4\x1dgjob-1"
    assert contents("record") == OLD["record"] + crc(OLD["record"])
    assert contents("checkpoint") == crc(identity + OLD["checkpoint"]) + OLD["checkpoint"]
    journal.finish("SUCCEEDED", {"a": "b"})
    done = b"J1\x02" + OLD["record"][3:] + b'{"a": "b"}'
    assert contents("record") == done + crc(done)
    journal.acknowledge()
    over = b"J1\x82" + OLD["record"][3:]
    assert contents("record") == over + crc(over)
    # Version 0.1 kept the checksum of the file of status details in an acknowledged record.
    over = over[:20] + b"\1\2\3\4" + over[24:]
    overwrite("record", over + crc(over))
    journal = Journal(DIRECTORY)
    assert (journal.job_id, journal.status, journal.acknowledged, journal.details) == ("job-1", "SUCCEEDED", True, None)


def crc(data):
    return struct.pack("<I", crc32(data))
