"""The views "wire" and "trouble" of the live page, with a connected device."""

import json
import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from page_service import PATIENCE, PageService
from paho.mqtt.enums import CallbackAPIVersion

from ujobs_tools.service.page import trouble

HOLD = 0.3  # seconds


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PageService]:
    """The service with `--faults`; it holds back replies for a moment only."""
    monkeypatch.setattr(trouble, "_HOLD", HOLD)
    found = PageService(tmp_path / "data", faults=True)
    yield found
    found.stop()


class Device:
    """A thing's client that asks for jobs, without TLS."""

    def __init__(self, port: int, thing: str) -> None:
        self.messages: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.ended: queue.Queue[None] = queue.Queue()
        self._prefix = f"$aws/things/{thing}/jobs/"
        connected: queue.Queue[None] = queue.Queue()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, thing, reconnect_on_failure=False)
        self._client.on_connect = lambda *_: connected.put(None)
        self._client.on_disconnect = lambda *_: self.ended.put(None)
        self._client.on_message = lambda client, data, message: self.messages.put(
            (message.topic.removeprefix(self._prefix), json.loads(message.payload))
        )
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        connected.get(timeout=PATIENCE)

    def ask(self, suffix: str, **members: Any) -> None:
        self._client.publish(self._prefix + suffix, json.dumps(members))

    def hear(self) -> tuple[str, Any]:
        return self.messages.get(timeout=PATIENCE)

    def leave(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def device(served: PageService) -> Iterator[Device]:
    """The thing "kiln" with one job."""
    served.job("j", "kiln")
    found = Device(served.service.ports["mqtt"], "kiln")
    yield found
    found.leave()


def cause(served: PageService, fault: str) -> None:
    assert served.post(f"trouble/{fault}", {"thing": "kiln"}) == (200, {})


def test_the_wire_view_shows_requests_with_replies_and_refusals(served: PageService, device: Device) -> None:
    device.ask("start-next", clientToken="1")
    device.hear()
    device.ask("j/update", clientToken="2", status="SUCCEEDED", expectedVersion=7)
    device.hear()
    with served.stream(view="wire", thing="kiln") as stream:
        messages = stream.until(lambda state: len(state["messages"]) >= 4)["messages"]
    assert [(message["from"], message["topic"].partition("/jobs/")[2], message["mark"]) for message in messages] == [
        (True, "start-next", ""), (False, "start-next/accepted", ""),
        (True, "j/update", ""), (False, "j/update/rejected", "refused"),
    ]
    assert messages[0]["reply"].startswith("accepted after ")
    assert messages[2]["reply"].startswith("rejected VersionMismatch after ")
    assert json.loads(messages[2]["payload"])["expectedVersion"] == 7


def test_connections_are_seen_with_the_reason_of_their_end(served: PageService, device: Device) -> None:
    with served.stream(view="thing", thing="kiln") as stream:
        stream.until(lambda state: state["connected"])
        cause(served, "cut")
        device.ended.get(timeout=PATIENCE)
        ended = stream.until(lambda state: not state["connected"])
    assert [event["why"] for event in ended["events"]] == ["cut on request", ""]


def test_throttled_requests_are_rejected_three_times(served: PageService, device: Device) -> None:
    cause(served, "throttle")
    heard = []
    for number in range(4):
        device.ask("start-next", clientToken=str(number))
        heard.append(device.hear())
    assert [(topic, reply.get("code")) for topic, reply in heard] == [
        *[("start-next/rejected", "RequestThrottled")] * 3, ("start-next/accepted", None),
    ]
    assert heard[0][1]["clientToken"] == "0"


def test_a_request_whose_reply_is_lost_is_carried_out(served: PageService, device: Device) -> None:
    cause(served, "lose")
    device.ask("start-next", clientToken="1")
    device.ask("get", clientToken="2")
    topic, reply = device.hear()
    assert (topic, [job["jobId"] for job in reply["inProgressJobs"]]) == ("get/accepted", ["j"])
    with served.stream(view="wire", thing="kiln") as stream:
        assert [message["mark"] for message in stream.until(lambda state: True)["messages"]] == ["no reply", "", ""]


def test_held_replies_arrive_late_and_in_order(served: PageService, device: Device) -> None:
    cause(served, "hold")
    device.ask("start-next", clientToken="1")
    device.ask("get", clientToken="2")
    assert [device.hear()[0] for _ in range(2)] == ["start-next/accepted", "get/accepted"]
    with served.stream(view="wire", thing="kiln") as stream:
        asked, _, answered, _ = stream.until(lambda state: True)["messages"]
    assert answered["at"] - asked["at"] >= HOLD / 2


def test_a_step_can_be_timed_out_now(served: PageService, device: Device) -> None:
    status, reply = served.post("trouble/time-out", {"thing": "kiln"})
    assert (status, "kiln" in reply["message"]) == (404, True)
    device.ask("start-next")
    device.hear()
    cause(served, "time-out")
    execution = served.iot.describe_job_execution(jobId="j", thingName="kiln")["execution"]
    assert execution["status"] == "TIMED_OUT"


def test_each_fault_has_a_title_and_an_expected_reaction(served: PageService) -> None:
    with served.stream(view="things") as stream:
        _, hello = stream.event()
    assert set(hello["faults"]) == {"hold", "lose", "throttle", "cut", "time-out"}
    assert all(fault["title"] and fault["expect"] for fault in hello["faults"].values())
