"""The Jobs operations over MQTT: topics, envelope, encoding, and a reply to every request."""

import json
from typing import Any

import pytest
from engine_service import START, Service
from hypothesis import given
from hypothesis import strategies as st

from ujobs_tools.service import mqtt_api

PREFIX = "$aws/things/kiln/jobs/"
NOW = int(START)


@pytest.fixture
def service() -> Service:
    return Service()


def ask(service: Service, suffix: str, request: Any = None, **members: Any) -> tuple[str, dict[str, Any]]:
    """Send a request; returns the reply's topic after the prefix, and the reply."""
    payload = request if isinstance(request, bytes) else json.dumps(request or members).encode()
    replies = mqtt_api.handle(service.engine, "kiln", suffix, payload)
    assert len(replies) == 1
    topic, reply = replies[0]
    assert topic.startswith(PREFIX)
    return topic.removeprefix(PREFIX), json.loads(reply)


def test_each_operation_replies_on_its_own_topic_with_token_and_whole_seconds(service: Service) -> None:
    service.job("a", document={"operation": "x"})
    service.clock.forward(0.7)
    envelope = {"clientToken": "t", "timestamp": NOW}
    summary = {"jobId": "a", "queuedAt": NOW, "lastUpdatedAt": NOW, "executionNumber": 1, "versionNumber": 1}
    document = {"jobDocument": {"operation": "x"}}
    queued = {"execution": {**summary, **document, "status": "QUEUED"}}
    assert ask(service, "get", clientToken="t") == (
        "get/accepted", {**envelope, "inProgressJobs": [], "queuedJobs": [summary]},
    )
    assert ask(service, "a/get", clientToken="t") == ("a/get/accepted", {**envelope, **queued})
    assert ask(service, "$next/get", clientToken="t") == ("$next/get/accepted", {**envelope, **queued})
    started = summary | {"startedAt": NOW, "versionNumber": 2, "status": "IN_PROGRESS"} | document
    assert ask(service, "start-next", clientToken="t") == ("start-next/accepted", {**envelope, "execution": started})
    assert ask(service, "a/update", clientToken="t", status="SUCCEEDED") == ("a/update/accepted", envelope)
    assert ask(service, "start-next", clientToken="t") == ("start-next/accepted", envelope)
    assert ask(service, "$next/get", clientToken="t") == ("$next/get/accepted", envelope)


def test_without_a_token_there_is_none_in_the_reply(service: Service) -> None:
    assert ask(service, "start-next") == ("start-next/accepted", {"timestamp": NOW})


def test_an_empty_payload_stands_for_an_empty_object(service: Service) -> None:
    assert ask(service, "get", b"") == ("get/accepted", {"timestamp": NOW, "inProgressJobs": [], "queuedJobs": []})


def test_a_rejection_carries_code_message_and_state(service: Service) -> None:
    service.job("a")
    service.progress("a", statusDetails={"progress": "40"})
    assert ask(service, "a/update", clientToken="t", status="IN_PROGRESS", expectedVersion=1) == (
        "a/update/rejected",
        {
            "clientToken": "t", "timestamp": NOW, "code": "VersionMismatch",
            "message": "Expected version 1 but found version 2",
            "executionState": {
                "status": "IN_PROGRESS", "statusDetails": {"progress": "40"}, "versionNumber": 2,
            },
        },
    )


@pytest.mark.parametrize(
    ("suffix", "request_", "code"),
    [
        ("a/update", {"status": "QUEUED"}, "InvalidStateTransition"),
        ("a/update", {"status": "SUCCESS"}, "InvalidRequest"),
        ("b/update", {"status": "SUCCEEDED"}, "ResourceNotFound"),
        ("b/get", {}, "ResourceNotFound"),
        ("done/get", {}, "TerminalStateReached"),
        ("done/update", {"status": "SUCCEEDED"}, "InvalidStateTransition"),
        ("$next/update", {"status": "SUCCEEDED"}, "InvalidRequest"),
        ("start-next", {"stepTimeoutInMinutes": 0}, "InvalidRequest"),
        ("get", {"clientToken": 5}, "InvalidRequest"),
        ("a/delete", {}, "InvalidTopic"),
        ("start", {}, "InvalidTopic"),
        ("", {}, "InvalidTopic"),
        ("a/get/b", {}, "InvalidTopic"),
    ],
)
def test_each_error_code(service: Service, suffix: str, request_: dict[str, Any], code: str) -> None:
    service.job("a")
    service.job("done")
    service.report("done", "SUCCEEDED")
    topic, reply = ask(service, suffix, request_)
    assert (topic, reply["code"]) == (f"{suffix}/rejected", code)
    assert reply["timestamp"] == NOW
    assert reply["message"]


@pytest.mark.parametrize(
    "payload",
    [b"{", b"\xff\xfe", b"[1]", b"3", b"null", b'"text"', b'{"a":NaN}', b"[" * 100_000, b'{"n":' + b"9" * 5000 + b"}"],
)
def test_payloads_that_are_not_json_objects_are_rejected_without_a_token(service: Service, payload: bytes) -> None:
    topic, reply = ask(service, "start-next", payload)
    assert topic == "start-next/rejected"
    assert reply["code"] == "InvalidJson"
    assert "clientToken" not in reply


def test_the_document_is_an_object_and_text_is_utf8_with_escapes_beyond_the_basic_plane(service: Service) -> None:
    service.job("a", document={"text": "é漢🙂"})
    _, payload = mqtt_api.handle(service.engine, "kiln", "$next/get", b'{"clientToken":"\\ud800"}')[0]
    assert '"jobDocument":{"text":"é漢\\ud83d\\ude42"}'.encode() in payload
    assert b'"clientToken":"\\ud800"' in payload


def test_notifications(service: Service) -> None:
    assert mqtt_api.notification("kiln", "notify-next", {"timestamp": NOW}) == (
        PREFIX + "notify-next", b'{"timestamp":%d}' % NOW,
    )


def test_a_failure_of_the_service_is_an_internal_error(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    service.engine.store.close()
    topic, reply = ask(service, "get", clientToken="t")
    assert (topic, reply["code"], reply["clientToken"]) == ("get/rejected", "InternalError", "t")
    assert "get failed" in caplog.text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
members = st.dictionaries(
    st.sampled_from(
        [
            "status", "statusDetails", "expectedVersion", "executionNumber", "includeJobExecutionState",
            "includeJobDocument", "stepTimeoutInMinutes", "clientToken",
        ]
    ),
    json_values | st.sampled_from(["IN_PROGRESS", "SUCCEEDED", 1, 2, "2", True, 2**70]),
)
suffixes = st.sampled_from(["get", "start-next", "a/get", "$next/get", "a/update", "a/update"]) | st.text(max_size=8)


@given(suffix=suffixes, payload=st.binary(max_size=20) | members.map(lambda value: json.dumps(value).encode()))
def test_any_payload_gets_one_reply(suffix: str, payload: bytes) -> None:
    service = Service()
    service.job("a")
    [(topic, reply)] = mqtt_api.handle(service.engine, "kiln", suffix, payload)
    decoded = json.loads(reply)
    if topic.endswith("/accepted"):
        assert "code" not in decoded
    else:
        assert topic == PREFIX + suffix + "/rejected"
        assert decoded["code"] in {
            "InvalidJson", "InvalidRequest", "InvalidTopic", "InvalidStateTransition", "VersionMismatch",
            "ResourceNotFound", "TerminalStateReached",
        }
