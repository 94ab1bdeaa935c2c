"""The content of the page as JSON: each view is a method that only reads the engine.

Times are the service's epoch seconds. The number of rows is limited; `more` says whether there are others."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from ujobs_tools.aws import stages
from ujobs_tools.service import limits, managed_templates, model
from ujobs_tools.service.engine import Engine
from ujobs_tools.service.errors import invalid
from ujobs_tools.service.model import Execution
from ujobs_tools.service.page.presence import Presence
from ujobs_tools.service.wire_record import Joined, WireRecord

MAX_ROWS = 5000
_ROWS = 100
_REASONS_FROM = 2000  # newest executions of each failure status whose reasons are grouped
_NAMED = 5  # things listed for each reason
_FAILURES = (model.FAILED, model.REJECTED, model.TIMED_OUT)
_ORDER = (model.IN_PROGRESS, *_FAILURES, model.CANCELED, model.REMOVED, model.QUEUED, model.SUCCEEDED)
_PROGRESS = re.compile(r"(\d{1,9})/(\d{1,9})")
_BY_DEVICE = (model.IN_PROGRESS, model.SUCCEEDED, model.FAILED, model.REJECTED)

View = dict[str, Any]


class ReadModel:
    """record: the recorded MQTT messages."""

    def __init__(self, engine: Engine, presence: Presence, record: WireRecord) -> None:
        self._engine = engine
        self._presence = presence
        self._record = record
        self._views: dict[str, Callable[[Mapping[str, str]], View]] = {
            "jobs": self.jobs, "job": self.job, "execution": self.execution, "things": self.things,
            "thing": self.thing, "wire": self.wire, "new": self.choices,
        }

    def view(self, asked: Mapping[str, str]) -> View:
        """The view that the parameter `view` names, with the other parameters. Raises ApiError."""
        view = self._views.get(asked.get("view", ""))
        if view is None:
            raise invalid(f"view must be one of {', '.join(self._views)}")
        return view(asked)

    def jobs(self, asked: Mapping[str, str]) -> View:
        """The newest jobs, with their executions counted by status."""
        store, limit = self._engine.store, _limit(asked)
        found = [job for _, job in store.jobs(None, None, None, None, limit + 1)]
        return {
            "jobs": [
                {
                    "jobId": job.job_id, "status": job.status, "description": job.description or "",
                    "targets": [limits.target(arn)[1] for arn in job.targets[:_NAMED]], "allTargets": len(job.targets),
                    "createdAt": job.created_at, "counts": store.counts(job.job_id),
                }
                for job in found[:limit]
            ],
            "more": len(found) > limit,
        }

    def job(self, asked: Mapping[str, str]) -> View:
        """One job: its document, why executions failed, and its executions, the most urgent first."""
        job_id, status, limit = asked.get("job", ""), asked.get("status") or None, _limit(asked)
        store, described = self._engine.store, self._engine.describe_job(job_id)["job"]
        found: list[Execution] = []
        for wanted in [status] if status else _ORDER:
            if len(found) <= limit:
                found += store.executions(None, limit + 1 - len(found), job_id=job_id, status=wanted)
        return {
            "job": described, "document": self._engine.get_job_document(job_id)["document"],
            "stages": stages.in_words(described), "counts": store.counts(job_id), "reasons": self._reasons(job_id),
            "executions": [_row(execution) for execution in found[:limit]], "more": len(found) > limit,
        }

    def _reasons(self, job_id: str) -> list[View]:
        things: dict[tuple[str, str], list[str]] = {}
        for status in _FAILURES:
            for execution in self._engine.store.executions(None, _REASONS_FROM, job_id=job_id, status=status):
                things.setdefault((status, _reason(execution)), []).append(execution.thing)
        return [
            {"status": status, "reason": reason, "count": len(names), "things": names[:_NAMED]}
            for (status, reason), names in sorted(things.items(), key=lambda item: -len(item[1]))[:_ROWS]
        ]

    def execution(self, asked: Mapping[str, str]) -> View:
        """One execution with its versions, its timers, and its board's console output while it ran."""
        thing, job_id = asked.get("thing", ""), asked.get("job", "")
        number = limits.integer(asked, "number")
        history = self._engine.history(thing, job_id, number)
        execution = self._engine.store.execution(thing, job_id, number)
        assert execution is not None, "history() raises if there is none"
        others = self._engine.store.executions(None, _ROWS, thing=thing, job_id=job_id)
        job = self._engine.describe_job(job_id)["job"]
        return {
            "execution": _row(execution) | {
                "details": execution.details or {}, "queuedAt": execution.queued_at, "startedAt": execution.started_at,
            },
            "jobTimeout": job["timeoutConfig"].get("inProgressTimeoutInMinutes"),
            "numbers": sorted(other.number for other in others),
            "history": [entry | {"by": _changed_by(entry["status"])} for entry in history],
            "console": self._console(thing, execution),
        }

    def _console(self, thing: str, execution: Execution) -> list[View] | None:
        board = self._presence.boards.get(thing)
        if board is None:
            return None
        end = execution.last_updated_at + 1 if execution.status in model.TERMINAL else float("inf")
        begin = execution.started_at or execution.queued_at
        return [{"at": at, "text": text} for at, text in board.lines if begin - 1 <= at <= end]

    def things(self, asked: Mapping[str, str]) -> View:
        """Things sorted by name: connection, current job and queue."""
        limit = _limit(asked)
        found = self._engine.store.things("", limit + 1, None)
        return {"things": [self._thing(thing.name) for thing in found[:limit]], "more": len(found) > limit}

    def _thing(self, name: str) -> View:
        store, connection = self._engine.store, self._presence.of(name)
        front = store.pending(name, 1)
        at, why = connection.events[-1] if connection.events else (None, "")
        board = self._presence.boards.get(name)
        return {
            "name": name, "connected": bool(connection.clients), "since": at, "why": why,
            "front": _row(front[0]) if front else None,
            "behind": max(0, store.pending_count(name) - 1),
            "board": board is not None, "power": board is not None and board.cut_power is not None,
        }

    def thing(self, asked: Mapping[str, str]) -> View:
        """One thing: its connections, its queue, its latest executions and, if its board runs here, the console."""
        name = self._engine.describe_thing(asked.get("thing", ""))["thingName"]
        store, limit = self._engine.store, _limit(asked)
        board = self._presence.boards.get(name)
        latest = store.executions(None, limit + 1, thing=name)
        return self._thing(name) | {
            "events": [{"at": at, "why": why} for at, why in reversed(self._presence.of(name).events)],
            "queue": [_row(execution) for execution in store.pending(name, limit)],
            "executions": [_row(execution) for execution in latest[:limit]], "more": len(latest) > limit,
            "console": [{"at": at, "text": text} for at, text in board.lines] if board else None,
        }

    def wire(self, asked: Mapping[str, str]) -> View:
        """The MQTT messages of one thing."""
        thing = limits.thing_name(asked.get("thing", ""))
        found, limit = self._record.of(thing), _limit(asked)
        return {"thing": thing, "messages": [_message(entry) for entry in found[-limit:]], "more": len(found) > limit}

    def choices(self, asked: Mapping[str, str]) -> View:
        """The choices for a new job: targets and AWS's managed templates."""
        engine = self._engine
        templates = [engine.describe_managed_job_template(name) for name in managed_templates.TEMPLATES]
        return {
            "things": [thing.name for thing in engine.store.things("", MAX_ROWS, None)],
            "groups": engine.store.groups_below("", recursive=True),
            "arn": engine.arn("thing", "").removesuffix("thing/"),
            "templates": [
                {
                    "name": template["templateName"], "arn": template["templateArn"],
                    "about": template["description"], "parameters": template["documentParameters"],
                }
                for template in templates
            ],
        }


