"""Updates of a board in the field: streams over mutual TLS, restarts of the real boot.py and main.py, littlefs."""

import contextlib
import hashlib
import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from board_at_work import BoardAtWork, board_at_work
from clouds import Cloud, ujobs_serve
from ujobs_tools.aws import cloud as clouds
from ujobs_tools.board.fakes.app_image import image as app_image
from ujobs_tools.board.image import read_files
from ujobs_tools.cli import app as ujobs
from ujobs_tools.host.processes import wait_until
from ujobs_tools.keys.pki import Authority
from ujobs_tools.keys.signing import Signer, new_key

ROLE = "arn:aws:iam::000000000000:role/streams"
HANDLERS = ["app", "call", "files", "firmware", "reboot", "settings", "steps"]

APP = '''
VERSION = "{version}"


def setup(agent):
    {setup}
    agent.use("call", functions={{"version": lambda: VERSION}})
'''
TABLE = bytes((n * 11 + n // 251) & 255 for n in range(60_000))


def application(version: str, setup: str = "pass") -> bytes:
    return APP.format(version=version, setup=setup).encode()


def entry(path: str, content: bytes, **more: Any) -> dict[str, Any]:
    return {"path": path, "size": len(content), "sha256": hashlib.sha256(content).hexdigest(), **more}


class Field:
    """A board in the field, and the servers of its files. board: every handler is allowed."""

    def __init__(self, board: BoardAtWork, web: "Web") -> None:
        self.board = board
        self.web = web
        self._s3 = clouds.client("s3", board.cloud.endpoint_url)
        self._streams = 0

    def stream(self, *contents: bytes) -> str:
        """Create a stream of these files, with ids from 0."""
        self._streams += 1
        name = f"{self.board.thing.name}-{self._streams}"
        files = []
        for number, content in enumerate(contents):
            key = f"{name}/{number}"
            self._s3.put_object(Bucket="files", Key=key, Body=content)
            files.append({"fileId": number, "s3Location": {"bucket": "files", "key": key}})
        self.board.iot.create_stream(streamId=name, files=files, roleArn=ROLE)
        return name

    def flash(self) -> dict[str, bytes]:
        """The files in the board's flash, once it has its image."""
        wait_until(lambda: "board: start" in self.board.said(), "the board's first start", 60)
        return read_files(self.board.image)

    def update(self, *contents: tuple[str, bytes]) -> dict[str, Any]:
        """Send the board a new application by stream; returns the execution once it has ended."""
        stream = self.stream(*(content for _, content in contents))
        files = [entry(path, content, file=number) for number, (path, content) in enumerate(contents)]
        return self.board.wait_for(self.board.give("app", version="2", stream=stream, files=files))

    def version(self) -> str:
        """The version that the running application reports."""
        found = self.board.wait_for(self.board.give("call", function="version"))
        return str(found["details"]["result"])


class Web:
    """A web server over TLS that supports ranges. content: by path. held: by path, how many bytes the next request gets
    before it waits for go_on."""

    def __init__(self, authority: Authority) -> None:
        self.content: dict[str, bytes] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.held: dict[str, int] = {}
        self.go_on = threading.Event()
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                wanted = self.headers["Range"]
                web.requests.append((self.path, wanted))
                content = web.content.get(self.path)
                if content is None:
                    return self.send_error(404)
                start = int(wanted[6:-1]) if wanted else 0
                self.send_response(206 if wanted else 200)
                self.send_header("Content-Length", str(len(content) - start))
                if wanted:
                    self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
                self.end_headers()
                end = web.held.pop(self.path, len(content))
                self.wfile.write(content[start:end])
                if end < len(content):
                    web.go_on.wait(60)
                return None

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = authority.server_context()
        context.verify_mode = ssl.CERT_NONE
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://localhost:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cloud, Web]]:
    """`ujobs serve`, and a web server with a certificate of the same CA."""
    folder = tmp_path_factory.mktemp("updates")
    with ujobs_serve(folder) as served:
        web = Web(Authority(folder / "data" / "pki"))
        yield served, web
        web.close()


@contextlib.contextmanager
def in_the_field(sources: tuple[Cloud, Web], thing: str, folder: Path, **settings: Any) -> Iterator[Field]:
    """Run a board with version 1 of an application."""
    served, web = sources
    (folder / "app.py").write_bytes(application("1"))
    settings = {"handlers": HANDLERS, "trial": 4, "watchdog": 20} | settings
    with board_at_work(served, thing, folder, folder / "app.py", **settings) as board:
        yield Field(board, web)


@pytest.fixture(scope="module")
def field(sources: tuple[Cloud, Web], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    """One board for the tests after which it is as before, or has a new version."""
    with in_the_field(sources, "field", tmp_path_factory.mktemp("field")) as found:
        yield found


@pytest.fixture
def own_field(sources: tuple[Cloud, Web], tmp_path: Path) -> Iterator[Field]:
    """A board of the test's own, whose settings it changes."""
    with in_the_field(sources, tmp_path.name[-40:], tmp_path) as found:
        yield found


def test_files_by_stream_and_over_https(field: Field) -> None:
    field.web.content["/table"] = TABLE
    board = field.board
    stream = field.stream(TABLE)
    fetched = [
        entry("/data/streamed", TABLE, stream=stream, file=0),
        entry("/data/downloaded", TABLE, url=field.web.url + "table"),
    ]
    found = board.wait_for(board.give("files", fetch=fetched, list="/data"))
    assert found["status"] == "SUCCEEDED", board.said()
    assert found["details"]["fetched"] == "2"
    assert found["details"]["list"] == "downloaded 60000, streamed 60000"
    files = field.flash()
    assert files["/data/streamed"] == files["/data/downloaded"] == TABLE


def test_a_file_by_presigned_url(field: Field) -> None:
    board = field.board
    clouds.client("s3", board.cloud.endpoint_url).put_object(Bucket="files", Key="line 1/tä.bin", Body=TABLE)
    url = "${aws:iot:s3-presigned-url-v2:https://files.s3.us-east-1.amazonaws.com/line%201/t%C3%A4.bin}"
    document = {"operation": "files", "fetch": [entry("/data/presigned", TABLE, url=url)]}
    board.iot.create_job(
        jobId="presigned", targets=[board.thing.arn], document=json.dumps(document),
        presignedUrlConfig={"roleArn": ROLE},
    )
    assert board.wait_for("presigned")["status"] == "SUCCEEDED", board.said()
    assert field.flash()["/data/presigned"] == TABLE


def test_after_a_power_cut_a_download_resumes_from_its_checkpoint(field: Field) -> None:
    board = field.board
    content = TABLE * 8
    field.web.content["/large"] = content
    field.web.held["/large"] = 300_000
    job = board.give("files", fetch=[entry("/data/large", content, url=field.web.url + "large")])

    def far() -> bool:
        return int(board.execution(job)["details"].get("progress", "0/").split("/")[0] or 0) > 100_000

    wait_until(far, board.said(), 30)
    board.cut_power()
    field.web.go_on.set()
    board.start()
    assert board.wait_for(job)["status"] == "SUCCEEDED", board.said()
    assert field.flash()["/data/large"] == content
    ranges = [wanted for path, wanted in field.web.requests if path == "/large" and wanted]
    assert len(ranges) == 1
    assert int(ranges[0][6:-1]) >= 65536


def test_a_new_application_by_stream(field: Field) -> None:
    assert field.version() == "1"
    found = field.update(("app.py", application("2")), ("lib/table.bin", TABLE))
    assert found["status"] == "SUCCEEDED", field.board.said()
    assert field.version() == "2"
    assert field.flash()["/app-b/lib/table.bin"] == TABLE
    assert field.update(("app.py", application("3")))["status"] == "SUCCEEDED"
    assert field.version() == "3"
    assert "/app/app.py" in field.flash()


def check_rollback(field: Field, broken: bytes, reason: str) -> None:
    """Send the board an application; it must report this reason, and then run the version from before."""
    before = field.version()
    found = field.update(("app.py", broken))
    assert found["status"] == "FAILED", field.board.said()
    assert reason in found["details"]["reason"]
    assert field.version() == before


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (b"import nowhere_to_be_found\n", "nowhere_to_be_found"),
        (application("4", "agent.link.server = 'nowhere.invalid'"), "3 boots: no connection: OSError: -202"),
        (application("4", "__import__('network').WLAN(0).disconnect()"), "3 boots: no connection: OSError"),
    ],
    ids=["crashes at import", "loses the cloud", "loses Wi-Fi"],
)
def test_an_application_that_does_not_work_is_rolled_back(field: Field, broken: bytes, reason: str) -> None:
    check_rollback(field, broken, reason)


def test_an_application_that_hangs_is_rolled_back(sources: tuple[Cloud, Web], tmp_path: Path) -> None:
    with in_the_field(sources, "hanging", tmp_path, watchdog=2) as field:
        check_rollback(field, b"while True:\n    pass\n", "3 boots: reset by the watchdog")


def test_settings_that_do_not_work_are_rolled_back(field: Field) -> None:
    board = field.board
    before = json.loads(field.flash()["/settings.json"])
    found = board.wait_for(board.give("settings", set={"port": 1}))
    assert found["status"] == "FAILED", board.said()
    assert json.loads(field.flash()["/settings.json"]) == before
    found = board.wait_for(board.give("settings", set={"keepalive": 90}))
    assert found["status"] == "SUCCEEDED"
    assert json.loads(field.flash()["/settings.json"]) == before | {"keepalive": 90}
    for wrong in ({"port": "8883"}, {"prot": 1}, {"roots": ["/"]}):
        assert board.wait_for(board.give("settings", set=wrong))["status"] == "REJECTED"


def test_new_firmware_one_for_another_chip_and_a_damaged_one(field: Field) -> None:
    board = field.board

    def install(version: str, image: bytes) -> dict[str, Any]:
        given = {"size": len(image), "sha256": hashlib.sha256(image).hexdigest(), "stream": field.stream(image)}
        return board.wait_for(board.give("firmware", version=version, file=0, **given))

    found = install("1.29", app_image(TABLE))
    assert found["status"] == "SUCCEEDED", board.said()
    assert found["details"]["partition"] == "ota_1"
    for image, reason in ((app_image(TABLE, 9), "chip"), (app_image(TABLE)[:-1], "ESP_ERR_OTA_VALIDATE_FAILED")):
        found = install("1.30", image)
        assert (found["status"], reason in found["details"]["reason"]) == ("FAILED", True), found


def test_aws_managed_templates_run_on_a_board(field: Field) -> None:
    board = field.board
    field.web.content["/table"] = TABLE
    arn = board.thing.arn
    iot = board.iot
    iot.create_job(jobId="reboot-1", targets=[arn], jobTemplateArn="arn:aws:iot:us-east-1::jobtemplate/AWS-Reboot:1.0")
    found = board.wait_for("reboot-1")
    assert found["status"] == "SUCCEEDED", board.said()
    iot.create_job(
        jobId="download-1", targets=[arn], jobTemplateArn="arn:aws:iot:us-east-1::jobtemplate/AWS-Download-File:1.0",
        documentParameters={"downloadUrl": field.web.url + "table", "filePath": "/data/table"},
    )
    found = board.wait_for("download-1")
    assert found["status"] == "SUCCEEDED", board.said()
    assert field.flash()["/data/table"] == TABLE


def sha256(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def require_signatures(field: Field, signer: Signer) -> None:
    """From now on the board only accepts files signed with this key."""
    board = field.board
    public = signer.public_der()
    fetched = [entry("/data/signing.der", public, stream=field.stream(public), file=0)]
    for job in (board.give("files", fetch=fetched), board.give("settings", set={"signing_key": "/data/signing.der"})):
        assert board.wait_for(job)["status"] == "SUCCEEDED", board.said()


def test_a_board_with_a_signing_key_accepts_signed_files_only(own_field: Field, tmp_path: Path) -> None:
    field, board = own_field, own_field.board
    signer, other = (Signer(new_key("ec", tmp_path / f"{name}.pem")) for name in ("signing", "other"))
    require_signatures(field, signer)
    table = entry("/data/table", TABLE, stream=field.stream(TABLE), file=0)
    for signed, status in (
        ({}, "REJECTED"), (other.members(sha256(TABLE)), "FAILED"), (signer.members(sha256(b"x")), "FAILED"),
        (signer.members(sha256(TABLE)), "SUCCEEDED"),
    ):
        found = board.wait_for(board.give("files", fetch=[table | signed]))
        assert found["status"] == status, found
        assert status == "SUCCEEDED" or "signature" in found["details"]["reason"]
        assert ("/data/table" in field.flash()) == (status == "SUCCEEDED")

    # AWS's own document for over-the-air updates has a signature and no SHA-256.
    image = app_image(TABLE)
    stream = field.stream(image)
    for made_by, status in ((other, "FAILED"), (signer, "SUCCEEDED")):
        file = {
            "filepath": "/", "filesize": len(image), "fileid": 0, "certfile": "/data/signing.der",
            "sig-sha256-ecdsa": made_by.members(sha256(image))["signature"],
        }
        update = {"protocols": ["MQTT"], "streamname": stream, "files": [file]}
        job = f"AFR_OTA-{status}-{stream}"
        board.iot.create_job(jobId=job, targets=[board.thing.arn], document=json.dumps({"afr_ota": update}))
        found = board.wait_for(job)
        assert found["status"] == status, board.said()


def publish(field: Field, command: str, path: Path, name: str, *options: str | Path) -> dict[str, Any]:
    """Run `ujobs publish-app` or `ujobs publish-firmware` for the board; returns the execution once it has ended."""
    what = ("--thing", field.board.thing.name, "--name", name, "--endpoint-url", field.board.cloud.endpoint_url)
    line = (command, path, "--version", "2", *what, *options)
    result = CliRunner().invoke(ujobs, list(map(str, line)))
    assert result.exit_code == 0, result.output
    return field.board.wait_for(name)


def test_publishing_with_a_key_signs_the_files(own_field: Field, tmp_path: Path) -> None:
    field, board = own_field, own_field.board
    keys = [tmp_path / f"{name}.pem" for name in ("signing", "other")]
    signer, _ = (Signer(new_key("rsa-2048", path)) for path in keys)
    require_signatures(field, signer)
    folder, image = tmp_path / "application", tmp_path / "micropython.bin"
    (folder / "lib").mkdir(parents=True)
    (folder / "app.py").write_bytes(application("2"))
    (folder / "lib" / "table.bin").write_bytes(TABLE)
    image.write_bytes(app_image(TABLE))
    for command, path in (("publish-app", folder), ("publish-firmware", image)):
        for kind, options, status in (
            ("unsigned", [], "REJECTED"), ("other", ["--key", keys[1]], "REJECTED"),
            ("signed", ["--key", keys[0]], "SUCCEEDED"),
        ):
            found = publish(field, command, path, f"{command}-{kind}", *options)
            assert found["status"] == status, board.said()
            assert status == "SUCCEEDED" or "signature" in found["details"]["reason"]
            assert status != "SUCCEEDED" or found["details"]["version"] == "2"
    assert field.version() == "2"
    assert field.flash()["/app-b/lib/table.bin"] == TABLE

    # An old document cannot downgrade the board: neither as it is signed, nor with an unsigned permission added.
    (folder / "app.py").write_bytes(application("1.9"))
    for options, status, now in (([], "REJECTED", "2"), (["--downgrade"], "SUCCEEDED", "1.9")):
        found = publish(
            field, "publish-app", folder, f"lower-{status}", "--key", keys[0], "--version", "1.9", *options
        )
        assert (found["status"], field.version()) == (status, now), board.said()
    document = json.loads(board.iot.get_job_document(jobId="lower-REJECTED")["document"])
    found = board.wait_for(board.give(**document | {"version": "3"}))
    assert found["status"] == "REJECTED", found
    assert board.wait_for(board.give(**document))["details"]["version"] == "1.9"
    again = json.loads(board.iot.get_job_document(jobId="publish-app-signed")["document"])
    assert board.wait_for(board.give(**again))["status"] == "SUCCEEDED"

    # The same signature with other content, whose size and hash in the document are correct.
    document = json.loads(board.iot.get_job_document(jobId="publish-app-signed")["document"])
    forged = application("3")
    document["files"][0] |= entry("app.py", forged) | {"file": 0}
    found = board.wait_for(board.give(**document | {"stream": field.stream(forged, TABLE)}))
    assert (found["status"], "signature" in found["details"]["reason"]) == ("REJECTED", True)
    assert field.version() == "2"
