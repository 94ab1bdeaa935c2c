"""The Jobs clients of the AWS IoT Device SDKs for Python v2 and for JavaScript v2, over mutual TLS: the whole flow of
their samples, and every rejection."""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import javascript_sdk
import pytest
import python_sdk
from jobs_client import JobsClient, Rejected

from installed import require
from ujobs_tools.aws.fleet import Thing

# The last one does not send members that are false or 0.
ALL = [f"Python {name}" for name in python_sdk.CLIENTS] + [f"JavaScript {name}" for name in javascript_sdk.CLIENTS]
DOCUMENT = {"test": "do-something", "nested": {"numbers": [1, 2.5, None], "text": "härdn\u200b✓"}}


@dataclass(frozen=True)
class Device:
    """A thing with its connected client. iot: a boto3 client."""

    client: JobsClient
    thing: Thing
    iot: Any

    def offer(self, job_id: str) -> None:
        """Create a job for this device only."""
        document = json.dumps(DOCUMENT)
        self.iot.create_job(
            jobId=self.named(job_id), targets=[self.thing.arn], document=document, targetSelection="SNAPSHOT"
        )

    def named(self, job_id: str) -> str:
        """The job's id, made unique by the thing's name."""
        return f"{self.thing.name}-{job_id}"

    def rejection(self, operation: str, **members: Any) -> dict[str, Any]:
        """The payload that a request is rejected with, without its message."""
        with pytest.raises(Rejected) as caught:
            self.client.ask(operation, **members)
        assert caught.value.error.pop("message")
        return caught.value.error


@pytest.fixture(params=ALL)
def device(request: pytest.FixtureRequest, iot: Any, thing: Thing) -> Iterator[Device]:
    """A thing with each of the clients in turn."""
    language, name = request.param.split()
    with _client(language, name, thing) as client:
        yield Device(client, thing, iot)


def _client(language: str, name: str, thing: Thing) -> AbstractContextManager[JobsClient]:
    if language == "Python":
        return python_sdk.jobs_client(name, thing)
    node = shutil.which("node") and javascript_sdk.PACKAGES.exists()
    require(node, "the AWS IoT Device SDK for JavaScript v2", "install Node.js with npm, then `make clients`")
    return javascript_sdk.jobs_client(name, thing)


def test_jobs_from_the_first_notification_to_the_last(device: Device) -> None:
    client, one, two = device.client, device.named("one"), device.named("two")
    pending = client.ask("GetPendingJobExecutions")
    assert (pending["inProgressJobs"], pending["queuedJobs"]) == ([], [])
    assert "execution" not in client.ask("StartNextPendingJobExecution"), "accepted, but no job is pending"
    assert "execution" not in client.ask("DescribeJobExecution", jobId="$next")

    device.offer("one")
    [changed] = client.notifications("notify", 1)
    [summary] = changed["jobs"]["QUEUED"]
    assert (summary["jobId"], summary["executionNumber"], summary["versionNumber"]) == (one, 1, 1)
    [following] = client.notifications("notify-next", 1)
    assert following["execution"]["status"] == "QUEUED"
    assert following["execution"]["jobDocument"] == DOCUMENT
    device.offer("two")
    assert [job["jobId"] for job in client.notifications("notify", 2)[1]["jobs"]["QUEUED"]] == [one, two]
    assert [job["jobId"] for job in client.ask("GetPendingJobExecutions")["queuedJobs"]] == [one, two]

    started = client.ask("StartNextPendingJobExecution", statusDetails={"step": "1"}, stepTimeoutInMinutes=5)
    execution = started["execution"]
    queued_at, started_at = execution["queuedAt"], execution["startedAt"]
    assert queued_at <= started_at <= started["timestamp"]
    assert abs(started["timestamp"] - time.time()) < 60, "seconds, not milliseconds"
    assert 0 < execution.pop("approximateSecondsBeforeTimedOut", 1) <= 300, "some clients drop it"
    assert execution == {
        "jobId": one, "status": "IN_PROGRESS", "statusDetails": {"step": "1"}, "queuedAt": queued_at,
        "startedAt": started_at, "lastUpdatedAt": started_at, "versionNumber": 2, "executionNumber": 1,
        "jobDocument": DOCUMENT,
    }
    plain = client.ask("UpdateJobExecution", jobId=one, status="IN_PROGRESS", expectedVersion=2)
    assert plain.keys() == {"clientToken", "timestamp"}, "neither state nor document unless requested"
    described = client.ask("DescribeJobExecution", jobId=one, executionNumber=1)["execution"]
    assert (described["status"], described["versionNumber"]) == ("IN_PROGRESS", 3)
    assert described["statusDetails"] == {"step": "1"}, "an update without details keeps them"
    assert described["jobDocument"] == DOCUMENT
    updated = client.ask(
        "UpdateJobExecution", jobId=one, status="IN_PROGRESS", statusDetails={"progress": "40/100"}, expectedVersion=3,
        executionNumber=1, includeJobExecutionState=True, includeJobDocument=True, stepTimeoutInMinutes=-1,
    )
    assert updated["executionState"] == {
        "status": "IN_PROGRESS", "statusDetails": {"progress": "40/100"}, "versionNumber": 4,
    }
    assert updated["jobDocument"] == DOCUMENT
    client.ask("UpdateJobExecution", jobId=one, status="SUCCEEDED", expectedVersion=4)
    assert client.notifications("notify-next", 2)[1]["execution"]["jobId"] == two

    assert client.ask("StartNextPendingJobExecution")["execution"]["jobId"] == two
    assert client.ask("DescribeJobExecution", jobId="$next")["execution"]["jobId"] == two
    client.ask("UpdateJobExecution", jobId=two, status="FAILED", statusDetails={"reason": "no gas"})
    assert client.notifications("notify", 4)[3]["jobs"] == {}
    assert "execution" not in client.notifications("notify-next", 3)[2]
    pending = client.ask("GetPendingJobExecutions")
    assert (pending["inProgressJobs"], pending["queuedJobs"]) == ([], [])
    # Any other message would have arrived before this last reply.
    assert (len(client.notifications("notify", 4)), len(client.notifications("notify-next", 3))) == (4, 3)

    ended = device.iot.describe_job_execution(thingName=device.thing.name, jobId=two)["execution"]
    assert (ended["status"], ended["statusDetails"]["detailsMap"]) == ("FAILED", {"reason": "no gas"})
    assert device.iot.describe_job(jobId=one)["job"]["status"] == "COMPLETED"


