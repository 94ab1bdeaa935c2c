"""AWS IoT Device Advisor's cases for MQTT (without waiting), job execution and policies, each named after its id.

The virtual board runs boot.py and main.py over TLS. Cases about waiting are in tests/device/test_device_advisor.py.
Source: AWS IoT Core Developer Guide, "Device Advisor test cases".
"""

import json
from typing import Any

from device_under_test import THING, StartDevice
from endpoint import Endpoint

from ujobs_tools.aws.policy import device_policy
from ujobs_tools.service import packets
from ujobs_tools.service.packets import Message

JOBS = f"$aws/things/{THING}/jobs/"
TERMINAL = ("SUCCEEDED", "FAILED", "REJECTED")


def test_mqtt_connect(endpoint: Endpoint, start_device: StartDevice) -> None:
    start_device(endpoint)
    endpoint.wait_for_packet(packets.CONNECT)
    connect = packets.read_connect(endpoint.bodies(packets.CONNECT)[0])
    assert (connect.client_id, connect.clean_start, connect.protocol_level) == (THING, True, 4)
    assert 30 <= connect.keep_alive <= 1200


def test_mqtt_subscribe(endpoint: Endpoint, start_device: StartDevice) -> None:
    start_device(endpoint)
    endpoint.wait_for_packet(packets.SUBSCRIBE)
    [(packet_id, filters)] = [packets.read_subscribe(body) for body in endpoint.bodies(packets.SUBSCRIBE)]
    assert packet_id > 0
    assert set(filters) == {
        (JOBS + "start-next/+", 0), (JOBS + "+/get/+", 0), (JOBS + "+/update/+", 0), (JOBS + "notify-next", 1),
        ("advisor/trigger", 1),
    }


def test_mqtt_publish(endpoint: Endpoint, start_device: StartDevice) -> None:
    came: list[Message] = []
    endpoint.on_publish = came.append
    start_device(endpoint)
    endpoint.wait_for(lambda: sum(message.topic == "advisor/hello" for message in came) == 2, "publications")
    hello = [(message.payload, message.qos) for message in came if message.topic == "advisor/hello"]
    assert hello == [(b"0", 0), (b"1", 1)]


def test_mqtt_client_puback_qos1(endpoint: Endpoint, start_device: StartDevice) -> None:
    device = start_device(endpoint)
    endpoint.wait_for_packet(packets.SUBSCRIBE)
    endpoint.send(packets.publish(Message("advisor/trigger", b"custom payload", qos=1), 4711))
    device.wait_for("app: 14 bytes on advisor/trigger")
    endpoint.wait_for_packet(packets.PUBACK)
    assert [packets.read_puback(body) for body in endpoint.bodies(packets.PUBACK)] == [4711]


class OneJob:
    """A Jobs service with one execution. updates: bodies of all updates, in order."""

    def __init__(self, endpoint: Endpoint, document: dict[str, Any]) -> None:
        self.updates: list[dict[str, Any]] = []
        self._endpoint = endpoint
        self._execution = {
            "jobId": "advisor-1", "executionNumber": 1, "versionNumber": 1, "queuedAt": 1700000000, "status": "QUEUED",
            "jobDocument": document,
        }
        endpoint.on_publish = self._answer

    @property
    def ended(self) -> bool:
        return self._execution["status"] in TERMINAL

    def _answer(self, message: Message) -> None:
        if not message.topic.startswith(JOBS):
            return
        request = json.loads(message.payload)
        reply = {"clientToken": request["clientToken"]}
        operation = message.topic.removeprefix(JOBS)
        if operation == "advisor-1/update":
            assert request["expectedVersion"] == self._execution["versionNumber"]
            self.updates.append(request)
            self._move(request["status"])
        else:
            assert operation in ("start-next", "advisor-1/get")
            if operation == "start-next" and not self.ended:
                self._move("IN_PROGRESS")
            reply |= {} if self.ended else {"execution": self._execution}
        self._endpoint.send(packets.publish(Message(message.topic + "/accepted", json.dumps(reply).encode()), 0))

    def _move(self, status: str) -> None:
        self._execution |= {"status": status, "versionNumber": self._execution["versionNumber"] + 1}


def completed(endpoint: Endpoint, start_device: StartDevice, document: dict[str, Any]) -> list[dict[str, Any]]:
    """Run a job; return its updates."""
    job = OneJob(endpoint, document)
    start_device(endpoint)
    endpoint.wait_for(lambda: job.ended, "end of the job")
    return job.updates


def test_job_execution(endpoint: Endpoint, start_device: StartDevice) -> None:
    [update] = completed(endpoint, start_device, {"operation": "advisor", "question": 42})
    assert (update["status"], update["statusDetails"]) == ("SUCCEEDED", {"answer": "42"})


def test_job_execution_reboot(endpoint: Endpoint, start_device: StartDevice) -> None:
    # The operation of the example in the description of the case: the job continues after a reset.
    *progress, last = completed(endpoint, start_device, {"operation": "reboot"})
    assert all(update["status"] == "IN_PROGRESS" for update in progress)
    assert (last["status"], last["statusDetails"]) == ("SUCCEEDED", {"reset_cause": "HARD_RESET"})
    assert len(endpoint.bodies(packets.CONNECT)) == 2


def test_security_device_policies() -> None:
    document = json.loads(device_policy("arn:aws:iot:eu-west-1:123456789012:thing/kiln-7"))
    for statement in document["Statement"]:
        resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        assert "*" not in statement["Action"]
        for resource in resources:
            # Wildcards are allowed only in the place of job and stream ids, below the thing's own topics.
            own, _, rest = resource.partition("${iot:Connection.Thing.ThingName}")
            assert "*" not in own
            assert not rest or rest.startswith(("/jobs/", "/streams/"))
