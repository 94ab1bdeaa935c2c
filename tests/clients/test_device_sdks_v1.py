"""The AWS IoT Device SDKs v1 for Python and JavaScript, over mutual TLS, in the flows of their samples.

They send numbers as strings, put numbers into status details, and receive replies on topics they subscribe to."""

import json
import os
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import javascript_sdk
import pytest
from AWSIoTPythonSDK.core.jobs.thingJobManager import (
    jobExecutionStatus,
    jobExecutionTopicReplyType,
    jobExecutionTopicType,
)
from AWSIoTPythonSDK.MQTTLib import AWSIoTMQTTThingJobsClient
from jobs_client import PATIENCE

from installed import require
from ujobs_tools.aws.executions import TERMINAL
from ujobs_tools.aws.fleet import Thing

_SCRIPT = Path(__file__).parent / "javascript" / "jobs_agent_v1.js"
ACCEPTED = jobExecutionTopicReplyType.JOB_ACCEPTED_REPLY_TYPE
REJECTED = jobExecutionTopicReplyType.JOB_REJECTED_REPLY_TYPE


def offer(iot: Any, thing: Thing, job_id: str, document: dict[str, Any]) -> str:
    """Create a job for this thing only; returns its id."""
    name = f"{thing.name}-{job_id}"
    iot.create_job(jobId=name, targets=[thing.arn], document=json.dumps(document))
    return name


def ended(iot: Any, thing: Thing, job_id: str) -> tuple[str, dict[str, str]]:
    """Wait until the thing's execution of the job ends; returns its status and details."""
    while True:
        found = iot.describe_job_execution(thingName=thing.name, jobId=job_id)["execution"]
        if found["status"] in TERMINAL:
            return found["status"], found["statusDetails"].get("detailsMap", {})


class PythonProcessor:
    """Runs each job as soon as it is notified, and the next one after each that has ended.

    updates: receives each accepted update. rejected: must stay empty.
    """

    def __init__(self, thing: Thing) -> None:
        self.updates: queue.Queue[dict[str, Any]] = queue.Queue()
        self.described: queue.Queue[dict[str, Any]] = queue.Queue()
        self.idle = threading.Event()
        self.rejected: list[str] = []
        self._work: queue.Queue[Any] = queue.Queue()  # the SDK's callbacks must not publish
        self.client = AWSIoTMQTTThingJobsClient(thing.name, thing.name, QoS=1)
        self.client.configureEndpoint(thing.host, thing.port)
        self.client.configureCredentials(*(str(thing.directory / f"{part}.pem") for part in ("ca", "key", "cert")))
        self.client.configureMQTTOperationTimeout(PATIENCE)
        self.client.configureConnectDisconnectTimeout(PATIENCE)
        assert self.client.connect()
        self._subscribe(self._notified, jobExecutionTopicType.JOB_NOTIFY_NEXT_TOPIC)
        self._subscribe(self._started, jobExecutionTopicType.JOB_START_NEXT_TOPIC, ACCEPTED)
        self._subscribe(self._refused, jobExecutionTopicType.JOB_START_NEXT_TOPIC, REJECTED)
        self._subscribe(self._updated, jobExecutionTopicType.JOB_UPDATE_TOPIC, ACCEPTED, "+")
        self._subscribe(self._refused, jobExecutionTopicType.JOB_UPDATE_TOPIC, REJECTED, "+")
        self._subscribe(self._seen, jobExecutionTopicType.JOB_DESCRIBE_TOPIC, ACCEPTED, "+")
        self._worker = threading.Thread(target=self._publish)
        self._worker.start()
        self.start_next()

    def _subscribe(self, callback: Any, topic: Any, *reply: Any) -> None:
        def received(client: Any, userdata: Any, message: Any) -> None:
            callback(json.loads(message.payload), message.topic)

        assert self.client.createJobSubscription(received, topic, *reply)

    def start_next(self) -> None:
        self._work.put(lambda: self.client.sendJobsStartNext(statusDetails={"StartedBy": "x"}, stepTimeoutInMinutes=5))

    def _notified(self, payload: dict[str, Any], topic: str) -> None:
        if "execution" in payload:
            self.start_next()

    def _started(self, payload: dict[str, Any], topic: str) -> None:
        found = payload.get("execution")
        if found is None:
            self.idle.set()
            return
        self._work.put(lambda: self.client.sendJobsDescribe(found["jobId"], found["executionNumber"], False))
        self._work.put(
            lambda: self.client.sendJobsUpdate(
                jobId=found["jobId"], status=jobExecutionStatus.JOB_EXECUTION_SUCCEEDED,
                statusDetails={"HandledBy": f"ClientToken: {payload['clientToken']}"},
                expectedVersion=found["versionNumber"], executionNumber=found["executionNumber"],
                includeJobExecutionState=True, includeJobDocument=True, stepTimeoutInMinutes=5,
            )
        )

    def _updated(self, payload: dict[str, Any], topic: str) -> None:
        self.updates.put(payload)
        self.start_next()

    def _seen(self, payload: dict[str, Any], topic: str) -> None:
        self.described.put(payload["execution"])

    def _refused(self, payload: dict[str, Any], topic: str) -> None:
        self.rejected.append(f"{topic}: {payload}")
        self.updates.put(payload)

    def _publish(self) -> None:
        for send in iter(self._work.get, None):
            send()

    def close(self) -> None:
        self._work.put(None)
        self._worker.join(PATIENCE)
        self.client.disconnect()


