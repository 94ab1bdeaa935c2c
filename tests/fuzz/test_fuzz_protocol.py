"""Any payload, field and status detail: it is accepted, or raises ValueError and nothing else."""

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
from ujobs.agent import JobsError, parse
from ujobs.checks import clean, details_of
from ujobs.client import Execution, JobsClient
from ujobs.link import Link

KEY = re.compile(r"[a-zA-Z0-9:_-]{1,128}\Z")
FORBIDDEN = {"Cc", "Cf", "Cs", "Co"}  # of [\p{C}], which AWS forbids, without unassigned characters

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


@bounded(160)
@given(payload=PAYLOADS)
@example(payload=b'{"queuedJobs": [[]]}')
def test_any_payload_is_an_object_or_a_value_error(payload: bytes) -> None:
    try:
        fields = parse(memoryview(payload))
    except ValueError:
        return
    assert isinstance(fields, dict)
    assert isinstance(str(JobsError(str(fields.get("code")), str(fields.get("message")), fields.get("state"))), str)
    try:
        raw = fields.get("execution")
        found = Execution(raw) if raw is not None else None
    except ValueError as error:
        assert str(error)
        return
    if found:
        assert re.fullmatch("[A-Za-z0-9:_-]{1,64}", found.job_id)
        assert isinstance(found.execution_number, int)
        assert isinstance(found.version_number, int)
        assert isinstance(found.status, str)


def check_detail(key: str, value: str) -> None:
    """Fail if the service would refuse a status detail (API: DetailsKey and DetailsValue)."""
    assert KEY.match(key), key
    assert 1 <= len(value) <= 1024
    bad = {character for character in value if unicodedata.category(character) in FORBIDDEN}
    assert not bad, bad


@bounded(120)
@given(text=st.text(st.characters(), max_size=1100))
@example(text="\u0600\u061c\ufff9\U0001d173\U000e0001\U000f0000\U0010fffd")
def test_any_text_can_be_made_a_status_detail(text: str) -> None:
    value = clean(text)
    check_detail("reason", value)
    assert details_of({"reason": value}) == {"reason": value}


@bounded(120)
@given(details=st.one_of(JSON, st.dictionaries(TEXT | NAMES, SCALARS | st.just("fine"), max_size=12)))
def test_any_status_details_are_sent_or_refused(details: Any) -> None:
    try:
        found = details_of(details)
    except ValueError as error:
        assert re.match("statusDetails|a result must be", str(error))
        return
    assert len(found) <= 10
    for key, value in found.items():
        check_detail(key, value)


class Sent(JobsClient):
    """A client that records its requests instead of sending them."""

    async def request(self, operation: str, **fields: Any) -> dict[str, Any]:
        return {name: value for name, value in fields.items() if value is not None}


@bounded(120)
@given(
    status=st.sampled_from(["IN_PROGRESS", "SUCCEEDED", "SUCCESS"]) | SCALARS, version=SCALARS, number=SCALARS,
    timeout=SCALARS, details=st.none() | st.dictionaries(NAMES, TEXT, max_size=3),
)
def test_any_request_is_within_the_limits_or_refused(
    status: Any, version: Any, number: Any, timeout: Any, details: Any
) -> None:
    client = Sent(Link("thing", "host"), "thing")
    try:
        body = asyncio.run(client.update("a", status, details, version, number, timeout))
    except ValueError as error:
        assert re.match("status|expectedVersion|executionNumber|stepTimeoutInMinutes", str(error))
        return
    assert body["status"] in ("IN_PROGRESS", "SUCCEEDED")
    assert 0 <= body.get("expectedVersion", 0) < 2**63
    assert 0 <= body.get("executionNumber", 0) < 2**63
    assert 1 <= body.get("stepTimeoutInMinutes", 1) <= 10080 or timeout == -1


@bounded(60)
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
    except JobsError:
        # A rejection without token counts as ours: the service may have been unable to parse the request.
        assert any(topic == PREFIX + b"a/update/rejected" for topic, _ in messages)
