"""The `files` job on the agent: fetched files come into place whole and checked, whatever breaks on the way."""

import asyncio
import hashlib
import os
from binascii import hexlify

import ujobs.flash
from broker import until
from cloud import PREFIX, Cloud, remove, run
from test_streams import CONTENT as STREAMED
from test_streams import Service
from ujobs.flash import check_paths
from web import File, Web, head

FOLDER = "/tmp/ujobs-files-%s" % os.urandom(4).hex()
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


def work(document, web=None, scenario=finished, cloud=None, keep=False):
    """Run one files job, or go on with the one in `cloud` as after a reset; return its execution.

    keep: with the files and the journal that are there.
    """
    web = web or Web(File(CONTENT))

    async def main(agent, cloud):
        mqtt = asyncio.open_connection

        async def open_connection(host, port, ssl=None, server_hostname=None):
            where = mqtt if host == "host" else web.open_connection
            return await where(host, port, ssl=ssl, server_hostname=server_hostname)

        asyncio.open_connection = open_connection
        await scenario(agent, cloud)

    if not keep:
        remove(FOLDER + "/deep")
        remove(FOLDER)
    if cloud is None:
        cloud = Cloud()
        document = dict(document)
        document["operation"] = "files"
        cloud.queue("files-1", document)
    run(main, lambda agent: agent.use("files", roots=(FOLDER,)), cloud=cloud, keep=keep)
    return cloud.executions[0]


def test_a_file_is_fetched_into_its_place():
    execution = work({"fetch": [source("deep/table")]})
    assert execution["status"] == "SUCCEEDED"
    assert execution["statusDetails"] == {"fetched": "1", "progress": "100000/100000"}
    assert stored("deep/table") == CONTENT
    assert names() == ["deep"]


def test_several_files_are_fetched():
    execution = work({"fetch": [source("a"), source("b"), source("c")]})
    assert execution["statusDetails"]["fetched"] == "3"
    assert names() == ["a", "b", "c"]
    assert stored("c") == CONTENT


def test_deleting_listing_and_reading():
    remove(FOLDER)
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


def test_what_is_there_already_is_not_fetched_again():
    work({"fetch": [source()]})
    web = Web(File(CONTENT))
    assert work({"fetch": [source()]}, web, keep=True)["status"] == "SUCCEEDED"
    assert not web.connections


def test_a_connection_lost_again_and_again_costs_no_byte_twice():
    server = File(CONTENT)
    server.breaks_at = [30000, 60000, 99000]
    web = Web(server)
    execution = work({"fetch": [source()]}, web)
    assert execution["status"] == "SUCCEEDED"
    assert stored() == CONTENT
    assert [connection.header("Range") for connection in web.connections] == [
        None, "bytes=30000-", "bytes=60000-", "bytes=99000-"
    ]


def test_a_server_that_gives_nothing_fails_the_job():
    execution = work({"fetch": [source()]}, Web(lambda connection: head(404, {})))
    assert execution["status"] == "FAILED"
    assert "404" in execution["statusDetails"]["reason"]
    assert names() == []


def test_wrong_content_never_comes_into_place():
    work({"fetch": [source(content=b"old", url=URL)]}, Web(File(b"old")))
    for fields in ({"sha256": "0" * 64}, {"size": 99999}, {"size": 100001}):
        execution = work({"fetch": [source(**fields)]}, keep=True)
        assert execution["status"] == "FAILED"
        assert stored() == b"old"
        assert names() == ["new"]


def test_no_more_is_written_than_was_announced():
    chunks = head(200, {"Transfer-Encoding": "chunked"}) + b"1000\r\n" + CONTENT[:4096] + b"\r\n1000\r\n" + CONTENT
    for answer, reason in (
        (File(CONTENT), "the file has 100000 bytes and not 5000"),
        (lambda connection: chunks, "more than the 5000 bytes announced"),
    ):
        web = Web(answer)
        execution = work({"fetch": [source(size=5000)]}, web)
        assert execution["status"] == "FAILED"
        assert reason in execution["statusDetails"]["reason"]
        assert len(web.connections) == 1
        assert names() == []


