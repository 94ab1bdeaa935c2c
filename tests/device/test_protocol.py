"""The protocol module: topics, bodies, limits and replies, as AWS documents them."""

import ujson
from broker import raises
from ujobs import protocol

PREFIX = protocol.prefix("kiln:7_a-B")


def test_topics_to_publish_on():
    assert PREFIX == b"$aws/things/kiln:7_a-B/jobs/"
    assert protocol.topic(PREFIX, protocol.GET_PENDING) == PREFIX + b"get"
    assert protocol.topic(PREFIX, protocol.START_NEXT) == PREFIX + b"start-next"
    assert protocol.topic(PREFIX, protocol.DESCRIBE, "fw-7") == PREFIX + b"fw-7/get"
    assert protocol.topic(PREFIX, protocol.DESCRIBE, protocol.NEXT) == PREFIX + b"$next/get"
    assert protocol.topic(PREFIX, protocol.UPDATE, "fw-7") == PREFIX + b"fw-7/update"


def test_names_out_of_limits_are_refused_with_field_and_limit():
    for thing in ("", "a" * 129, "a/b", "a b", "ä", None, 5):
        assert "thingName" in str(raises(ValueError, protocol.prefix, thing))
    protocol.prefix("a" * 128)
    for job_id in ("", "a" * 65, "a:b", "a/b", "$next", None):
        error = raises(ValueError, protocol.topic, PREFIX, protocol.UPDATE, job_id)
        assert "jobId" in str(error) and "64" in str(error)
    protocol.topic(PREFIX, protocol.UPDATE, "a" * 64)


def test_every_incoming_topic_is_told_apart():
    accepted, rejected = protocol.ACCEPTED_REPLY, protocol.REJECTED_REPLY
    known = (
        (b"notify", protocol.NOTIFY),
        (b"notify-next", protocol.NOTIFY_NEXT),
        (b"get/accepted", protocol.GET_PENDING | accepted),
        (b"get/rejected", protocol.GET_PENDING | rejected),
        (b"start-next/accepted", protocol.START_NEXT | accepted),
        (b"start-next/rejected", protocol.START_NEXT | rejected),
        (b"fw-7/get/accepted", protocol.DESCRIBE | accepted),
        (b"$next/get/rejected", protocol.DESCRIBE | rejected),
        (b"fw-7/update/accepted", protocol.UPDATE | accepted),
        (b"fw-7/update/rejected", protocol.UPDATE | rejected),
    )
    for suffix, kind in known:
        assert protocol.classify(PREFIX, PREFIX + suffix) == kind, suffix


def test_foreign_topics_are_nothing():
    for topic in (
        b"", b"sensors/1", b"$aws/things/kiln:7_a-B/shadow/update/accepted", b"$aws/things/other/jobs/notify",
        PREFIX, PREFIX + b"notify/", PREFIX + b"get", PREFIX + b"fw-7/update", PREFIX + b"a/b/update/accepted",
        PREFIX + b"/accepted", PREFIX + b"/update/accepted", PREFIX + b"fw-7/notify-namespace-x",
    ):
        assert protocol.classify(PREFIX, topic) == 0, topic


def test_requests_hold_what_was_given_and_nothing_else():
    assert ujson.loads(protocol.get_pending()) == {}
    assert ujson.loads(protocol.get_pending("t")) == {"clientToken": "t"}
    assert ujson.loads(protocol.start_next(5, {"a": "b"}, "t")) == {
        "clientToken": "t", "stepTimeoutInMinutes": 5, "statusDetails": {"a": "b"}}
    assert ujson.loads(protocol.describe()) == {}
    assert ujson.loads(protocol.describe(3, False, "t")) == {
        "clientToken": "t", "executionNumber": 3, "includeJobDocument": False}
    assert ujson.loads(protocol.update("IN_PROGRESS")) == {"status": "IN_PROGRESS"}
    assert ujson.loads(protocol.update("FAILED", {"reason": "x"}, 4, 1 << 40, -1, True, True, "t")) == {
        "clientToken": "t", "status": "FAILED", "statusDetails": {"reason": "x"}, "expectedVersion": 4,
        "executionNumber": 1 << 40, "stepTimeoutInMinutes": -1, "includeJobExecutionState": True,
        "includeJobDocument": True}


def test_status_is_one_a_device_may_set():
    for status in ("IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED"):
        assert ujson.loads(protocol.update(status))["status"] == status
    assert ujson.loads(protocol.update("SUCCESS"))["status"] == "SUCCEEDED"
    for status in ("QUEUED", "TIMED_OUT", "REMOVED", "CANCELED", "FAILURE", "succeeded", "", None):
        assert "status" in str(raises(ValueError, protocol.update, status))


