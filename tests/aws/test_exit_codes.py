"""One rule for the exit code of every command: 1 for what was tried and failed, 2 for a wrong command line, file or
setting. And one form of message: one line that begins with the cause in plain words."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

import clouds
from ujobs_tools.cli import app

FAILED, WRONG = 1, 2
DOCUMENT = ("--document", '{"operation": "blink"}')
IMAGE = ("--thing", "t", "--host", "localhost")
PUBLISH = ("--version", "1", "--name", "job")


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[clouds.Cloud]:
    """A local service with one thing and one job."""
    with clouds.ujobs_serve(tmp_path_factory.mktemp("serve")) as found:
        iot = found.iot()
        arn = iot.create_thing(thingName="known")["thingArn"]
        iot.create_job(jobId="known", targets=[arn], document=DOCUMENT[1])
        yield found


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: an application, one that does not compile, and files of the wrong kind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "500")
    for name, text in (("app", "def setup(agent): pass\n"), ("broken", "def (:\n"), ("empty", "")):
        (tmp_path / name).mkdir()
        if text:
            (tmp_path / name / "app.py").write_text(text)
    (tmp_path / "text").write_text("text")
    (tmp_path / "list.json").write_text("[]")
    return tmp_path


def ends(code: int, said: str, *arguments: str | Path) -> None:
    """Run `ujobs ARGUMENTS...`; it must end with the code and have the text in its last line, without a traceback."""
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert isinstance(result.exception, SystemExit), (arguments, result.exception)
    last = " ".join(line for line in result.output.splitlines()[-2:] if not line.startswith("╰"))
    assert (result.exit_code, said in last) == (code, True), (arguments, result.output)


@pytest.mark.parametrize(
    ("code", "said", "arguments"),
    [
        (WRONG, "document is not JSON", ("job", "create", "j", "--thing", "known", "--document", "{")),
        (WRONG, "document is not JSON: NaN is not a number in JSON",
         ("job", "create", "j", "--thing", "known", "--document", '{"operation": "heat", "to": NaN}')),
        (WRONG, 'must be a JSON object with an "operation"',
         ("job", "create", "j", "--thing", "known", "--document", '{"operation": ""}')),
        (WRONG, "list.json is not a JSON object", ("job", "create", "j", "--document-file", "list.json")),
        (WRONG, "nope: No such file", ("job", "create", "j", "--document-file", "nope")),
        (WRONG, "give --thing or --group", ("job", "create", "j", *DOCUMENT)),
        (WRONG, "'a b' must be 1 to 64 characters", ("job", "create", "a b", "--thing", "known", *DOCUMENT)),
        (WRONG, "'a b' must be 1 to 64 characters", ("job", "watch", "a b")),
        (WRONG, "--rate 'fast' must be", ("job", "create", "j", "--thing", "known", *DOCUMENT, "--rate", "fast")),
        (WRONG, "does not accept this CreateJob request (InvalidRequestException: ",
         ("job", "create", "j", "--thing", "known", *DOCUMENT, "--rate", "100000")),
        (FAILED, 'job create: thing "nope" does not exist at http://',
         ("job", "create", "j", "--thing", "nope", *DOCUMENT)),
        (FAILED, "`ujobs thing create nope --out FOLDER` creates it (ResourceNotFoundException: ",
         ("job", "create", "j", "--thing", "nope", *DOCUMENT)),
        (FAILED, 'thing group "nope" does not exist', ("job", "create", "j", "--group", "nope", *DOCUMENT)),
        (FAILED, 'job "known" already exists',
         ("job", "create", "known", "--thing", "known", "--document", '{"operation": "other"}')),
        (FAILED, 'job "nope" does not exist', ("job", "watch", "nope")),
        (FAILED, 'job "nope" does not exist', ("job", "describe", "nope")),
        (FAILED, 'job "nope" does not exist', ("job", "cancel", "nope")),
        (FAILED, 'job "nope" does not exist', ("job", "delete", "nope")),
        (FAILED, 'thing "nope" has no execution of job "known"', ("job", "describe", "known", "--thing", "nope")),
        (FAILED, 'job "known" is in progress: add --force', ("job", "delete", "known")),
        (FAILED, 'thing "nope" does not exist', ("thing", "show", "nope")),
        (FAILED, 'thing "nope" does not exist', ("thing", "delete", "nope")),
        (FAILED, "thing known already exists", ("thing", "create", "known", "--out", "out")),
        (WRONG, "thing name 'a/b' must be", ("thing", "create", "a/b", "--out", "out")),
        (WRONG, "topic 'a/#' has a wildcard of MQTT: write *",
         ("thing", "create", "new", "--out", "out", "--topic", "a/#")),
        (WRONG, "text is not a folder", ("thing", "create", "new", "--out", "text")),
        (WRONG, "nope: No such file", ("thing", "create", "new", "--out", "out", "--ca", "nope")),
        (WRONG, "CA from text", ("thing", "create", "new", "--out", "out", "--ca", "text")),
        (WRONG, "nope: No such file", ("claim", "create", "c", "--out", "out", "--template", "nope")),
        (WRONG, "template name 'a b' must be", ("claim", "create", "a b", "--out", "out")),
        (WRONG, "nope: No such file or folder", ("publish-app", "nope", *PUBLISH, "--thing", "known")),
        (WRONG, "no application in empty", ("publish-app", "empty", *PUBLISH, "--thing", "known")),
        (WRONG, "nope: No such file", ("publish-app", "app", *PUBLISH, "--thing", "known", "--key", "nope")),
        (WRONG, "name 'a b' must be", ("publish-app", "app", "--version", "1", "--name", "a b", "--thing", "known")),
        (FAILED, 'thing "nope" does not exist', ("publish-app", "app", *PUBLISH, "--thing", "nope")),
        (WRONG, "text is not an ESP32 application image", ("publish-firmware", "text", *PUBLISH, "--thing", "known")),
    ],
)  # fmt: skip
def test_commands_that_use_the_service(
    serve: clouds.Cloud, files: Path, code: int, said: str, arguments: tuple[str, ...]
) -> None:
    ends(code, said, *arguments, "--endpoint-url", serve.endpoint_url)


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("code", "said", "arguments"),
    [
        (WRONG, "endpoint URL 'here' must be http://HOST:PORT", ("job", "list", "--endpoint-url", "here")),
        (FAILED, "nothing answers at http://127.0.0.1:1", ("job", "list", "--endpoint-url", "http://127.0.0.1:1")),
        (WRONG, "no AWS region", ("job", "list")),
        (WRONG, "no AWS credentials", ("job", "list", "--region", "eu-west-1")),
        (WRONG, "(nope)", ("job", "list", "--profile", "nope")),
        (WRONG, "nope/ca.der: No such file", ("board", "new.img", *IMAGE, "--thing-dir", "nope")),
        (WRONG, "a new image needs the thing: give --thing, --set claim.template=NAME, or", ("board", "new.img")),
        (WRONG, "text is not a flash image", ("board", "text")),
        (FAILED, "no board at /dev/ttyNONE", ("qualify", "--port", "/dev/ttyNONE", "--region", "eu-west-1")),
        (WRONG, "nope: No such file", ("qualify", "--port", "socket://127.0.0.1:1", "--ca", "nope")),
        (WRONG, "give a file with Amazon Root CA 1", ("qualify", "--port", "socket://127.0.0.1:1")),
        (WRONG, "no application in empty", ("board", "new.img", *IMAGE, "--app", "empty")),
        (WRONG, "--heap much must be", ("board", "new.img", *IMAGE, "--heap", "much")),
        (WRONG, "text exists and is not empty", ("new", "text")),
        (WRONG, "project name '1' must be", ("new", "1")),
        (WRONG, "the name is empty", ("new", "")),
        (WRONG, "no ujobs.toml in this folder", ("run",)),
        (WRONG, "nope: No such file", ("sign", "--key", "nope", "text")),
        (WRONG, "text is not a private key", ("sign", "--key", "text", "text")),
        (WRONG, "text exists, and keys are never overwritten", ("sign", "--key", "text", "--new-key", "ec")),
        (WRONG, "nope: No such file", ("flash", "nope")),
        (WRONG, "text is not an image for an ESP32", ("flash", "text")),
        (FAILED, "no board at nope", ("deploy", "--port", "nope")),
        (FAILED, "no board at nope", ("logs", "--port", "nope")),
        (FAILED, "no board at nope", ("provision", "t", "--port", "nope")),
        (WRONG, "no application in empty", ("provision", "t", "--port", "nope", "--app", "empty")),
        (WRONG, "--only nope: no such case", ("qualify", "--only", "nope")),
        (WRONG, "nope: debug, info, warning or error", ("serve", "--log-level", "nope")),
        (WRONG, "ujobs serve: nope/ready: No such file", ("serve", "--ready-file", "nope/ready")),
        (WRONG, "not a database", ("serve", "--data", "damaged")),
        (WRONG, "No such option", ("job", "list", "--nope")),
    ],
)
def test_other_commands(files: Path, code: int, said: str, arguments: tuple[str, ...]) -> None:
    (files / "damaged").mkdir()
    (files / "damaged" / "jobs.sqlite").write_text("not a database, but long enough to be looked at " * 10)
    ends(code, said, *arguments)


def test_a_project_inside_another_is_said_to_be_one(files: Path) -> None:
    for folder in ("kiln", "kiln/inner"):
        result = CliRunner().invoke(app, ["new", folder])
        assert result.exit_code == 0
        assert (f"note: {folder} is inside the project {files / 'kiln'}" in result.output) == (folder == "kiln/inner")


def test_a_port_in_use(files: Path) -> None:
    assert CliRunner().invoke(app, ["new", "kiln"]).exit_code == 0
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ends(FAILED, "Address already in use", "serve", "--http-port", str(port))
        toml = files / "kiln" / "ujobs.toml"
        toml.write_text(toml.read_text().replace("8765", str(port)))
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(files / "kiln")
            ends(FAILED, f"http://127.0.0.1:{port} is in use", "run")
    toml.write_text('thing = "kiln"\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(files / "kiln")
        ends(WRONG, "ujobs.toml names no app", "run")
