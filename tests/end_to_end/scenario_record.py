"""Records everything that can be observed of a board's jobs in a cloud, in a form that can be compared.

Only values that must differ between runs are replaced: times by whether they are whole seconds and in the right order,
client tokens by the number of their request, remaining seconds by whether they fit the timers in use."""

import itertools
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from board_at_work import BoardAtWork
from wire_tap import Passed

Record = dict[str, Any]

_TIMES = ("queuedAt", "startedAt", "lastUpdatedAt", "timestamp", "createdAt", "completedAt")
_LONGEST = 600  # maximum seconds that a time lies in the past or a timer runs
_TOLD = ("app: ", "ujobs: job ", "ujobs: update ")  # lines that the board prints about its jobs


class Recorder:
    """Records one scenario from now on. jobs: ids of the jobs to look up on the control plane."""

    def __init__(self, board: BoardAtWork) -> None:
        self._board = board
        self._first_message = len(board.tap.messages)
        self._said_before = len(board.said())
        self._views: Record = {}
        self.jobs: list[str] = []

    def messages(self) -> list[Passed]:
        """The MQTT messages so far."""
        return self._board.tap.messages[self._first_message :]

    def said(self) -> str:
        """The board's console output so far."""
        return self._board.said()[self._said_before :]

    def look(self, moment: str) -> None:
        """Record the control plane's current data."""
        self._views[moment] = {job_id: self._view(job_id) for job_id in self.jobs}

    def _view(self, job_id: str) -> Record:
        iot, thing = self._board.iot, self._board.thing.name
        return {
            "DescribeJob": _shown(iot.describe_job, jobId=job_id),
            "GetJobDocument": _shown(iot.get_job_document, jobId=job_id),
            "DescribeJobExecution": _shown(iot.describe_job_execution, jobId=job_id, thingName=thing),
            "ListJobExecutionsForJob": _shown(iot.list_job_executions_for_job, jobId=job_id),
            "ListJobExecutionsForThing": _shown(iot.list_job_executions_for_thing, thingName=thing, jobId=job_id),
        }

    def finish(self) -> Record:
        """The complete record, once the cloud sends no more messages."""
        self._board.tap.settle()
        self.look("at the end")
        messages = self.messages()
        topics: dict[str, list[Record]] = {}
        tokens: dict[str, str] = {}
        for message in messages:
            direction = "from the board" if message.from_board else "to the board"
            topics.setdefault(f"{message.topic} {direction}", []).append(_message(message, tokens))
        return {
            "MQTT": topics,
            "requests in order": [message.topic for message in messages if message.from_board],
            "control plane": self._views,
            "board": [line for line in self.said().splitlines() if line.startswith(_TOLD)],
        }


def _message(message: Passed, tokens: dict[str, str]) -> Record:
    payload = dict(message.payload)
    if "clientToken" in payload:
        token = payload["clientToken"]
        payload["clientToken"] = tokens.setdefault(token, f"of request {len(tokens) + 1}")
    return {
        "payload": _comparable(payload, message.at, int),
        "qos": message.qos, "retain": message.retain, "duplicate": message.duplicate,
    }


def _shown(operation: Callable[..., dict[str, Any]], **parameters: str) -> Record:
    """The reply of a boto3 call, or its error without the message."""
    try:
        reply = operation(**parameters)
    except ClientError as error:
        return {
            "error": error.response["Error"]["Code"], "status": error.response["ResponseMetadata"]["HTTPStatusCode"]
        }
    del reply["ResponseMetadata"]
    return _comparable(reply, time.time(), datetime)


def _comparable(value: Any, now: float, kind: type) -> Any:
    """kind: the type of times; int for whole seconds over MQTT."""
    if isinstance(value, list):
        return [_comparable(item, now, kind) for item in value]
    if not isinstance(value, dict):
        return value
    found = {name: _comparable(member, now, kind) for name, member in value.items()}
    times = {name: value[name] for name in _TIMES if name in value}
    for name, moment in times.items():
        seconds = moment.timestamp() if isinstance(moment, datetime) else moment
        right = type(moment) is kind and now - _LONGEST < seconds < now + 1
        found[name] = f"a time ({kind.__name__})" if right else repr(moment)
    if "queuedAt" in times:
        found["(order)"] = _order(times, value.get("versionNumber"))
    if "approximateSecondsBeforeTimedOut" in value:
        left = value["approximateSecondsBeforeTimedOut"]
        found["approximateSecondsBeforeTimedOut"] = "1 to 600" if 0 < left <= _LONGEST else left
    return found


def _order(times: dict[str, Any], version: int | None) -> str:
    """The relations that hold between the times of an execution."""
    known = [name for name in ("queuedAt", "startedAt", "lastUpdatedAt") if name in times]
    true = [f"{a} <= {b}" for a, b in itertools.pairwise(known) if times[a] <= times[b]]
    if version == 1:
        true.append(f"lastUpdatedAt == queuedAt: {times['lastUpdatedAt'] == times['queuedAt']}")
    if version == 2 and "startedAt" in times:
        true.append(f"lastUpdatedAt == startedAt: {times['lastUpdatedAt'] == times['startedAt']}")
    return ", ".join(true)
