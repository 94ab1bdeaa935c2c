"""Any job document: the job ends with a status and a reason, only permitted files are written, and the next job
runs."""

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from documents import CONTENT, IMAGE, KINDS, SECRET, at
from fuzzed_board import FuzzedBoard, folder_for_boards
from fuzzing import bounded, printed
from hypothesis import example, given
from hypothesis import strategies as st
from test_fuzz_protocol import EXECUTION, REPLY, check_detail

from web import File, head

ENDS = ("SUCCEEDED", "FAILED", "REJECTED")
FOUND = File(CONTENT)
ANSWERS = st.sampled_from(
    [FOUND, FOUND, FOUND, lambda asked: head(404, {}), lambda asked: b"", lambda asked: FOUND(asked)[:500]]
)
UNEXPLAINED = "(Type|Key|Index|Attribute)Error"
# The files that a job may change, by its operation; every job may change the journal.
MAY_CHANGE = {
    "files": ("/data/",), "steps": ("/data/",), "app": ("/app/", "/app.version", "/app-b", "/trial", "/app-slot"),
    "firmware": ("/ota_", "/trial", "/app-slot"), "settings": ("/trial", "/app-slot", "/settings."),
}
AFTER_A_TRIAL = ("/trial", "/trial.tmp", "/trial-failed", "/app-slot", "/app-slot.tmp", "/settings.old")


def fits(reply: dict[str, Any]) -> bool:
    """Whether the link accepts a reply of this size: if it is too large, the job is rejected."""
    return len(json.dumps(reply)) < 10000


class Boards:
    make: Callable[[Any], FuzzedBoard]


@contextlib.contextmanager
def preparation() -> Iterator[None]:
    """A folder for the boards."""
    with folder_for_boards() as make:
        Boards.make = staticmethod(make)  # type: ignore[assignment]
        yield


def judge(board: FuzzedBoard, operation: Any) -> None:
    tried, sound = board.cloud.executions
    assert tried["status"] in ENDS
    details = tried.get("statusDetails", {})
    if tried["status"] != "SUCCEEDED":
        # Functions of the application may give any reason.
        assert operation in ("call", "steps", "say") or not re.match(UNEXPLAINED, details["reason"])
        # The job reports this error, and the old version is still active.
        assert board.in_use() == board.at_first, details
    for update in board.cloud.updates():
        assert len(update.get("statusDetails", {})) <= 10
        for key, value in update.get("statusDetails", {}).items():
            check_detail(key, value)
    assert (sound["status"], sound["statusDetails"]) == ("SUCCEEDED", {"answer": "42"})
    assert not [line for line in (*printed, str(board.cloud.updates())) if SECRET in line]
    places = MAY_CHANGE.get(operation, ()) if isinstance(operation, str) else ()
    for name in board.changed:
        assert name.startswith(board.folder + "/"), name
        inside = name[len(board.folder) :]
        assert inside.startswith(("/journal", *places)) or inside in AFTER_A_TRIAL, name
        assert "/../" not in inside


def work(document: Any, answer: Any) -> None:
    board = Boards.make(answer)
    printed.clear()
    document = at(board.folder + "/data", document)
    board.cloud.queue("tried", document)
    board.cloud.queue("sound", {"operation": "quick"}, queued_at=2000)
    board.work()
    operation = None
    if isinstance(document, dict):
        foreign = "steps" if "steps" in document else "firmware" if "afr_ota" in document else None
        operation = document.get("operation") or foreign
    judge(board, operation)


@bounded(100)
@given(document=KINDS["files"], answer=ANSWERS)
def test_any_job_for_files(document: Any, answer: Any) -> None:
    work(document, answer)


@bounded(60)
@given(document=KINDS["app"], answer=ANSWERS)
def test_any_job_for_the_application(document: Any, answer: Any) -> None:
    work(document, answer)


@bounded(50)
@given(document=KINDS["firmware"] | KINDS["over the air"])
def test_any_job_for_the_firmware(document: Any) -> None:
    work(document, File(IMAGE))


@bounded(40)
@given(document=KINDS["settings"])
def test_any_job_for_the_settings(document: Any) -> None:
    work(document, FOUND)


@bounded(80)
@given(document=KINDS["call"] | KINDS["steps"], answer=ANSWERS)
def test_any_job_of_steps_or_calls(document: Any, answer: Any) -> None:
    work(document, answer)


@bounded(100)
@given(document=KINDS["say"])
def test_any_result_of_a_handler(document: Any) -> None:
    work(document, FOUND)


@bounded(60)
@given(document=KINDS["others"])
def test_any_other_job(document: Any) -> None:
    work(document, FOUND)


@bounded(100)
@given(fields=EXECUTION)
@example(fields={"jobId": "a", "executionNumber": 1, "versionNumber": True, "jobDocument": {"operation": "quick"}})
@example(fields={"jobId": "a", "executionNumber": 2**63, "versionNumber": 1, "jobDocument": {"operation": "quick"}})
def test_any_execution_that_the_service_hands_out(fields: dict[str, Any]) -> None:
    # The agent cannot always report this execution, but it continues and runs the next one.
    board = Boards.make(FOUND)
    cloud = board.cloud
    answer = cloud._answer
    handed_out = []

    def wrong(suffix: str, body: dict[str, Any]) -> dict[str, Any]:
        if suffix == "start-next" and not handed_out:
            handed_out.append(fields)
            return {"execution": fields}
        return answer(suffix, body)

    cloud._answer = wrong  # type: ignore[method-assign]
    cloud.queue("sound", {"operation": "quick"}, queued_at=2000)
    board.work()
    assert handed_out
    assert cloud.statuses() == ["SUCCEEDED"]


@bounded(100)
@given(
    replies=st.lists(st.none() | REPLY.filter(fits), min_size=1, max_size=8),
    operation=st.sampled_from(["quick", "long"]),
)
@example(
    replies=[None, {"code": "VersionMismatch", "executionState": {"status": "IN_PROGRESS", "versionNumber": -1}}],
    operation="quick",
)
def test_any_replies_of_the_service(replies: list[dict[str, Any] | None], operation: str) -> None:
    # None: the correct reply. All later replies are correct, so that the job can end.
    board = Boards.make(FOUND)
    cloud = board.cloud
    answer = cloud._answer
    coming = list(replies)

    def wrong(suffix: str, body: dict[str, Any]) -> dict[str, Any]:
        reply = coming.pop(0) if coming else None
        return answer(suffix, body) if reply is None else dict(reply)

    cloud._answer = wrong  # type: ignore[method-assign]
    cloud.queue("tried", {"operation": operation})
    cloud.queue("sound", {"operation": "quick"}, queued_at=2000)
    board.work()
    assert cloud.statuses() == ["SUCCEEDED", "SUCCEEDED"], cloud.requests
