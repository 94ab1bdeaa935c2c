"""The `app` job: a new version is installed next to the running one, and is confirmed only after its trial."""

import asyncio
import hashlib
import os
import sys
from binascii import a2b_base64, hexlify

import signature_vectors as vectors
import ujobs.flash
import ujobs.trial as trial
from broker import raises
from cloud import lose_power
from replaced import Replaced, with_modules
from restarts import with_board
from streams_service import CONTENT as STREAMED
from streams_service import serve_stream
from ujobs.flash import Part
from ujobs.job import Job
from ujobs.sources import check_app
from web import File, head

URL = "http://files.example.com/1.4.0/"
NEW = {"app.py": b"VERSION = 2\n" * 3000, "lib/sensor.py": b"PIN = 4\n", "table.bin": bytes(range(256))}
# NEW["app.py"], compressed with zlib and a window of 2 KB.
PACKED = a2b_base64(
    "OMvtxqENACAMADDPFbsBj0RgWALJ/j+FMzCtas1zV+4Y0Vu5u7u7u7u7u7u7u7u7u7u7u7u7u7u7u7u7u7u7u7u7u7u7u7u7u7u7"
    "u7u7u7u7u7u7u7u7u7u7u7u7u7u7u7u7u7u7u7v71z/I46c4"
)
OLD = {"/app/app.py": b"VERSION = 1\n", "/app/table.bin": bytes(range(256)), "/settings.json": b"{}"}


def entry(path, content, **fields):
    made = {"path": path, "size": len(content), "sha256": hexlify(hashlib.sha256(content).digest()).decode()}
    made.update(fields)
    return made


def job(contents=NEW, **fields):
    document = {
        "operation": "app", "version": "1.4.0", "base": URL,
        "files": [entry(path, content) for path, content in sorted(contents.items())],
    }
    document.update(fields)
    return document


def server(connection):
    path = connection.request.split()[1].decode()
    content = NEW.get(path[len("/1.4.0/") :])
    return head(404, {}) if content is None else File(content)(connection)


def use(agent):
    agent.use("app")


def check_new(board):
    assert board.execution["status"] == "SUCCEEDED"
    assert board.execution["statusDetails"]["version"] == "1.4.0"
    assert trial.boot() == "/app-b"
    for path, content in NEW.items():
        assert board.get("/app-b/" + path) == content
    assert board.get("/app/app.py") == OLD["/app/app.py"]


def check_old(board):
    assert board.execution["status"] in ("FAILED", "REJECTED")
    assert [trial.boot() for _ in range(5)] == ["/app"] * 5
    assert board.get("/app/app.py") == OLD["/app/app.py"]


def test_a_new_version_is_started_and_stays():
    def scenario(board):
        assert board.finish() == "SUCCEEDED"
        assert board.started == ["/app", "/app-b"]
        check_new(board)
        # The unchanged file was copied from the previous version.
        assert b"GET /1.4.0/table.bin " not in b"".join([c.request for c in board.web.connections])

    with_board(scenario, job(), use, server, OLD)


def test_files_and_folders_of_an_earlier_version_are_removed():
    def scenario(board):
        assert board.finish() == "SUCCEEDED"
        check_new(board)
        assert sorted(os.listdir(trial.root + "/app-b")) == ["app.py", "lib", "table.bin"]
        assert os.listdir(trial.root + "/app-b/lib") == ["sensor.py"]

    earlier = {"/app-b/old/deep/x.py": b"1", "/app-b/lib/old.py": b"2", "/app-b/gone.py": b"3"}
    with_board(scenario, job(), use, server, dict(OLD, **earlier))


def test_a_version_that_does_not_connect_is_rolled_back():
    def scenario(board):
        board.start()
        for _ in range(3):
            board.start(proves=False)
        assert board.finish() == "FAILED"
        assert board.started == ["/app", "/app-b", "/app-b", "/app-b", "/app"]
        assert "3 boots" in board.reason()
        check_old(board)
        # Its version number does not count: only one lower than that of the running version is refused.
        board.execution = board.cloud.queue("update-2", job(version="1.3.9"))
        assert board.finish() == "SUCCEEDED", board.reason()
        assert board.execution["statusDetails"]["version"] == "1.3.9"

    with_board(scenario, job(), use, server, dict(OLD, **{"/app.version": b"1.3.0"}))


def test_a_version_that_cannot_start_is_rolled_back_at_once():
    def scenario(board):
        board.start()
        board.start(proves=False)
        trial.fail("ImportError: no module named 'sensor'")
        assert board.finish() == "FAILED"
        assert board.started == ["/app", "/app-b", "/app"]
        assert "ImportError" in board.reason()
        check_old(board)

    with_board(scenario, job(), use, server, OLD)


