"""Events about jobs and executions on `$aws/events/`."""

import json
from pathlib import Path
from typing import Any

import pytest
from engine_service import MINUTE, START, Service
from mqtt_wire import WireClient

from ujobs_tools.service.errors import ApiError
from ujobs_tools.service.in_thread import LocalService

ENABLED = {"Enabled": True}
KILN = "arn:aws:iot:us-east-1:000000000000:thing/kiln"


class Watched(Service):
    """A service with both types of events enabled. events: (topic after `$aws/events/`, payload)."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.engine.on_event = lambda topic, payload: self.events.append((topic.removeprefix("$aws/events/"), payload))
        self.engine.update_event_configurations({"JOB": ENABLED, "JOB_EXECUTION": ENABLED})

    def topics(self) -> list[str]:
        """The topics since the last call."""
        found = [topic for topic, _ in self.events]
        self.events.clear()
        return found


@pytest.fixture
def service() -> Watched:
    return Watched()


def test_a_job_and_its_execution_end(service: Watched) -> None:
    service.job("j", description="text")
    service.progress("j")
    assert service.topics() == []
    service.clock.forward(5)
    service.report("j", "SUCCEEDED", statusDetails={"k": "v"})
    (_, ended), (_, completed) = service.events
    ids = [event.pop("eventId") for event in (ended, completed)]
    assert len(set(ids)) == 2
    assert service.topics() == ["jobExecution/j/succeeded", "job/j/completed"]
    assert ended == {
        "eventType": "JOB_EXECUTION", "timestamp": int(START) + 5, "operation": "succeeded", "jobId": "j",
        "thingArn": KILN, "status": "SUCCEEDED", "executionNumber": 1, "statusDetails": {"k": "v"},
    }
    assert completed == {
        "eventType": "JOB", "timestamp": int(START) + 5, "operation": "completed", "jobId": "j", "status": "COMPLETED",
        "targetSelection": "SNAPSHOT", "targets": [KILN], "description": "text", "createdAt": int(START) * 1000,
        "lastUpdatedAt": int(START + 5) * 1000, "completedAt": int(START + 5) * 1000,
        "jobProcessDetails": {
            "numberOfCanceledThings": 0, "numberOfRejectedThings": 0, "numberOfFailedThings": 0,
            "numberOfRemovedThings": 0, "numberOfSucceededThings": 1, "numberOfTimedOutThings": 0,
        },
    }


def test_cancelling_and_deleting_have_two_events_each(service: Watched) -> None:
    service.job("j", "kiln", "oven")
    service.progress("j")
    service.engine.cancel_job("j", reasonCode="WHY", comment="because")
    canceled = service.events[1][1]
    assert (canceled["thingArn"], canceled["forceCanceled"]) == (KILN.replace("kiln", "oven"), False)
    assert {name: service.events[2][1][name] for name in ("comment", "reasonCode", "forceCanceled")} == {
        "comment": "because", "reasonCode": "WHY", "forceCanceled": False,
    }
    assert service.topics() == ["job/j/cancellation_in_progress", "jobExecution/j/canceled", "job/j/canceled"]
    service.engine.delete_job_execution("j", "oven", 1)
    assert service.topics() == ["jobExecution/j/deleted"]
    service.engine.delete_job("j")
    assert service.events[1][1]["status"] == "DELETED"
    assert service.topics() == ["job/j/deletion_in_progress", "jobExecution/j/deleted", "job/j/deleted"]


def test_timers_and_groups_end_executions_too(service: Watched) -> None:
    service.job("j", timeoutConfig={"inProgressTimeoutInMinutes": 1})
    service.progress("j")
    service.clock.forward(MINUTE)
    service.engine.expire()
    assert service.topics() == ["jobExecution/j/timed_out", "job/j/completed"]
    group = service.engine.create_thing_group("g")["thingGroupArn"]
    service.engine.add_thing_to_thing_group("g", thingName="kiln")
    service.engine.create_job("c", [group], "{}", targetSelection="CONTINUOUS")
    service.engine.remove_thing_from_thing_group("g", thingName="kiln")
    assert service.topics() == ["jobExecution/c/removed"]


def test_what_is_not_enabled_is_not_published(service: Watched) -> None:
    engine = service.engine
    service.clock.forward(1)
    engine.update_event_configurations({"JOB": {"Enabled": False}, "THING": {"Enabled": False}})
    service.job("j")
    service.report("j", "REJECTED")
    assert service.topics() == ["jobExecution/j/rejected"]
    found = engine.describe_event_configurations()
    assert [name for name, state in found["eventConfigurations"].items() if state["Enabled"]] == ["JOB_EXECUTION"]
    assert (found["creationDate"], found["lastModifiedDate"]) == (START, START + 1)
    with pytest.raises(ApiError, match=r"^NotImplemented: Events of type THING"):
        engine.update_event_configurations({"THING": ENABLED, "JOB": ENABLED})
    assert engine.describe_event_configurations() == found
    assert not any(state["Enabled"] for state in Service().engine.describe_event_configurations()[
        "eventConfigurations"
    ].values())


def test_subscribers_get_them(tmp_path: Path) -> None:
    def prepare(running: Any) -> None:
        running.engine.update_event_configurations({"JOB_EXECUTION": ENABLED})
        arn = running.engine.create_thing("kiln")["thingArn"]
        running.engine.create_job("j", [arn], "{}")
        # A client without TLS only has the topics of its thing; here it watches.
        running._broker._identify = lambda certificate, client_id, address: Anyone()

    class Anyone:
        name = "watcher"

        def connect(self, *_: Any) -> str:
            return ""

        publish = subscribe = receive = review = connect

    with LocalService(tmp_path) as service:
        service.call(prepare)
        with WireClient(service.call(lambda running: running.ports["mqtt"])) as watcher:
            assert watcher.connect("watcher")[1] == 0
            watcher.subscribe("$aws/events/jobExecution/#")
            service.call(lambda running: running.engine.update("kiln", "j", {"status": "FAILED"}))
            message = watcher.message()
            assert message.topic == "$aws/events/jobExecution/j/failed"
            assert json.loads(message.payload)["status"] == "FAILED"
