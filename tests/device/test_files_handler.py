"""The `files` job: fetched files are complete and verified before they are moved to their paths, whatever fails."""

import asyncio
import hashlib
import os
from binascii import hexlify

import fast_time
import ujobs.certificates
import ujobs.flash
import ujobs.sources
from broker import raises, until
from cloud import Cloud, remove, run
from replaced import Replaced
from restarts import remove_all
from streams_service import CONTENT as STREAMED
from streams_service import serve_stream
from temporary import temporary
from ujobs.job import Job
from ujobs.sources import check_files, check_root
from web import File, Web, beside_broker, head

FOLDER = temporary("files")
CONTENT = bytes((n * 11 + n // 250) & 255 for n in range(100000))
URL = "http://files.example.com/"


def source(name="new", content=CONTENT, **fields):
    entry = {
        "path": FOLDER + "/" + name, "url": URL + name, "size": len(content),
        "sha256": hexlify(hashlib.sha256(content).digest()).decode(),
    }
    entry.update(fields)
    return entry


def stored(name="new"):
    try:
        with open(FOLDER + "/" + name, "rb") as file:
            return file.read()
    except OSError:
        return None


def names():
    try:
        return sorted(os.listdir(FOLDER))
    except OSError:
        return []


async def finished(agent, cloud):
    await until(lambda: cloud.done() and agent.journal.acknowledged)


def work(document, web=None, scenario=finished, cloud=None, keep=False, options=None):
    """Run one files job, or continue the one in `cloud` as after a reset; return its execution.

    keep: keep the existing files and journal.
    """
    web = web or Web(File(CONTENT))

    async def main(agent, cloud):
        asyncio.open_connection = beside_broker(asyncio.open_connection, web)
        await scenario(agent, cloud)

    if not keep:
        remove_all(FOLDER)
    if cloud is None:
        cloud = Cloud()
        document = dict(document)
        document["operation"] = "files"
        cloud.queue("files-1", document)
    options = {"roots": (FOLDER,)} if options is None else options
    run(main, lambda agent: agent.use("files", **options), cloud=cloud, keep=keep)
    return cloud.executions[0]


def test_files_are_fetched_to_their_paths():
    execution = work({"fetch": [source("deep/table"), source("b"), source("c")]})
    assert execution["status"] == "SUCCEEDED"
    assert execution["statusDetails"]["fetched"] == "3"
    assert [stored(name) for name in ("deep/table", "b", "c")] == [CONTENT] * 3
    assert names() == ["b", "c", "deep"]
    assert work({"fetch": [source()]})["statusDetails"] == {"fetched": "1", "progress": "100000/100000"}


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


def test_deleting_listing_and_reading():
    remove_all(FOLDER)
    os.mkdir(FOLDER)
    for name, content in (("old", b"1"), ("log", b"x" * 2000 + b"error 5\n\xff")):
        with open(FOLDER + "/" + name, "wb") as file:
            file.write(content)
    execution = work(
        {"delete": [FOLDER + "/old", FOLDER + "/none"], "list": FOLDER, "read": FOLDER + "/log"}, keep=True
    )
    details = execution["statusDetails"]
    assert execution["status"] == "SUCCEEDED"
    assert details["deleted"] == "1"
    assert details["list"] == "log 2009"
    assert details["read"].endswith("xxx" + "error 5 ?")
    assert len(details["read"]) == 1000
    assert names() == ["log"]


def test_an_existing_file_is_not_fetched_again():
    work({"fetch": [source()]})
    web = Web(File(CONTENT))
    assert work({"fetch": [source()]}, web, keep=True)["status"] == "SUCCEEDED"
    assert not web.connections


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


def test_invalid_documents_are_rejected_before_anything_changes():
    new, outside, no_path = FOLDER + "/new: ", " is outside roots", "a path must be text of 2 to 255 characters"
    nothing, no_list = "nothing to fetch, delete, list or read", " must be a list of at most 64"
    for document, reason in (
        ({}, nothing), ({"fetch": []}, nothing), ({"fetch": "x"}, "fetch" + no_list), ({"fetch": [1]}, no_path),
        ({"fetch": [source()] * 65}, "fetch" + no_list), ({"delete": "all"}, "delete" + no_list),
        ({"delete": ["/boot.py"]}, "path /boot.py" + outside), ({"read": 5}, no_path), ({"list": "/"}, no_path),
        ({"read": "/settings.json"}, "path /settings.json" + outside), ({"list": "/etc"}, "path /etc" + outside),
        ({"list": FOLDER + "x"}, "path " + FOLDER + "x" + outside),
    ):
        check_rejected(document, reason)
    for fields, reason in (
        ({"url": None}, new + "either url or stream is needed"), ({"sha256": None}, new + "sha256 is missing"),
        ({"sha256": "12"}, new + "sha256 must be 64 hex digits"), ({"size": -1}, new + "size must be"),
        ({"size": "1"}, new + "size must be an integer from 0 to 9223372036854775807"),
        ({"path": "/etc/passwd"}, "path /etc/passwd" + outside), ({"path": FOLDER + "/../x"}, "is not plain"),
        ({"path": "/lib/ujobs/agent.py"}, "outside"), ({"path": None}, no_path),
        ({"url": None, "stream": "app-2", "sha256": None}, new + "sha256 is missing"),
        ({"url": None, "stream": "s/x"}, new + "stream must be 1 to 128 characters of A-Z a-z 0-9 : _ -"),
        ({"url": None, "stream": "s", "file": 256}, new + "file must be an integer from 0 to 255"),
        ({"url": "http://files.example.com/a b"}, "url: a blank"), ({"url": "http://h:0/"}, "url: port"),
        ({"url": "gopher://files.example.com/"}, "url: scheme"), ({"url": "https://files.example.com/"}, "ca"),
        ({"deflate": {"size": 5, "sha256": "0" * 64}}, new + "deflate is for the operation app only"),
    ):
        wrong = {name: value for name, value in source(**fields).items() if value is not None}
        check_rejected({"fetch": [source("valid"), wrong]}, reason)
    assert work({"list": FOLDER})["status"] == "FAILED"  # it is allowed, but there is no such folder


def check_rejected(document, reason):
    web = Web(File(CONTENT))
    execution = work(document, web)
    assert execution["status"] == "REJECTED", document
    assert reason in execution["statusDetails"]["reason"], (document, execution["statusDetails"])
    assert not web.connections
    assert names() == []


def test_paths_cannot_escape():
    roots = ("/data", "/log")
    for path in ("/data/a", "/data/a/b.txt", "/log/..a", "/data/\xe9"):
        check_files({"delete": [path]}, {"roots": roots})
    for path in (
        None, 5, "", "/", "data/a", "/data", "/data/", "/data//a", "/data/./a", "/data/../a", "/data/a/..", "/dataa/x",
        "/lib/a", "/data/a\0b", "/data/a\nb", "/data/" + "a" * 255, "//data/a", "/DATA/a", "/data/a\\..\\b",
    ):
        raises(ValueError, check_files, {"delete": [path]}, {"roots": roots})


def test_files_that_protect_the_board_are_out_of_reach():
    for name in (
        "lib", "LIB", "app", "app-b", "App-slot", "firmware", "cert", "ujobs", "ujobs-journal", "trial", "main", "boot",
        "settings.json", "settings.old", "asyncio", "json",
    ):
        path = "/" + name + "/x"
        assert "/" + name + " " in str(raises(ValueError, check_files, {"read": path}, {"roots": ["/" + name]})), path
        raises(ValueError, check_files, {"list": "/" + name}, {"roots": ["/" + name]})
        raises(ValueError, check_root, "/" + name)
    for path in ("/data/../cert", "/data//../cert", "/data/."):
        raises(ValueError, check_root, path)
        raises(ValueError, check_files, {"list": path}, {"roots": [path]})
    for name in ("data", "sd", "logs", "lib2", "certificates"):
        check_root("/" + name)
        check_files({"read": "/" + name + "/x", "list": "/" + name}, {"roots": ["/" + name]})


def test_keys_are_out_of_reach_in_every_folder():
    for name in ("ca", "cert", "key", "signing_key"):
        options = {"roots": (FOLDER,), name: FOLDER + "/guard"}
        for document in (
            {"fetch": [source("guard", signature="AA==")]}, {"delete": [FOLDER + "/guard"]}, {"read": FOLDER + "/guard"}
        ):
            execution = work(document, options=options)
            assert execution["status"] == "REJECTED"
            assert "guard is outside" in execution["statusDetails"]["reason"]


def test_by_default_jobs_may_write_to_data_only():
    assert work({"fetch": [source()]}, options={})["status"] == "REJECTED"


def test_temporary_names_of_fetched_files_are_reserved():
    web = Web(File(CONTENT))
    for document in (
        {"fetch": [source("a"), source("a.part")]}, {"fetch": [source("b.part"), source("b")]},
        {"fetch": [source("c")], "delete": [FOLDER + "/c.part"]},
    ):
        assert work(document, web)["status"] == "REJECTED"
    assert not web.connections


def test_names_and_strings_keep_their_characters():
    name = "caf\xe9 \U0001f600"
    content = "\U0001f600".encode() * 1000
    work({"fetch": [source(name, content, url=URL)]}, Web(File(content)))
    assert names() == [name]
    details = work({"list": FOLDER, "read": FOLDER + "/" + name}, keep=True)["statusDetails"]
    assert details["list"] == name + " 4000"
    assert details["read"] == "\U0001f600" * 250


def test_a_file_that_cannot_be_fetched_is_named():
    web = Web(lambda connection: File(CONTENT)(connection) if b"/first" in connection.request else head(404, {}))
    execution = work({"fetch": [source("first"), source("second")]}, web)
    assert execution["status"] == "FAILED"
    assert execution["statusDetails"]["reason"] == "OSError: " + FOLDER + "/second: HTTP status 404"


def test_a_missing_file_is_named():
    for document in ({"list": FOLDER + "/none"}, {"read": FOLDER + "/none"}):
        execution = work(document)
        assert execution["status"] == "FAILED"
        assert FOLDER + "/none: " in execution["statusDetails"]["reason"]


def test_a_file_is_closed_before_it_is_moved_to_its_place():
    class Watched:
        def __getattr__(self, name):
            return getattr(os, name)

        def rename(self, old, new):
            raises((OSError, ValueError), part._file.write, b"more")
            os.rename(old, new)

    part = ujobs.flash.Part(FOLDER + "/moved")
    part.write(0, b"content")
    with Replaced(ujobs.flash, os=Watched()):
        part.install()
    assert stored("moved") == b"content"
    remove_all(FOLDER)


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


def test_a_folder_that_does_not_exist_has_the_space_of_the_root():
    assert ujobs.flash.free("/no-such-folder/x") > 0


def test_the_certificates_of_https_are_those_of_the_option():
    read = []
    with Replaced(ujobs.certificates, tls_context=read.append):
        ujobs.sources.check([source(url="https://files.example.com/new")], {"ca": "/cert/ca.der"})
    assert read == ["/cert/ca.der"]


def test_a_longer_old_part_is_truncated():
    long, short = File(CONTENT), File(bytes(reversed(CONTENT[:5000])))
    long.breaks_at = [60000]
    servers = [long, short]
    execution, _ = unchecked(lambda connection: servers.pop(0)(connection))
    assert execution["status"] == "SUCCEEDED"
    assert stored() == short.content


def test_a_stream_is_fetched_too():
    cloud = Cloud()
    serve_stream(cloud.broker, b"app-2")
    entry = source(content=STREAMED, stream="app-2", file=3)
    del entry["url"]
    cloud.queue("files-1", {"operation": "files", "fetch": [entry]})
    assert work(None, cloud=cloud)["status"] == "SUCCEEDED"
    assert stored() == STREAMED


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