def test_numbers_out_of_limits_are_refused():
    for minutes in (0, -1, 10081, 1.5, "5", True):
        assert "stepTimeoutInMinutes" in str(raises(ValueError, protocol.start_next, minutes))
    for minutes in (0, -2, 10081, "5"):
        assert "10080" in str(raises(ValueError, protocol.update, "FAILED", step_timeout=minutes))
    for minutes in (1, 10080):
        protocol.start_next(minutes)
    for number in (-1, 1 << 63, "1"):
        assert "expectedVersion" in str(raises(ValueError, protocol.update, "FAILED", expected_version=number))
        assert "executionNumber" in str(raises(ValueError, protocol.update, "FAILED", execution_number=number))
        assert "executionNumber" in str(raises(ValueError, protocol.describe, execution_number=number))
    for token in ("", "a" * 65, 5):
        assert "clientToken" in str(raises(ValueError, protocol.get_pending, token))


def test_status_details_limits():
    protocol.check_details({})
    protocol.check_details({"k" * 128: "v" * 1024, "a:b_c-D": "größer ✓ 😀"})
    protocol.check_details({str(n): "x" for n in range(10)})
    for details, word in (
        ({str(n): "x" for n in range(11)}, "10"), ([], "dict"), ({"": "x"}, "key"), ({"a b": "x"}, "key"),
        ({"a.b": "x"}, "key"), ({"k" * 129: "x"}, "128"), ({"k": ""}, "'k'"), ({"k": "v" * 1025}, "1024"),
        ({"k": 5}, "'k'"), ({"k": None}, "'k'"), ({"k": "a\nb"}, "control"), ({"k": "a\x7f"}, "control"),
        ({"k": "\u200b"}, "control"), ({"k": "\ue000"}, "control"),
    ):
        assert word in str(raises(ValueError, protocol.check_details, details)), details
        assert word in str(raises(ValueError, protocol.update, "FAILED", status_details=details))


def test_clean_makes_any_text_a_value():
    for text in ("", "\n", "a\nb\tc", "x" * 5000, "\u200b\ufeff", "fine", " \x00 "):
        protocol.check_details({"k": protocol.clean(text)})
    assert protocol.clean("a\nb") == "a b"
    assert protocol.clean("fine") == "fine"


def test_replies_are_read():
    execution = protocol.execution(protocol.parse(
        b'{"timestamp":1,"execution":{"jobId":"a","status":"IN_PROGRESS","queuedAt":1730000000,"startedAt":2,'
        b'"versionNumber":2,"executionNumber":9876543210,"jobDocument":{"operation":"x"},"more":[1]}}'))
    assert (execution.job_id, execution.status, execution.version_number) == ("a", "IN_PROGRESS", 2)
    assert (execution.execution_number, execution.queued_at) == (9876543210, 1730000000)
    assert execution.document == {"operation": "x"}
    assert execution.status_details == {}
    assert protocol.execution(protocol.parse(b'{"timestamp":1}')) is None
    pending = protocol.parse(
        b'{"inProgressJobs":[],"queuedJobs":[{"jobId":"q","versionNumber":1,"executionNumber":1}]}')
    assert protocol.executions(pending, "inProgressJobs") == []
    assert protocol.executions(pending, "queuedJobs")[0].job_id == "q"


def test_a_reply_can_be_parsed_from_a_memoryview():
    assert protocol.parse(memoryview(b'xx{"a": 1}')[2:]) == {"a": 1}


def test_malformed_replies_are_value_errors():
    for payload in (b"", b"{", b"[]", b"5", b"null", b'"text"', b"\xff\xfe{}"):
        raises(ValueError, protocol.parse, payload)
    for inner in (
        5, [], "x", {}, {"jobId": 5, "versionNumber": 1, "executionNumber": 1},
        {"jobId": "a", "versionNumber": "1", "executionNumber": 1}, {"jobId": "a", "versionNumber": 1},
        {"jobId": "a", "versionNumber": 1, "executionNumber": 1, "statusDetails": []},
        {"jobId": "a/b", "versionNumber": 1, "executionNumber": 1},
        {"jobId": "a" * 65, "versionNumber": 1, "executionNumber": 1},
    ):
        raises(ValueError, protocol.execution, {"execution": inner})
    raises(ValueError, protocol.executions, {"queuedJobs": {}}, "queuedJobs")


def test_rejections_become_jobs_errors():
    error = protocol.error({"code": "VersionMismatch", "message": "m", "executionState": {"versionNumber": 4}})
    assert (error.code, error.message, error.state) == (protocol.VERSION_MISMATCH, "m", {"versionNumber": 4})
    assert str(error) == "VersionMismatch: m"
    for fields in ({}, {"code": 5, "message": [], "executionState": "x"}):
        error = protocol.error(fields)
        assert error.state == {}
        str(error)