def _limit(asked: Mapping[str, str]) -> int:
    wanted = limits.integer(asked, "limit")
    return _ROWS if wanted is None else max(1, min(wanted, MAX_ROWS))


def _reason(execution: Execution) -> str:
    return (execution.details or {}).get("reason", "")


def _row(execution: Execution) -> View:
    progress = _PROGRESS.fullmatch((execution.details or {}).get("progress", ""))
    return {
        "thing": execution.thing, "jobId": execution.job_id, "number": execution.number, "status": execution.status,
        "version": execution.version, "attempt": (execution.details or {}).get("attempt", ""),
        "retry": execution.retry_attempt, "reason": _reason(execution), "at": execution.last_updated_at,
        "progress": [int(progress[1]), int(progress[2])] if progress and int(progress[2]) else None,
        "stepDeadline": execution.step_deadline, "jobDeadline": execution.job_deadline,
    }


def _message(entry: Joined) -> View:
    message, reply = entry.message, entry.reply
    answer = ""
    if reply is not None:
        outcome = reply.topic.rpartition("/")[2]
        code = reply.members.get("code", "") if outcome == "rejected" else ""
        answer = f"{outcome} {code}".strip() + f" after {max(0.0, reply.at - message.at) * 1000:.0f} ms"
    return {
        "serial": message.serial, "at": message.at, "from": message.from_thing, "topic": message.topic,
        "payload": message.text, "reply": answer, "mark": entry.mark,
    }


def _changed_by(status: str) -> str:
    """Who sets an execution's status: each status has one origin ("Job execution states")."""
    if status in _BY_DEVICE:
        return "device"
    return "timer" if status == model.TIMED_OUT else "service"