def test_an_expired_url_is_asked_for_anew():
    cloud = Cloud()
    document = {"operation": "files", "fetch": [source()]}
    cloud.queue("files-1", document)

    def answer(connection):
        if b"fresh" in connection.request:
            return File(CONTENT)(connection)
        document["fetch"] = [source(url=URL + "fresh")]
        return head(403, {})

    web = Web(answer)
    assert work(None, web, cloud=cloud)["status"] == "SUCCEEDED"
    assert len(web.connections) == 2


def test_a_reset_half_way_goes_on_from_the_last_checkpoint():
    async def power_cut(agent, cloud):
        await until(lambda: (agent.journal.checkpoint() or (0, 0))[1] > 60000)

    cloud = Cloud()
    cloud.queue("files-1", {"operation": "files", "fetch": [source()]})
    remove(FOLDER)
    work(None, Web(lambda connection: (File(CONTENT)(connection)[:80000], False)), power_cut, cloud, keep=True)
    assert stored() is None
    web = Web(File(CONTENT))
    assert work(None, web, cloud=cloud, keep=True)["status"] == "SUCCEEDED"
    assert stored() == CONTENT
    assert int(web.connections[0].header("Range")[6:-1]) > 60000
    assert names() == ["new"]


def test_documents_that_will_not_do_are_rejected_before_anything_is_touched():
    documents = (
        {"fetch": "x"}, {"fetch": [1]}, {"fetch": [source(url=None, stream=None)]}, {"fetch": [source(sha256="12")]},
        {"fetch": [source(size="1")]}, {"fetch": [source(size=-1)]}, {"fetch": [source()] * 65},
        {"fetch": [source(path="/etc/passwd")]}, {"fetch": [source(), source(path=FOLDER + "/../x")]},
        {"fetch": [source(path=None)]}, {"delete": "all"}, {"delete": ["/boot.py"]}, {"list": "/"},
        {"read": "/settings.json"}, {"read": 5}, {"fetch": [source(url="https://files.example.com/")]},
    )
    for document in documents:
        web = Web(File(CONTENT))
        execution = work(document, web)
        assert execution["status"] == "REJECTED", document
        assert not web.connections
        assert names() == []


def test_paths_cannot_escape():
    roots = ("/data", "/log")
    for path in ("/data/a", "/data/a/b.txt", "/log/..a", "/data/\xe9"):
        check_paths([path], roots)
    for path in (
        None, 5, "", "/", "data/a", "/data", "/data/", "/data//a", "/data/./a", "/data/../a", "/data/a/..", "/dataa/x",
        "/lib/a", "/data/a\0b", "/data/a\nb", "/data/" + "a" * 255, "//data/a", "/DATA/a", "/data/a\\..\\b",
    ):
        try:
            check_paths([path], roots)
        except ValueError:
            continue
        raise AssertionError(path)


def test_a_full_flash_fails_the_job_and_leaves_nothing():
    class Full:
        def __init__(self, free):
            self.free = free

        def __getattr__(self, name):
            return getattr(os, name)

        def statvfs(self, path):
            return (4096, 4096, 100, self.free, self.free, 0, 0, 0, 0, 255)

    # The last one is what littlefs says when it has used more than there is.
    for free in (0, 10, 17592186040320):
        ujobs.flash.os = Full(free)
        try:
            execution = work({"fetch": [source()]})
        finally:
            ujobs.flash.os = os
        assert execution["status"] == "FAILED"
        assert "no room" in execution["statusDetails"]["reason"]
        assert names() == []


def test_a_stream_is_fetched_too():
    cloud = Cloud()
    jobs = cloud.broker.on_publish
    streams = Service(cloud.broker, prefix=b"$aws/things/thing/streams/app-2/")

    def published(topic, payload):
        (jobs if topic.startswith(PREFIX) else streams.published)(topic, payload)

    cloud.broker.on_publish = published
    entry = source(content=STREAMED, stream="app-2", file=3)
    del entry["url"]
    cloud.queue("files-1", {"operation": "files", "fetch": [entry]})
    assert work(None, cloud=cloud)["status"] == "SUCCEEDED"
    assert stored() == STREAMED