def rejected(document, reason=""):
    """Check that a board rejects this job before it requests anything."""

    def scenario(board):
        assert board.finish() == "REJECTED", document
        assert board.resets == 0
        assert reason in board.reason(), board.reason()
        assert not board.web.connections
        check_old(board)

    with_board(scenario, document, use, server, OLD)


def test_invalid_documents_are_rejected():
    content = NEW["app.py"]
    for files in (
        None, [], "app.py", [1], [entry("app.py", content)] * 65, [entry("../main.py", content)],
        [entry("/main.py", content)], [entry("", content)], [entry("app.py", content, sha256=None)],
        [entry("app.py", content, size="1")],
    ):
        rejected(job(files=files))


def test_each_file_of_an_application_needs_its_sha256():
    incomplete = entry("app.py", NEW["app.py"], url=URL + "app.py")
    del incomplete["sha256"]
    # A signature does not replace it, as it does for other files.
    for options in ({}, {"signing_key": vectors.P256}):
        error = raises(ValueError, check_app, job(), [incomplete], "/app", options)
        assert str(error) == "app.py: sha256 is missing"


def test_versions_alternate_between_two_folders():
    def scenario(board):
        assert board.finish() == "SUCCEEDED"
        document = job({"app.py": b"VERSION = 3\n"}, version="1.5.0")
        document["files"][0]["url"] = URL + "three"
        with Replaced(NEW, three=b"VERSION = 3\n"):
            board.execution = board.cloud.queue("update-2", document)
            assert board.finish() == "SUCCEEDED"
        assert board.get("/app/app.py") == b"VERSION = 3\n"
        # The files of the version before the previous one are gone.
        assert (board.get("/app/table.bin"), board.get("/app/deep/old.py")) == (None, None)
        assert trial.boot() == "/app"

    with_board(scenario, job(), use, server, dict(OLD, **{"/app/deep/old.py": b"1"}))


def test_going_back_to_the_version_before_transfers_nothing():
    def scenario(board):
        assert board.finish() == "SUCCEEDED"
        transfers = len(board.web.connections)
        before = {name[len("/app/") :]: content for name, content in OLD.items() if name.startswith("/app/")}
        board.execution = board.cloud.queue("update-2", job(before, version="1.3.0", downgrade=True))
        assert board.finish() == "SUCCEEDED", board.reason()
        assert trial.boot() == "/app"
        assert {name: board.get("/app/" + name) for name in before} == before
        # A version that runs already is only named.
        board.execution = board.cloud.queue("update-3", job(before, version="1.3.1"))
        assert board.finish() == "SUCCEEDED", board.reason()
        assert board.execution["statusDetails"]["version"] == "1.3.1"
        assert len(board.web.connections) == transfers

    with_board(scenario, job(), use, server, OLD)


def packed_job(compressed=None, size=len(NEW["app.py"]), **changes):
    """The same version with app.py compressed. compressed, size: of its entry. changes: of `deflate`."""
    found = {"size": len(PACKED), "sha256": hexlify(hashlib.sha256(PACKED).digest()).decode()}
    found.update(changes)
    document = job()
    document["files"][0].update({"deflate": compressed or found, "size": size})
    return document


def packing_server(content):
    def answer(connection):
        return File(content)(connection) if b"app.py" in connection.request else server(connection)

    return answer


def test_an_interrupted_update_resumes_in_the_file_that_was_arriving():
    stalls = [True]

    def stalling(connection):
        answer = server(connection)
        return (answer[:35000], False) if stalls and b"app.py" in connection.request else answer

    def scenario(board):
        board.start(until_condition=lambda: len(board.get("/app-b/app.py.part") or b"") > 32000)
        stalls.clear()
        assert board.finish() == "SUCCEEDED", board.reason()
        check_new(board)
        resumed, following = board.web.connections[1:3]
        assert int(resumed.header("Range")[6:-1]) >= 32768
        assert not following.header("Range")

    with_board(scenario, job(), use, stalling, OLD)


def test_an_update_that_is_interrupted_between_two_files_goes_on_with_the_second():
    for done in (1, 2, 3):
        cut = []

        def save(job, value, done=done, cut=cut, real=Job.save):
            real(job, value)
            if value[1:] == (done, 0):
                cut.append(True)
                lose_power()

        def scenario(board, cut=cut, save=save):
            with Replaced(Job, save=save):
                board.start(until_condition=lambda: cut)
            assert board.finish() == "SUCCEEDED"
            check_new(board)

        with_board(scenario, job(), use, server, OLD)


