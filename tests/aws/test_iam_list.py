"""Each command makes the calls that docs/quick-start-aws.md lists, and no others."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import botocore.client
import pytest
import typer
from typer.testing import CliRunner

import clouds
from ujobs_tools.cli import app
from ujobs_tools.keys import credentials

PAGE = Path(__file__).parents[2] / "docs" / "quick-start-aws.md"
GROUPS = ("thing", "claim", "job")


def listed() -> dict[str, tuple[set[str], set[str]]]:
    """(calls, calls after a failure) by command."""
    section = PAGE.read_text().partition("## What you need in IAM")[2].partition("\n## ")[0]
    found: dict[str, tuple[set[str], set[str]]] = {}
    for entry in section.split("\n- ")[1:]:
        command, _, text = entry.partition(": ")
        always, _, after = text.partition("after a failure")
        calls = _calls(always)
        for other in re.findall(r"as `([a-z -]+)`", always):
            calls |= found[other][0]
        found[command.strip("`")] = (calls, _calls(after))
    assert found
    return found


def _calls(text: str) -> set[str]:
    return set(re.findall(r"`((?:iot|s3):\w+)`", text))


@contextmanager
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """Record the calls of this thread. Calls to S3, and for streams, are answered here."""
    calls: set[str] = set()
    thread = threading.get_ident()
    original: Any = botocore.client.BaseClient._make_api_call  # type: ignore[attr-defined]

    def call(self: Any, operation: str, parameters: dict[str, Any]) -> Any:
        service = self.meta.service_model.service_name
        # Ignore calls from threads that other tests have left behind.
        if threading.get_ident() == thread:
            calls.add(f"{service}:{operation}")
        return {} if service == "s3" or operation == "CreateStream" else original(self, operation, parameters)

    with monkeypatch.context() as patch:
        patch.setattr(botocore.client.BaseClient, "_make_api_call", call)
        yield calls


def test_every_command_of_things_claims_and_jobs_is_in_the_listed() -> None:
    root = typer.main.get_command(app)
    for group in GROUPS:
        for name in root.commands[group].commands:  # type: ignore[attr-defined]
            assert f"{group} {name}" in listed()


def test_every_command_makes_the_listed_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    application = tmp_path / "app"
    application.mkdir()
    (application / "app.py").write_text("def setup(agent):\n    pass\n")
    with clouds.ujobs_serve(tmp_path) as cloud:
        cloud.iot().create_thing_group(thingGroupName="kilns")
        monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.endpoint_url)
        role = ["--role-arn", "arn:aws:iam::000000000000:role/files"]
        commands = {
            "thing create": ["kiln", "--out", str(tmp_path / "kiln")],
            "thing list": [],
            "thing show": ["kiln"],
            "claim create": ["line", "--out", str(tmp_path / "claim")],
            "job create": ["one", "--thing", "kiln", "--group", "kilns", "--document", '{"operation": "x"}'],
            "job list": [],
            "job cancel": ["one"],
            "job watch": ["one"],
            "job describe": ["one"],
            "job delete": ["one"],
            "publish-app": [
                str(application), "--version", "2", "--name", "app-2", "--thing", "kiln", "--group", "kilns",
                "--bucket", "files", *role,
            ],
            "thing delete": ["kiln"],
        }
        for command, arguments in commands.items():
            with recorded(monkeypatch) as calls:
                result = CliRunner().invoke(app, [*command.split(), *arguments])
            # The watched job was cancelled before it started, so it has not succeeded.
            has_not_succeeded = command == "job watch" and "1 CANCELED" in result.output
            assert result.exit_code == has_not_succeeded, result.output
            assert calls == listed()[command][0], command


@pytest.mark.parametrize("command", ["thing create", "claim create"])
def test_calls_of_the_cleanup_are_listed(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr(credentials, "write", full)
    with clouds.ujobs_serve(tmp_path) as cloud:
        monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.endpoint_url)
        with recorded(monkeypatch) as calls:
            result = CliRunner().invoke(app, [*command.split(), "kiln", "--out", str(tmp_path / "out")])
        assert (result.exit_code, cloud.iot().list_things()["things"]) == (1, [])
    always, after = listed()[command]
    assert calls == always | after