@pytest.mark.parametrize("device", ALL[:-1], indirect=True)
def test_a_description_without_the_document(device: Device) -> None:
    device.offer("one")
    described = device.client.ask("DescribeJobExecution", jobId=device.named("one"), includeJobDocument=False)
    assert "jobDocument" not in described["execution"]
    assert device.rejection("StartNextPendingJobExecution", stepTimeoutInMinutes=0) == {"code": "InvalidRequest"}


def test_every_rejection_of_a_well_formed_request(device: Device) -> None:
    device.offer("queued")
    device.offer("done")
    queued, done = device.named("queued"), device.named("done")
    device.client.ask("UpdateJobExecution", jobId=done, status="SUCCEEDED", statusDetails={"a": "b"})
    update: dict[str, Any] = {"operation": "UpdateJobExecution", "jobId": queued, "status": "IN_PROGRESS"}
    assert device.rejection(**update, expectedVersion=7) == {
        "code": "VersionMismatch", "executionState": {"status": "QUEUED", "versionNumber": 1},
    }
    assert device.rejection(**update | {"jobId": done}) == {
        "code": "InvalidStateTransition",
        "executionState": {"status": "SUCCEEDED", "statusDetails": {"a": "b"}, "versionNumber": 2},
    }
    assert device.rejection(**update | {"status": "CANCELED"}) == {"code": "InvalidStateTransition"}
    assert device.rejection("DescribeJobExecution", jobId=done) == {"code": "TerminalStateReached"}
    assert device.rejection("DescribeJobExecution", jobId="unknown") == {"code": "ResourceNotFound"}
    assert device.rejection(**update, executionNumber=2) == {"code": "ResourceNotFound"}
    for invalid in (
        {"status": "SUCCESS"}, {"statusDetails": {"two words": "x"}}, {"statusDetails": {"key": ""}},
        {"stepTimeoutInMinutes": 10081}, {"statusDetails": {f"key-{number}": "x" for number in range(11)}},
    ):
        assert device.rejection(**update | invalid) == {"code": "InvalidRequest"}, invalid
    assert device.rejection("StartNextPendingJobExecution", stepTimeoutInMinutes=-1) == {"code": "InvalidRequest"}
    execution = device.client.ask("DescribeJobExecution", jobId=queued)["execution"]
    assert (execution["status"], execution["versionNumber"]) == ("QUEUED", 1), "no rejected request changed anything"


def test_a_device_is_notified_of_cancelled_and_deleted_jobs(device: Device) -> None:
    client, job_id = device.client, device.named("one")
    device.offer("one")
    assert client.ask("StartNextPendingJobExecution")["execution"]["jobId"] == job_id
    device.iot.cancel_job(jobId=job_id, force=True)
    assert [event["jobs"].keys() for event in client.notifications("notify", 2)] == [{"QUEUED"}, set()]
    assert "execution" not in client.notifications("notify-next", 2)[1]
    refused = device.rejection("UpdateJobExecution", jobId=job_id, status="SUCCEEDED", expectedVersion=2)
    assert refused["executionState"]["status"] == "CANCELED"
    device.iot.delete_job(jobId=job_id)
    assert device.rejection("UpdateJobExecution", jobId=job_id, status="FAILED") == {"code": "ResourceNotFound"}


def test_a_thing_that_joins_the_group_of_a_continuous_job(device: Device) -> None:
    client, iot, job_id = device.client, device.iot, device.named("one")
    group = iot.create_thing_group(thingGroupName=device.named("group"))["thingGroupArn"]
    document = json.dumps(DOCUMENT)
    iot.create_job(jobId=job_id, targets=[group], document=document, targetSelection="CONTINUOUS")
    assert client.ask("GetPendingJobExecutions")["queuedJobs"] == []
    iot.add_thing_to_thing_group(thingGroupName=device.named("group"), thingName=device.thing.name)
    following = client.notifications("notify-next", 1)[0]["execution"]
    assert (following["jobId"], following["status"]) == (job_id, "QUEUED")
    assert client.notifications("notify", 1)[0]["jobs"]["QUEUED"][0]["jobId"] == job_id
    assert client.ask("StartNextPendingJobExecution")["execution"]["jobId"] == job_id
    assert client.ask("DescribeJobExecution", jobId=job_id)["execution"]["status"] == "IN_PROGRESS"
    client.ask("UpdateJobExecution", jobId=job_id, status="SUCCEEDED")
    assert "execution" not in client.notifications("notify-next", 2)[1]
    assert client.notifications("notify", 2)[1]["jobs"] == {}
    assert client.ask("GetPendingJobExecutions")["inProgressJobs"] == []
    assert iot.describe_job(jobId=job_id)["job"]["status"] == "IN_PROGRESS", "things that join later get it, too"
