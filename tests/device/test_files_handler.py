"""The `files` job: what it fetches, deletes, lists and reads, and what it refuses before anything is changed."""

import os

import ujobs.certificates
import ujobs.flash
import ujobs.sources
from broker import raises
from files_job import CONTENT, FOLDER, URL, names, source, stored, work
from replaced import Replaced
from restarts import remove_all
from ujobs.sources import check_files, check_root
from web import File, Web, head


def test_files_are_fetched_to_their_paths():
    execution = work({"fetch": [source("deep/table"), source("b"), source("c")]})
    assert execution["status"] == "SUCCEEDED"
    assert execution["statusDetails"]["fetched"] == "3"
    assert [stored(name) for name in ("deep/table", "b", "c")] == [CONTENT] * 3
    assert names() == ["b", "c", "deep"]
    assert work({"fetch": [source()]})["statusDetails"] == {"fetched": "1", "progress": "100000/100000"}


def test_deleting_listing_and_reading():
    remove_all(FOLDER)
    os.mkdir(FOLDER)
    for name, content in (("old", b"1"), ("log", b"x" * 2000 + b"error 5~\n\x7f\xff")):
        with open(FOLDER + "/" + name, "wb") as file:
            file.write(content)
    execution = work(
        {"delete": [FOLDER + "/old", FOLDER + "/none"], "list": FOLDER, "read": FOLDER + "/log"}, keep=True
    )
    details = execution["statusDetails"]
    assert execution["status"] == "SUCCEEDED"
    assert details["deleted"] == "1"
    assert details["list"] == "log 2011"
    assert details["read"].endswith("xxx" + "error 5~ ??")
    assert len(details["read"]) == 1000
    assert names() == ["log"]


def test_an_existing_file_is_not_fetched_again():
    work({"fetch": [source()]})
    web = Web(File(CONTENT))
    assert work({"fetch": [source()]}, web, keep=True)["status"] == "SUCCEEDED"
    assert not web.connections


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
        ({"deflate": {"size": 5, "sha256": "0" * 64}}, new + "deflate is for app only"),
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
    class Os:
        """A board with every folder."""

        @staticmethod
        def stat(path):
            return ()

    with Replaced(ujobs.sources, os=Os):
        for name in ("lib", "firmware", "cert", "main", "boot", "umqtt", "Umqtt", "app", "app-b", "ujobs", "trial"):
            raises(ValueError, check_root, "/" + name)
        check_root("/asyncio")  # it hides the module already
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


def test_a_short_file_is_read_whole():
    content = b"error 5"
    document = {"fetch": [source(content=content)], "read": FOLDER + "/new"}
    assert work(document, Web(File(content)))["statusDetails"]["read"] == "error 5"


def test_names_and_strings_keep_their_characters():
    name = "caf\xe9 \U0001f600"
    content = "\U0001f600".encode() * 1000
    work({"fetch": [source(name, content, url=URL)]}, Web(File(content)))
    assert names() == [name]
    details = work({"list": FOLDER, "read": FOLDER + "/" + name}, keep=True)["statusDetails"]
    assert details["list"] == name + " 4000"
    assert details["read"] == "\U0001f600" * 250
    for more in range(1, 4):
        # The first character is cut.
        cut = content + b"x" * more
        details = work({"fetch": [source(content=cut)], "read": FOLDER + "/new"}, Web(File(cut)))["statusDetails"]
        assert details["read"] == "\U0001f600" * 249 + "x" * more, more


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


def test_a_folder_that_does_not_exist_has_the_space_of_the_root():
    assert ujobs.flash.free("/no-such-folder/x") > 0


def test_the_certificates_of_https_are_those_of_the_option():
    read = []
    with Replaced(ujobs.certificates, tls_context=read.append):
        ujobs.sources.check([source(url="https://files.example.com/new")], {"ca": "/cert/ca.der"})
    assert read == ["/cert/ca.der"]
