"""A file that a job fetches is complete and checked before it is in its place, whatever fails on the way."""

import asyncio
import hashlib

import fast_time
import ujobs.certificates
import ujobs.fetch
import ujobs.flash
import ujobs.link
import ujobs.sources
from broker import raises, until
from cloud import DIRECTORY, Cloud, lose_power, remove
from files_job import CONTENT, FOLDER, URL, names, source, stored, work
from replaced import Replaced
from restarts import remove_all
from streams_service import CONTENT as STREAMED
from streams_service import serve_stream
from ujobs.job import Job
from web import File, Web, head


def test_progress_is_what_survives_a_reset_and_ends_with_the_whole_file():
    noted = []

    def note(job, done=None, total=None, message=None, real=Job.note):
        real(job, done, total, message)
        noted.append(job.noted().get("progress"))

    small = CONTENT[:500]
    with Replaced(Job, note=note):
        work({"fetch": [source()]})
        work({"fetch": [source(content=small)]}, Web(File(small)))
    found = [int(text.split("/")[0]) for text in noted]
    assert found[-4:] == [100000, 100000, 500, 500]
    assert [done // 32768 for done in found[:3]] == [1, 2, 3]
    assert noted[-1] == "500/500"


def test_repeated_disconnections_transfer_no_byte_twice():
    server = File(CONTENT)
    server.breaks_at = [30000, 60000, 99000]
    web = Web(server)
    execution = work({"fetch": [source()]}, web)
    assert execution["status"] == "SUCCEEDED"
    assert stored() == CONTENT
    assert [connection.header("Range") for connection in web.connections] == [
        None, "bytes=30000-", "bytes=60000-", "bytes=99000-"
    ]


def test_a_server_that_sends_nothing_is_asked_five_times_with_growing_pauses():
    class Random:
        def random(self):
            return 1

    times = []

    async def scenario(agent, cloud):
        await until(lambda: cloud.done() and agent.journal.acknowledged, 300)

    def answer(connection):
        times.append(ujobs.link.time.seconds())
        return b""

    with Replaced(ujobs.fetch, random=Random()):
        assert work({"fetch": [source()]}, Web(answer), scenario)["status"] == "FAILED"
    assert [int(late - early) for early, late in zip(times, times[1:])] == [4, 8, 16, 32]


def test_no_more_is_written_than_was_announced():
    chunks = head(200, {"Transfer-Encoding": "chunked"}) + b"1000\r\n" + CONTENT[:4096] + b"\r\n1000\r\n" + CONTENT
    web = Web(lambda connection: chunks)
    execution = work({"fetch": [source(size=5000)]}, web)
    assert execution["status"] == "FAILED"
    assert "over 5000 bytes" in execution["statusDetails"]["reason"]
    assert len(web.connections) == 1
    assert names() == []


def renewing(document, fresh):
    """A server that refuses the URL of a document; from then on, the document has the source `fresh`."""

    def answer(connection):
        if b"fresh" in connection.request:
            return File(CONTENT)(connection)
        document["fetch"] = [fresh]
        return head(403, {})

    return answer


def test_an_expired_url_is_renewed():
    cloud = Cloud()
    document = {"operation": "files", "fetch": [source()]}
    cloud.queue("files-1", document)

    web = Web(renewing(document, source(url=URL + "fresh")))
    assert work(None, web, cloud=cloud)["status"] == "SUCCEEDED"
    assert len(web.connections) == 2
    # The same job may have been created again meanwhile.
    assert [body["executionNumber"] for suffix, body in cloud.requests if suffix == "files-1/get"] == [1]


def test_a_download_resumes_from_the_last_checkpoint_after_a_reset():
    async def power_cut(agent, cloud):
        await until(lambda: (agent.journal.checkpoint() or (0, 0))[1] > 60000)

    cloud = Cloud()
    cloud.queue("files-1", {"operation": "files", "fetch": [source(), source("deep/next")]})
    remove(FOLDER)
    work(None, Web(lambda connection: (File(CONTENT)(connection)[:80000], False)), power_cut, cloud, keep=True)
    assert stored() is None
    web = Web(File(CONTENT))
    assert work(None, web, cloud=cloud, keep=True)["status"] == "SUCCEEDED"
    assert stored() == CONTENT
    assert int(web.connections[0].header("Range")[6:-1]) > 60000
    assert not web.connections[1].header("Range")
    assert stored("deep/next") == CONTENT
    assert names() == ["deep", "new"]


def test_a_job_that_is_interrupted_between_two_files_goes_on_with_the_second():
    cut = []

    def save(job, value, real=Job.save):
        real(job, value)
        if value == (1, 0):
            cut.append(1)
            lose_power()

    async def power_cut(agent, cloud):
        await until(lambda: cut)

    cloud = Cloud()
    cloud.queue("files-1", {"operation": "files", "fetch": [source("a"), source("b"), source("c")]})
    remove_all(FOLDER)
    remove(DIRECTORY)
    with Replaced(Job, save=save):
        work(None, scenario=power_cut, cloud=cloud, keep=True)
    assert (stored("a"), stored("b")) == (CONTENT, None)
    assert work(None, cloud=cloud, keep=True)["status"] == "SUCCEEDED"
    assert (stored("b"), stored("c")) == (CONTENT, CONTENT)


def unnamed(url="https://files.example.com/new"):
    entry = source(url=url)
    for name in ("size", "sha256"):
        del entry[name]
    return entry


def unchecked(server, cloud=None, entry=None):
    """Fetch a file over HTTPS, here without TLS; its document has no SHA-256, like AWS's own documents."""
    web = Web(server)
    with Replaced(ujobs.sources, check=lambda sources, options, trusted: ("TLS", None)):
        return work({"fetch": [entry or unnamed()]}, web, cloud=cloud), web


def test_a_response_of_which_a_cut_would_not_be_noticed_is_refused():
    without_length = lambda connection: head(200, {}) + CONTENT  # noqa: E731
    execution, web = unchecked(without_length)
    assert execution["status"] == "FAILED"
    reason = "OSError: " + FOLDER + "/new: url: without Content-Length the job needs size or sha256"
    assert execution["statusDetails"]["reason"] == reason
    assert (names(), len(web.connections)) == ([], 1)
    chunks = head(200, {"Transfer-Encoding": "chunked"}) + b"%x\r\n%s\r\n0\r\n\r\n" % (len(CONTENT), CONTENT)
    execution, _ = unchecked(lambda connection: chunks)
    assert (execution["status"], stored()) == ("SUCCEEDED", CONTENT)
    sized = unnamed()
    sized["size"] = len(CONTENT)
    for entry in (sized, source()):
        execution, _ = unchecked(without_length, entry=entry)
        assert (execution["status"], stored()) == ("SUCCEEDED", CONTENT)


def test_a_file_of_unknown_size_never_fills_the_flash():
    chunks = head(200, {"Transfer-Encoding": "chunked"}) + b"%x\r\n%s\r\n0\r\n\r\n" % (len(CONTENT), CONTENT)
    # Room for the first 32 KB, and for nothing more.
    with Replaced(ujobs.flash, free=lambda path: 20000):
        execution, _ = unchecked(lambda connection: chunks)
    assert execution["status"] == "FAILED"
    assert "no room: 40960 bytes needed, 20000 free" in execution["statusDetails"]["reason"]
    assert names() == []


def test_a_file_that_is_larger_than_the_room_for_it_is_not_begun():
    entry = source()
    del entry["size"]
    writes = []

    def write(part, offset, data):
        writes.append(offset)

    with Replaced(ujobs.flash, free=lambda path: 20000), Replaced(ujobs.flash.Part, write=write):
        execution = work({"fetch": [entry]})
    assert execution["status"] == "FAILED"
    assert "no room: 108192 bytes needed, 20000 free" in execution["statusDetails"]["reason"]
    assert not writes


def test_a_resumed_file_of_unknown_size_needs_room_for_its_rest_only():
    server = File(CONTENT)
    server.breaks_at = [60000]
    entry = source()
    del entry["size"]
    free = [110000, 50000]
    with Replaced(ujobs.flash, free=lambda path: free.pop(0)):
        execution = work({"fetch": [entry]}, Web(server))
    assert (execution["status"], stored()) == ("SUCCEEDED", CONTENT)


def test_a_part_that_is_no_longer_needed_is_closed():
    remove_all(FOLDER)
    for end in ("install", "close", "remove"):
        part = ujobs.flash.Part(FOLDER + "/part")
        part.write(0, b"x")
        getattr(part, end)()
        raises((OSError, ValueError), part.write, 1, b"y")


def test_other_tasks_run_while_a_file_is_checked():
    turns = []

    async def others():
        while True:
            turns.append(1)
            await asyncio.sleep(0)

    async def main(clock):
        task = asyncio.create_task(others())
        await asyncio.sleep(0)
        before = len(turns)
        digest = await ujobs.flash.sha256(FOLDER + "/new")
        task.cancel()
        return digest, len(turns) - before

    work({"fetch": [source()]})
    assert fast_time.run(main) == (hashlib.sha256(CONTENT).digest(), len(CONTENT) // 32768)


def test_a_renewed_document_does_not_change_the_following_files():
    cloud = Cloud()
    forged = b"forged"
    document = {"operation": "files", "fetch": [source("a"), source("b")]}
    cloud.queue("files-1", document)

    def answer(connection):
        if b"forged" in connection.request:
            return File(forged)(connection)
        if document["fetch"][0]["url"] == URL + "a":
            document["fetch"] = [source("a", url=URL + "fresh"), source("b", forged, url=URL + "forged")]
            return head(403, {})
        return File(CONTENT)(connection)

    assert work(None, Web(answer), cloud=cloud)["status"] == "SUCCEEDED"
    assert (stored("a"), stored("b")) == (CONTENT, CONTENT)


def test_a_renewed_url_may_not_leave_https():
    cloud = Cloud()
    document = {"operation": "files", "fetch": [unnamed()]}
    cloud.queue("files-1", document)

    execution, web = unchecked(renewing(document, unnamed(URL + "fresh")), cloud)
    assert execution["status"] == "FAILED"
    assert "leaves https" in execution["statusDetails"]["reason"]
    assert len(web.connections) == 1


def test_parts_of_two_versions_are_never_joined():
    class Changing(File):
        etag = '"1"'

        def __call__(self, connection):
            answer = super().__call__(connection)
            assert connection.header("If-Range") == (self.etag if connection.header("Range") else None)
            head_, _, body = answer.partition(b"\r\n\r\n")
            return head_ + (b"\r\nETag: " + self.etag.encode() if self.etag else b"") + b"\r\n\r\n" + body

    for etag, ranges in (('"1"', [None, "bytes=60000-"]), (None, [None, None]), ('W/"1"', [None, None])):
        server = Changing(CONTENT)
        server.etag = etag
        server.breaks_at = [60000]
        execution, web = unchecked(server)
        assert execution["status"] == "SUCCEEDED"
        assert stored() == CONTENT
        assert [connection.header("Range") for connection in web.connections] == ranges


def test_a_server_that_ignores_if_range_does_not_join_two_versions():
    first, second = File(CONTENT), File(bytes(reversed(CONTENT)))
    first.breaks_at = [60000]
    servers = [(first, b'"1"'), (second, b'"2"'), (second, b'"2"')]

    def answer(connection):
        server, etag = servers.pop(0)
        head_, _, body = server(connection).partition(b"\r\n\r\n")
        return head_ + b"\r\nETag: " + etag + b"\r\n\r\n" + body

    execution, web = unchecked(answer)
    assert execution["status"] == "SUCCEEDED"
    assert stored() == second.content
    assert [connection.header("Range") for connection in web.connections] == [None, "bytes=60000-", None]


def test_a_position_that_the_server_does_not_have_is_asked_for_no_more():
    servers = [File(CONTENT), lambda connection: head(416, {}), File(CONTENT)]
    servers[0].breaks_at = [60000]
    entry = source()
    del entry["size"]
    web = Web(lambda connection: servers.pop(0)(connection))
    assert work({"fetch": [entry]}, web)["status"] == "SUCCEEDED"
    assert [connection.header("Range") for connection in web.connections] == [None, "bytes=60000-", None]
    refusing = Web(lambda connection: head(416, {}))
    assert work({"fetch": [entry]}, refusing)["status"] == "FAILED"
    assert len(refusing.connections) == 1, "a whole file cannot be out of range"


def test_a_file_that_is_shorter_than_announced_is_refused():
    chunks = head(200, {"Transfer-Encoding": "chunked"}) + b"1000\r\n" + CONTENT[:4096] + b"\r\n0\r\n\r\n"
    execution = work({"fetch": [source(size=5000)]}, Web(lambda connection: chunks))
    assert execution["status"] == "FAILED"
    assert "the file has 4096 bytes, not 5000" in execution["statusDetails"]["reason"]
    assert names() == []


def test_a_longer_old_part_is_truncated():
    long, short = File(CONTENT), File(bytes(reversed(CONTENT[:5000])))
    long.breaks_at = [60000]
    servers = [long, short]
    execution, _ = unchecked(lambda connection: servers.pop(0)(connection))
    assert execution["status"] == "SUCCEEDED"
    assert stored() == short.content
    assert execution["statusDetails"]["progress"] == "5000/5000"


def test_a_stream_is_fetched_too():
    for given, used in (({"file": 3}, 3), ({}, 0)):
        cloud = Cloud()
        service = serve_stream(cloud.broker, b"app-2")
        entry = source(content=STREAMED, stream="app-2", **given)
        del entry["url"]
        cloud.queue("files-1", {"operation": "files", "fetch": [entry]})
        saved = []

        def save(job, value, saved=saved, real=Job.save):
            # A reset now must not lose what it records.
            if value[-1]:
                with open(FOLDER + "/new.part", "rb") as file:
                    assert file.seek(0, 2) >= value[-1]
            saved.append(value[-1])
            real(job, value)

        with Replaced(Job, save=save):
            assert work(None, cloud=cloud)["status"] == "SUCCEEDED"
        assert stored() == STREAMED
        assert {request["f"] for request in service.requests} == {used}
        assert 3 <= len(saved) <= len(STREAMED) // 32768


def test_a_stream_resumes_with_the_block_of_the_last_checkpoint_after_a_reset():
    async def power_cut(agent, cloud):
        await until(lambda: (agent.journal.checkpoint() or (0, 0))[1])

    cloud = Cloud()
    service = serve_stream(cloud.broker, b"app-2")
    # The first blocks arrive, and then nothing more.
    service.lasts = 20
    entry = source(content=STREAMED, stream="app-2", file=3)
    del entry["url"]
    cloud.queue("files-1", {"operation": "files", "fetch": [entry]})
    remove_all(FOLDER)
    work(None, scenario=power_cut, cloud=cloud, keep=True)
    service = serve_stream(cloud.broker, b"app-2")
    assert work(None, cloud=cloud, keep=True)["status"] == "SUCCEEDED"
    assert stored() == STREAMED
    assert 0 < service.requests[0]["o"] <= 20
