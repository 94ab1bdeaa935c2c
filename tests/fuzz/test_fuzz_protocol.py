"""Any topic, payload, field and status detail: what `protocol` does not take is a ValueError, never anything else."""

import asyncio
import json
import re
import unicodedata
from typing import Any
from unittest import mock

from fuzzing import JSON, NAMES, SCALARS, TEXT, bounded, damaged, mangled
from hypothesis import example, given
from hypothesis import strategies as st

import fast_time
from broker import Broker
from cloud import PREFIX
from ujobs import protocol
from ujobs.client import JobsClient
from ujobs.link import Link

OPERATIONS = {protocol.GET_PENDING, protocol.START_NEXT, protocol.DESCRIBE, protocol.UPDATE}
REPLIES = {operation | verdict for operation in OPERATIONS for verdict in (16, 32)}
KEY = re.compile(r"[a-zA-Z0-9:_-]{1,128}\Z")
FORBIDDEN = {"Cc", "Cf", "Cs", "Co"}  # of [\p{C}], which AWS rules out; the unassigned ones differ between versions

EXECUTION = mangled(
    st.fixed_dictionaries(
        {
            "jobId": st.sampled_from(["a", "x" * 64]), "executionNumber": st.integers(1, 9),
            "versionNumber": st.integers(1, 9), "status": st.sampled_from(["QUEUED", "IN_PROGRESS"]),
            "queuedAt": st.integers(0, 2**33), "approximateSecondsBeforeTimedOut": st.integers(0, 700000),
            "statusDetails": st.dictionaries(NAMES, TEXT, max_size=2), "jobDocument": JSON,
        }
    )
)
REPLY = mangled(
    st.fixed_dictionaries(
        {
            "clientToken": st.sampled_from(["1", "2"]), "timestamp": st.integers(), "execution": EXECUTION,
            "executionState": st.one_of(EXECUTION, JSON), "code": TEXT, "message": TEXT,
            "queuedJobs": st.lists(EXECUTION, max_size=2), "inProgressJobs": st.lists(EXECUTION, max_size=2),
        }
    )
)
SOUND = json.dumps({"clientToken": "1", "execution": {"jobId": "a", "executionNumber": 1, "jobDocument": {"n": 1}}})
PAYLOADS = st.one_of(
    st.binary(max_size=60), damaged(SOUND.encode()), JSON.map(lambda value: json.dumps(value).encode()),
    REPLY.map(lambda value: json.dumps(value).encode()),
)
TOPICS = st.one_of(
    st.binary(max_size=40),
    st.lists(st.sampled_from(["get", "start-next", "notify", "notify-next", "update", "accepted", "rejected", "", "a"]))
    .map("/".join)
    .map(lambda suffix: PREFIX + suffix.encode()),
    damaged(PREFIX + b"a/update/accepted"),
)


@bounded(300)
@given(topic=TOPICS)
def test_any_topic_is_told_apart(topic: bytes) -> None:
    kind = protocol.classify(PREFIX, topic)
    assert kind in {0, protocol.NOTIFY, protocol.NOTIFY_NEXT} | REPLIES
    assert not kind or topic.startswith(PREFIX)


@bounded(400)
@given(payload=PAYLOADS)
@example(payload=b'{"queuedJobs": [[]]}')
def test_any_payload_is_an_object_or_a_value_error(payload: bytes) -> None:
    try:
        fields = protocol.parse(memoryview(payload))
    except ValueError:
        return
    assert isinstance(fields, dict)
    assert isinstance(str(protocol.error(fields)), str)
    for read in (protocol.execution, lambda fields: protocol.executions(fields, "queuedJobs")):
        try:
            found = read(fields)
        except ValueError as error:
            assert str(error)
            continue
        executions = found if isinstance(found, list) else [found] if found else []
        for execution in executions:
            assert re.fullmatch("[A-Za-z0-9_-]{1,64}", execution.job_id)
            assert isinstance(execution.execution_number, int)
            assert isinstance(execution.version_number, int)
            assert isinstance(execution.status, str)


def check_detail(key: str, value: str) -> None:
    """Fail for a status detail that the service would refuse (API DetailsKey and DetailsValue)."""
    assert KEY.match(key), key
    assert 1 <= len(value) <= 1024
    bad = {character for character in value if unicodedata.category(character) in FORBIDDEN}
    assert not bad, bad


@bounded(300)
@given(text=st.text(st.characters(), max_size=1100))
@example(text="\u0600\u061c\ufff9\U0001d173\U000e0001\U000f0000\U0010fffd")
def test_any_text_can_be_made_a_status_detail(text: str) -> None:
    value = protocol.clean(text)
    check_detail("reason", value)
    protocol.check_details({"reason": value})


@bounded(300)
@given(details=st.one_of(JSON, st.dictionaries(TEXT | NAMES, SCALARS | st.just("fine"), max_size=12)))
def test_any_status_details_are_sent_or_refused(details: Any) -> None:
    try:
        protocol.check_details(details)
    except ValueError as error:
        assert "statusDetails" in str(error)
        return
    assert len(details) <= 10
    for key, value in details.items():
        check_detail(key, value)


@bounded(300)
@given(
    status=st.sampled_from(["IN_PROGRESS", "SUCCEEDED", "SUCCESS"]) | SCALARS, token=SCALARS, version=SCALARS,
    number=SCALARS, timeout=SCALARS, details=st.none() | st.dictionaries(NAMES, TEXT, max_size=3),
)
def test_any_request_is_within_the_limits_or_refused(
    status: Any, token: Any, version: Any, number: Any, timeout: Any, details: Any
) -> None:
    try:
        body = json.loads(protocol.update(status, details, version, number, timeout, client_token=token))
    except ValueError as error:
        assert re.match("status|clientToken|expectedVersion|executionNumber|stepTimeoutInMinutes", str(error))
        return
    assert body["status"] in ("IN_PROGRESS", "SUCCEEDED")
    assert 1 <= len(body.get("clientToken", "-")) <= 64
    assert 0 <= body.get("expectedVersion", 0) < 2**63
    assert 0 <= body.get("executionNumber", 0) < 2**63
    assert 1 <= body.get("stepTimeoutInMinutes", 1) <= 10080 or timeout == -1


@bounded(150)
@given(messages=st.lists(st.tuples(TOPICS, PAYLOADS), min_size=1, max_size=8))
def test_any_messages_around_a_request(messages: list[tuple[bytes, bytes]]) -> None:
    async def main(clock: fast_time.Clock) -> None:
        broker = Broker()

        def answer(topic: bytes, payload: bytes) -> None:
            for foreign_topic, foreign in messages:
                broker.send(foreign_topic or b"-", foreign)
            token = json.loads(payload)["clientToken"]
            broker.send(topic + b"/accepted", json.dumps({"clientToken": token, "mine": True}).encode())

        broker.on_publish = answer
        link = Link(b"thing", "host")
        client = JobsClient(link, "thing")
        client.on_notify = client.on_notify_next = lambda told: None
        with mock.patch.object(asyncio, "open_connection", broker.open_connection):
            await link.connect()
        reply = await client.update("a", "IN_PROGRESS")
        assert reply["mine"]

    try:
        fast_time.run(main)
    except protocol.JobsError:
        # One without token is taken for ours, since the service may not have been able to read the request.
        assert any(topic == PREFIX + b"a/update/rejected" for topic, _ in messages)
