"""`ujobs publish-app` with the local service, without S3; and which files belong to an application."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner, Result

import clouds
from ujobs_tools.aws import cloud, fleet
from ujobs_tools.board.fakes.app_image import image as app_image
from ujobs_tools.board.files import application_files
from ujobs_tools.cli import app

THING = "kiln-7"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the service."""
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def served(data: Path) -> Iterator[clouds.Cloud]:
    """`ujobs serve`, with a thing."""
    with clouds.ujobs_serve(data) as found:
        found.iot().create_thing(thingName=THING)
        yield found


def publish(command: str, path: Path, *options: str | Path) -> Result:
    return CliRunner().invoke(app, [command, str(path), *map(str, options)])


def refused(command: str, path: Path, *options: str | Path) -> str:
    """Return the single line of output of a command that fails."""
    result = publish(command, path, *options)
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    assert len(result.output.strip().splitlines()) == 1, result.output
    return result.output


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An application in a repository, with files that do not belong to it."""
    app = tmp_path / "app"
    for name in (
        "app.py", "data/table.bin", "notes.md", ".env", ".git/config", ".DS_Store", "tests/test_app.py",
        "__pycache__/app.pyc", "data/.hidden", "drafts/a.py",
    ):
        (app / name).parent.mkdir(parents=True, exist_ok=True)
        (app / name).write_text(f"# {name}\n")
    (app / ".ujobsignore").write_text("*.md\n/drafts/\n")
    return app


BELONGING = ["app.py", "data/table.bin"]


def test_files_that_belong_to_an_application(folder: Path) -> None:
    assert list(application_files(folder)) == BELONGING
    (folder / "again.py").symlink_to("app.py")
    assert list(application_files(folder)) == ["again.py", *BELONGING]


@pytest.mark.parametrize("target", ["../secret", "/etc/hostname", "data"])
def test_a_link_out_of_the_application_is_named(folder: Path, target: str) -> None:
    (folder.parent / "secret").write_text("x")
    (folder / "linked.py").symlink_to(target)
    with pytest.raises(ValueError, match=r"linked\.py is a link .*\.ujobsignore"):
        application_files(folder)
    with (folder / ".ujobsignore").open("a") as file:
        file.write("linked.py\n")
    assert list(application_files(folder)) == BELONGING


def test_an_application_is_published_with_nothing_but_the_local_service(
    served: clouds.Cloud, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder.parent / "ujobs.toml").write_text(f'thing = "{THING}"\n')
    monkeypatch.chdir(folder.parent)
    monkeypatch.setenv("AWS_ENDPOINT_URL", served.endpoint_url)
    options = ("--version", "2", "--name", "app-2")
    listed = publish("publish-app", folder, *options, "--dry-run")
    assert [line.split()[1] for line in listed.output.splitlines()] == BELONGING
    assert served.iot().list_streams()["streams"] == []
    assert publish("publish-app", folder, *options).output.strip().endswith(":job/app-2")
    document = json.loads(served.iot().get_job_document(jobId="app-2")["document"])
    assert [entry["path"] for entry in document["files"]] == BELONGING
    assert len(served.iot().describe_stream(streamId="app-2")["streamInfo"]["files"]) == len(BELONGING)


def test_an_application_is_published_with_presigned_urls(served: clouds.Cloud, folder: Path) -> None:
    options = ("--version", "2", "--name", "by-url", "--thing", THING, "--endpoint-url", served.endpoint_url)
    assert publish("publish-app", folder, *options, "--https").exit_code == 0
    data = cloud.client("iot-jobs-data", served.endpoint_url)
    document = data.describe_job_execution(thingName=THING, jobId="by-url")["execution"]["jobDocument"]
    urls = [entry["url"] for entry in json.loads(document)["files"]]
    assert len(urls) == len(BELONGING)
    assert cloud.get(urls[0]) == (folder / "app.py").read_bytes()


def test_an_application_of_more_files_than_placeholders_is_refused_before_the_upload(
    served: clouds.Cloud, folder: Path
) -> None:
    for number in range(9):
        (folder / f"m{number}.py").write_text("")
    options = ("--version", "2", "--name", "many", "--thing", THING, "--endpoint-url", served.endpoint_url)
    assert "11 files; with --https the limit is 10" in refused("publish-app", folder, *options, "--https")
    (folder / "m0.py").unlink()
    assert publish("publish-app", folder, *options, "--https").exit_code == 0


def test_a_job_that_is_refused_leaves_no_stream(served: clouds.Cloud, folder: Path) -> None:
    options = ("--version", "2", "--name", "again", "--thing", THING, "--endpoint-url", served.endpoint_url)
    assert "could not be undone" not in refused("publish-app", folder, *options, "--rate", "100000")
    assert "again" not in [stream["streamId"] for stream in served.iot().list_streams()["streams"]]
    assert publish("publish-app", folder, *options).exit_code == 0


@pytest.mark.parametrize("operation", ["CreateStream", "CreateThing", "CreateCertificateFromCsr"])
def test_ctrl_c_leaves_nothing_behind(
    served: clouds.Cloud, folder: Path, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    iot, make = served.iot(), cloud.client

    def interrupted(service: str, *options: Any) -> Any:
        client = make(service, *options)
        client.meta.events.register(f"after-call.iot.{operation}", lambda **_: os.kill(os.getpid(), signal.SIGINT))
        return client

    monkeypatch.setattr(cloud, "client", interrupted)
    before = iot.list_streams()["streams"], iot.list_things()["things"]
    if operation == "CreateStream":
        options = ("--version", "2", "--name", "cut", "--thing", THING, "--endpoint-url", served.endpoint_url)
        assert publish("publish-app", folder, *options).exit_code == 130
    else:
        with pytest.raises(KeyboardInterrupt):
            fleet.create_thing("cut", folder / "thing", served.endpoint_url)
    assert (iot.list_streams()["streams"], iot.list_things()["things"]) == before


def test_the_local_service_has_no_files_but_those_uploaded(served: clouds.Cloud) -> None:
    files = [{"fileId": 0, "s3Location": {"bucket": "b", "key": "../../etc/passwd"}}]
    with pytest.raises(ClientError, match="does not exist: put it into this service first"):
        served.iot().create_stream(streamId="s", files=files, roleArn="arn:aws:iam::000000000000:role/x-role")
    with pytest.raises(ClientError, match="NoSuchKey"):
        cloud.client("s3", served.endpoint_url).get_object(Bucket="b", Key="../../etc/passwd")


def test_mistakes_are_named_before_anything_is_uploaded(
    served: clouds.Cloud, data: Path, folder: Path, tmp_path: Path
) -> None:
    objects = data / "data" / "objects"
    before = list(objects.glob("*"))
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").write_text("text")
    (tmp_path / "app.py").write_text("import asyncio\n\ndef setup(agent)\n    pass\n")
    # A bootloader, and the partition table behind it: where it is depends on the chip.
    for name, chip, table in (("esp32", 0, 0x7000), ("esp32-c3", 5, 0x8000)):
        (tmp_path / name).write_bytes(bytes([0xE9, *bytes(11), chip]).ljust(table, b"\0") + b"\xaa\x50" + bytes(99))
    whole = app_image(bytes(5000))
    for name, content in (
        ("bootloader", app_image(bytes(5000), description=b"")), ("new-chip", app_image(chip=99)),
        ("cut-1", whole[:-1]), ("cut-2", whole[:2000]), ("cut-3", whole[:36]),
        ("changed", whole[:3000] + b"\x01" + whole[3001:]), ("sum-1", whole[:3000] + b"\x01\x01" + whole[3002:]),
    ):
        (tmp_path / name).write_bytes(content)
    options = ("--thing", THING, "--endpoint-url", served.endpoint_url)
    good = ("--version", "2", "--name", "wrong", *options)
    for command, path, more, message in (
        ("publish-app", tmp_path / "empty", good, "it needs an app.py"),
        ("publish-app", tmp_path / "missing", good, "missing"),
        ("publish-app", tmp_path / "app.py", good, "app.py, line 3: expected ':'"),
        ("publish-firmware", tmp_path / "text", good, "is not an ESP32 application image"),
        ("publish-firmware", tmp_path / "esp32", good, "is for the whole flash: take the .app-bin file"),
        ("publish-firmware", tmp_path / "esp32-c3", good, "is for the whole flash: take the .app-bin file"),
        ("publish-firmware", tmp_path / "missing", good, "No such file"),
        ("publish-firmware", tmp_path / "bootloader", good, "is no application: take the .app-bin file"),
        ("publish-firmware", tmp_path / "new-chip", good, "is for an unknown chip, number 99"),
        *(
            ("publish-firmware", tmp_path / name, good, "is damaged, no board would start it")
            for name in ("cut-1", "cut-2", "cut-3", "changed", "sum-1")
        ),
        ("publish-app", folder, (*good, "--key", tmp_path / "text"), "is not a private key in PEM"),
        ("publish-app", folder, (*good, "--s3-url", "127.0.0.1"), "endpoint URL"),
        ("publish-app", folder, ("--version", "2", "--name", "a" * 65, *options), "must be 1 to 64 characters"),
        ("publish-app", folder, ("--version", "", "--name", "a", *options), "version '' must be 1 to 64 characters"),
        ("publish-app", folder, ("--version", "9" * 65, "--name", "a", *options), "must be 1 to 64 characters"),
        ("publish-app", folder, ("--version", "2", "--name", "a", "--region", "eu-west-1"),
         "AWS needs --bucket and --role-arn"),
    ):
        assert message in refused(command, path, *more)
    assert list(objects.glob("*")) == before
    assert not [stream for stream in served.iot().list_streams()["streams"] if stream["streamId"] in ("wrong", "a")]