def test_a_compressed_file_is_unpacked():
    def scenario(board):
        assert board.finish() == "SUCCEEDED", board.reason()
        check_new(board)
        assert (board.get("/app-b/app.py.z"), board.get("/app-b/app.py.z.part")) == (None, None)

    # Only size and digest of the compressed file differ: the handler has checked nothing else in `deflate`.
    for other in ({}, {"stream": "a/+", "file": "x", "url": "ftp://x"}):
        with_board(scenario, packed_job(**other), use, packing_server(PACKED), OLD)


def test_there_must_be_room_for_a_compressed_file_beside_its_content():
    def scenario(board):
        assert board.finish() == "FAILED"
        assert "no room: %d bytes needed, 20000 free" % needed in board.reason(), board.reason()
        assert not board.web.connections

    needed = sum([len(content) for content in NEW.values()]) + len(PACKED) + 8192
    with Replaced(ujobs.flash, free=lambda path: 20000):
        with_board(scenario, packed_job(), use, packing_server(PACKED), OLD)


def test_an_unchanged_compressed_file_is_not_sent():
    def scenario(board):
        assert board.finish() == "SUCCEEDED", board.reason()
        assert b"app.py" not in b"".join([c.request for c in board.web.connections])
        assert board.get("/app-b/app.py") == NEW["app.py"]

    with_board(scenario, packed_job(), use, server, {"/app/app.py": NEW["app.py"]})


def test_a_file_that_unpacks_to_other_content_is_never_started():
    def digest(content):
        return {"size": len(content), "sha256": hexlify(hashlib.sha256(content).digest()).decode()}

    def scenario(board):
        assert board.finish() == "FAILED", board.reason()
        assert board.resets == 0
        check_old(board)
        assert (board.get("/app-b/app.py.z"), board.get("/app-b/app.py.part")) == (None, None)

    for wrong in (PACKED[:-20], b"no zlib stream at all", bytes(40)):
        with_board(scenario, packed_job(**digest(wrong)), use, packing_server(wrong), OLD)
    for size in (len(NEW["app.py"]) - 1, 10):
        written = []

        def noted(part, offset, data, written=written, real=Part.write):
            if part.path == trial.root + "/app-b/app.py":
                written.append(offset + len(data))
            real(part, offset, data)

        def too_large(board, size=size, written=written, noted=noted):
            with Replaced(Part, write=noted):
                scenario(board)
            # There was room for as much as the document announced.
            assert max([0] + written) <= size
            assert "the file is over %d bytes" % size in board.reason()

        with_board(too_large, packed_job(size=size), use, packing_server(PACKED), OLD)


def test_other_tasks_run_while_a_file_is_unpacked():
    order = []
    write = Part.write

    async def other():
        order.append("other")

    def noted(part, offset, data):
        if part.path == trial.root + "/app-b/app.py":
            order.append("write")
            asyncio.create_task(other())  # noqa: RUF006
        write(part, offset, data)

    def scenario(board):
        with Replaced(Part, write=noted):
            board.start()
        assert board.resets == 1
        assert board.cloud.clock.seconds() < 5, "they run, and nobody sleeps"

    with_board(scenario, packed_job(), use, packing_server(PACKED), OLD)
    assert order[:60] == ["write", "other"] * 30


def test_invalid_compression_is_rejected():
    for changes in (
        {"size": "5"}, {"size": -1}, {"sha256": "0"}, {"sha256": None}, {"compressed": 5}, {"compressed": [1]},
        {"compressed": {"size": 5}}, {"compressed": {"sha256": "0" * 64}},
    ):
        rejected(packed_job(**changes))
    for nothing in (None, [], {}):
        document = packed_job()
        document["files"][0]["deflate"] = nothing
        rejected(document)
    for end in (".part", ".z", ".z.part"):
        document = packed_job()
        document["files"].append(dict(document["files"][-1], path="app.py" + end))
        rejected(document, "two of the files need app.py")


def test_a_board_without_deflate_rejects_compressed_files():
    if sys.implementation.name == "cpython":  # a module can be hidden only there
        with with_modules(deflate=None):
            rejected(packed_job(), "no deflate")


def test_a_version_from_a_stream_that_the_document_names_once():
    def scenario(board):
        serve_stream(board.cloud.broker, b"app-2")
        assert board.finish() == "SUCCEEDED", board.reason()
        assert board.get("/app-b/app.py") == STREAMED

    document = job(stream="app-2", files=[entry("app.py", STREAMED, file=3)])
    with_board(scenario, document, use, None, OLD)
