"""`ujobs publish-app` with the local service, without S3; and which files belong to an application."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner

import clouds
from ujobs_tools.aws import cloud
from ujobs_tools.board.files import application_files
from ujobs_tools.cli import app
from ujobs_tools.host.processes import ujobs


@pytest.fixture
def served(tmp_path: Path) -> Iterator[clouds.Cloud]:
    with clouds.ujobs_serve(tmp_path) as found:
        yield found


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


def test_an_application_is_published_with_nothing_but_the_local_service(served: clouds.Cloud, folder: Path) -> None:
    served.iot().create_thing(thingName="kiln-7")
    (folder.parent / "ujobs.toml").write_text('thing = "kiln-7"\n')
    command = ujobs("publish-app", folder, "--version", "2", "--name", "app-2")
    environment = os.environ | {"AWS_ENDPOINT_URL": served.endpoint_url}
    listed = subprocess.run([*command, "--dry-run"], env=environment, capture_output=True, text=True, check=True)
    assert [line.split()[1] for line in listed.stdout.splitlines()] == BELONGING
    assert served.iot().list_streams()["streams"] == []
    subprocess.run(command, env=environment, check=True, capture_output=True, cwd=folder.parent)
    document = json.loads(served.iot().get_job_document(jobId="app-2")["document"])
    assert [entry["path"] for entry in document["files"]] == BELONGING
    assert len(served.iot().describe_stream(streamId="app-2")["streamInfo"]["files"]) == len(BELONGING)


def test_a_job_that_is_refused_leaves_no_stream(served: clouds.Cloud, folder: Path) -> None:
    served.iot().create_thing(thingName="kiln-7")
    command = ["publish-app", str(folder), "--version", "2", "--name", "app-2", "--thing", "kiln-7"]
    command += ["--endpoint-url", served.endpoint_url]
    refused = CliRunner().invoke(app, [*command, "--rate", "100000"])
    assert (refused.exit_code, "could not be undone" in refused.output) == (2, False), refused.output
    assert served.iot().list_streams()["streams"] == []
    assert CliRunner().invoke(app, command).exit_code == 0


def test_files_that_were_not_uploaded_cannot_be_streamed(served: clouds.Cloud) -> None:
    files = [{"fileId": 0, "s3Location": {"bucket": "b", "key": "../../etc/passwd"}}]
    with pytest.raises(ClientError, match="does not exist: put it into this service first"):
        served.iot().create_stream(streamId="s", files=files, roleArn="arn:aws:iam::000000000000:role/x-role")
    with pytest.raises(ClientError, match="501"):
        cloud.client("s3", served.endpoint_url).get_object(Bucket="b", Key="k")
