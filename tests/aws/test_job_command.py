"""`ujobs job` and `ujobs thing list` on both clouds; boto3's `iot-jobs-data` is the device."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import clouds
from ujobs_tools.aws import cloud as cloud_tools
from ujobs_tools.cli import app
from ujobs_tools.host.processes import ujobs

DOCUMENT = json.dumps({"operation": "blink", "times": 3})


def run(cloud: clouds.Cloud, *arguments: str | Path) -> tuple[int, str]:
    """Return exit code and output of `ujobs ARGUMENTS...` on that cloud."""
    result = CliRunner().invoke(app, [*map(str, arguments), "--endpoint-url", cloud.endpoint_url])
    return result.exit_code, result.output


def refused(cloud: clouds.Cloud, *arguments: str) -> str:
    code, output = run(cloud, *arguments)
    assert code in (1, 2), output
    assert len(output.strip().splitlines()) == 1, output
    return output


@pytest.fixture
def thing(cloud: clouds.Cloud, request: pytest.FixtureRequest) -> str:
    """A new thing, named after the test."""
    name = request.node.name.partition("[")[0].replace("_", "-")
    cloud.iot().create_thing(thingName=name)
    return name


def device(cloud: clouds.Cloud) -> Any:
    return cloud_tools.client("iot-jobs-data", cloud.endpoint_url)


def test_a_job_is_created_and_watched_to_its_end(cloud: clouds.Cloud, thing: str) -> None:
    job = f"{thing}-job"
    code, output = run(cloud, "job", "create", job, "--thing", thing, "--document", DOCUMENT, "--timeout", "5")
    assert code == 0, output
    assert output.strip().endswith(f"job/{job}")
    made = cloud.iot().describe_job(jobId=job)["job"]
    assert made["timeoutConfig"] == {"inProgressTimeoutInMinutes": 5}
    assert made["targetSelection"] == "SNAPSHOT"
    with subprocess.Popen(
        ujobs("job", "watch", job, "--endpoint-url", cloud.endpoint_url),
        stdout=subprocess.PIPE, text=True, env=os.environ | {"COLUMNS": "200"},
    ) as watching:
        device(cloud).start_next_pending_job_execution(thingName=thing)
        device(cloud).update_job_execution(
            thingName=thing, jobId=job, status="SUCCEEDED", statusDetails={"progress": "3/3", "blinks": "3"}
        )
        output, _ = watching.communicate(timeout=120)
        assert watching.returncode == 0, output
    assert thing in output
    assert "SUCCEEDED" in output
    assert "blinks: 3" in output


def test_watching_a_job_that_failed_is_exit_code_1(cloud: clouds.Cloud, thing: str, tmp_path: Path) -> None:
    job = f"{thing}-job"
    file = tmp_path / "document.json"
    file.write_text(DOCUMENT)
    assert run(cloud, "job", "create", job, "--thing", thing, "--document-file", file)[0] == 0
    device(cloud).start_next_pending_job_execution(thingName=thing)
    device(cloud).update_job_execution(thingName=thing, jobId=job, status="FAILED", statusDetails={"reason": "broken"})
    code, output = run(cloud, "job", "watch", job)
    assert code == 1
    assert "FAILED" in output
    assert "broken" in output


def test_cancel_needs_force_for_executions_in_progress(cloud: clouds.Cloud, thing: str) -> None:
    job = f"{thing}-job"
    assert run(cloud, "job", "create", job, "--thing", thing, "--document", DOCUMENT)[0] == 0
    device(cloud).start_next_pending_job_execution(thingName=thing)
    code, output = run(cloud, "job", "cancel", job, "--force")
    assert code == 0, output
    execution = cloud.iot().describe_job_execution(jobId=job, thingName=thing)["execution"]
    assert execution["status"] == "CANCELED"


def test_things_are_listed(cloud: clouds.Cloud, thing: str) -> None:
    code, output = run(cloud, "thing", "list")
    assert code == 0
    assert thing in output.splitlines()


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("{", "document is not JSON"),
        ('{"times": 3}', "use `aws iot create-job`"),
        ("blink.json", "for a file use --document-file blink.json"),
        ("file://blink.json", "for a file use --document-file blink.json"),
        ("[]", "operation"),
        ('{"times": 3}', "operation"),
        (json.dumps({"operation": "x" * 40000}), "limit is 32768"),
        ('{"operation": "settings", "set": {"thing": null}}', 'set.thing is null, which AWS removes'),
    ],
)
def test_invalid_documents_are_refused_before_anything_is_created(
    cloud: clouds.Cloud, document: str, said: str
) -> None:
    assert said in refused(cloud, "job", "create", "never", "--thing", "none", "--document", document)


def test_missing_arguments_are_named(cloud: clouds.Cloud) -> None:
    assert "--document" in refused(cloud, "job", "create", "never", "--thing", "none")
    assert "give --thing or --group" in refused(cloud, "job", "create", "never", "--document", DOCUMENT)
    said = refused(cloud, "job", "create", "never", "--thing", "none", "--document", "@job.json")
    assert "for a file use --document-file job.json" in said
    unknown = refused(cloud, "job", "create", "never", "--thing", "no-such-thing", "--document", DOCUMENT)
    assert "ResourceNotFoundException" in unknown
    assert "ResourceNotFoundException" in refused(cloud, "job", "watch", "no-such-job")
    assert "ResourceNotFoundException" in refused(cloud, "job", "cancel", "no-such-job")


def test_jobs_are_listed_shown_cancelled_and_deleted(cloud: clouds.Cloud, thing: str) -> None:
    job = f"{thing[:40]}-job"
    other = f"{thing[:40]}-b"
    cloud.iot().create_thing(thingName=other)
    assert run(cloud, "job", "create", job, "--thing", thing, "--thing", other, "--document", DOCUMENT)[0] == 0
    assert f"{job}  IN_PROGRESS  " in run(cloud, "job", "list")[1]
    assert f"{job}  QUEUED  " in run(cloud, "job", "list", "--thing", thing, "--status", "queued")[1]
    device(cloud).start_next_pending_job_execution(thingName=thing, statusDetails={"step": "[/one]"})
    described = run(cloud, "job", "describe", job)[1]
    assert '"operation": "blink"' in described
    assert "step: [/one]" in run(cloud, "job", "describe", job, "--thing", thing)[1]
    code, said = run(cloud, "job", "cancel", job)
    assert (code, said.splitlines()[0]) == (0, f"cancelled: {other}")
    assert f"still in progress: {thing}; --force" in said
    code, said = run(cloud, "job", "cancel", job, "--force")
    assert (code, said) == (0, f"cancelled: {thing}\n")
    assert run(cloud, "job", "delete", job, "--force")[0] == 0
    assert job not in run(cloud, "job", "list")[1]


def test_version_and_short_help() -> None:
    assert CliRunner().invoke(app, ["--version"]).output.startswith("ujobs 0.")
    for command in ([], ["job"], ["job", "list"]):
        assert CliRunner().invoke(app, [*command, "-h"]).exit_code == 0