@pytest.fixture
def processor(thing: Thing) -> Iterator[PythonProcessor]:
    found = PythonProcessor(thing)
    yield found
    found.close()


def test_python_jobs_run_one_after_the_other(processor: PythonProcessor, iot: Any, thing: Thing) -> None:
    assert processor.idle.wait(PATIENCE), "accepted, but no job is pending"
    for name in ("one", "two"):
        job_id = offer(iot, thing, name, {"operation": name})
        seen = processor.described.get(timeout=PATIENCE)
        assert (seen["jobId"], seen["status"], "jobDocument" in seen) == (job_id, "IN_PROGRESS", False)
        updated = processor.updates.get(timeout=PATIENCE)
        assert processor.rejected == []
        assert updated["executionState"]["status"] == "SUCCEEDED"
        assert updated["jobDocument"] == {"operation": name}
        assert ended(iot, thing, job_id) == ("SUCCEEDED", {"HandledBy": f"ClientToken: {thing.name}"})


class JavaScriptAgent:
    """A running jobs_agent_v1.js, which documents its output."""

    def __init__(self, thing: Thing) -> None:
        node = shutil.which("node") and (javascript_sdk.PACKAGES / "aws-iot-device-sdk").exists()
        require(node, "the AWS IoT Device SDK for JavaScript v1", "install Node.js with npm, then `make clients`")
        options = {"thing": thing.name, "host": thing.host, "port": thing.port}
        options |= {part: str(thing.directory / f"{part}.pem") for part in ("ca", "cert", "key")}
        self._process = subprocess.Popen(
            ["node", _SCRIPT, json.dumps(options)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | {"NODE_PATH": str(javascript_sdk.PACKAGES), "NODE_NO_WARNINGS": "1"},
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self._said: set[str] = set()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line.strip())
        self._lines.put("ended")

    def said(self) -> str:
        # The SDK handles a job twice if its request and a notification cross.
        while (line := self._lines.get(timeout=PATIENCE)) in self._said:
            pass
        self._said.add(line)
        return line

    def close(self) -> None:
        with self._process:
            self._process.kill()
        self._reader.join(PATIENCE)


@pytest.fixture
def agent(thing: Thing) -> Iterator[JavaScriptAgent]:
    found = JavaScriptAgent(thing)
    yield found
    found.close()


def test_javascript_agent_ends_its_jobs(agent: JavaScriptAgent, iot: Any, thing: Thing) -> None:
    assert agent.said() == "listening"
    for name in ("one", "two"):
        job_id = offer(iot, thing, name, {"operation": "systemStatus"})
        assert agent.said() == f"ended {job_id}"
        status, details = ended(iot, thing, job_id)
        assert (status, details["operation"]) == ("SUCCEEDED", "systemStatus")
        assert float(details["uptime"]) > 0
    steps = offer(iot, thing, "three", {"operation": "reboot"})
    assert [agent.said(), agent.said()] == [f"initiated {steps}", f"ended {steps}"]
    assert ended(iot, thing, steps) == ("SUCCEEDED", {"operation": "reboot", "step": "rebooted"})
    unknown = offer(iot, thing, "four", {"operation": "dance"})
    assert agent.said() == f"failed {unknown}"
    assert ended(iot, thing, unknown) == ("FAILED", {"errorCode": "ERR_UNKNOWN", "code": "7"})
