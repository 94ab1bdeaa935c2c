"""Jobs, job executions and their version histories in the database; rows in, dataclasses out, no rules."""

import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from ujobs_tools.service.database import Database, decode, encode
from ujobs_tools.service.model import PENDING, Execution, Job

_JOB_COLUMNS = ", ".join(field.name for field in fields(Job))
_EXECUTION_COLUMNS = ", ".join(field.name for field in fields(Execution))
# An execution's name and queue position never change; writing them again would rewrite most of its indexes.
_CHANGING = (
    "status", "version", "details", "last_updated_at", "started_at", "step_deadline", "job_deadline", "force_canceled",
)
_IS_PENDING = "status IN ('IN_PROGRESS', 'QUEUED')"
# The pending executions that their thing sees; the others wait for a maintenance window.
_IS_SHOWN = f"{_IS_PENDING} AND held = 0"
# The front of the queue is first: IN_PROGRESS before QUEUED, the oldest first in each.
_PENDING_ORDER = "ORDER BY status, sequence"


def _job(row: sqlite3.Row) -> Job:
    columns: dict[str, Any] = dict(row)
    columns.pop("sequence", None)
    for name in ("targets", "retries", "document_parameters", "rollout", "abort", "scheduling", "presigned"):
        columns[name] = decode(columns[name])
    columns["force_canceled"] = bool(columns["force_canceled"])
    return Job(**columns)


def _execution(row: sqlite3.Row) -> Execution:
    columns: dict[str, Any] = dict(row)
    columns["details"] = decode(columns["details"])
    columns["force_canceled"] = bool(columns["force_canceled"])
    return Execution(**columns)


_NO_SEQUENCE = 2**63 - 1  # greater than any


def _wanted(columns: dict[str, str | None]) -> tuple[str, list[str]]:
    """SQL conditions that columns have these values, each followed by AND, and the values; None matches anything."""
    given = {name: value for name, value in columns.items() if value is not None}
    return "".join(f"{name} = ? AND " for name in given), list(given.values())


class JobStore(Database):
    """Jobs and job executions. `before`: the sequence number that a page of a listing ends before."""

    def __init__(self, path: Path | str) -> None:
        super().__init__(path)
        self._requeued: set[str] = set()

    def requeued(self) -> set[str]:
        """The things whose set of pending executions has changed since the last call."""
        found, self._requeued = self._requeued, set()
        return found

    def add_job(self, job: Job) -> None:
        self._insert("jobs", **asdict(job))

    def save_job(self, job: Job) -> None:
        self._update("jobs", "job_id", **asdict(job))

    def job(self, job_id: str) -> Job | None:
        row = self._one(f"SELECT {_JOB_COLUMNS} FROM jobs WHERE job_id = ?", job_id)
        return None if row is None else _job(row)

    def document(self, job_id: str) -> tuple[str, dict[str, Any] | None]:
        """The job document, and the configuration of its presigned URLs."""
        document, presigned = self._all("SELECT document, presigned FROM jobs WHERE job_id = ?", job_id)[0]
        return document, decode(presigned)

    def jobs(
        self, status: str | None, target_selection: str | None, groups: Sequence[str] | None,
        before: int | None = None, limit: int = -1,
    ) -> list[tuple[int, Job]]:
        """(sequence, job), newest first; groups: only jobs that target one of these thing groups."""
        conditions, values = _wanted({"status": status, "target_selection": target_selection})
        rows = self._all(
            f"SELECT sequence, {_JOB_COLUMNS} FROM jobs WHERE {conditions} sequence < ? AND "
            "(? OR EXISTS (SELECT 1 FROM json_each(targets) AS target, json_each(?) AS name "
            "WHERE target.value GLOB '*:thinggroup/' || name.value)) ORDER BY sequence DESC LIMIT ?",
            *values, _NO_SEQUENCE if before is None else before, groups is None, encode(groups), limit,
        )
        return [(row["sequence"], _job(row)) for row in rows]

    def delete_job(self, job_id: str) -> None:
        """Delete a job with its executions and their histories."""
        pending = self._column(f"SELECT thing FROM executions WHERE job_id = ? AND {_IS_PENDING}", job_id)
        self._requeued.update(pending)
        self._execute("DELETE FROM executions WHERE job_id = ?", job_id)
        self._execute("DELETE FROM jobs WHERE job_id = ?", job_id)

    def counts(self, job_id: str) -> dict[str, int]:
        """The job's executions by status."""
        return dict(
            tuple(row)
            for row in self._all("SELECT status, count(*) FROM executions WHERE job_id = ? GROUP BY status", job_id)
        )

    def wait(self, job_id: str, things: Sequence[str]) -> None:
        """Add things to the end of the job's waiting list."""
        for thing in things:
            self._execute("INSERT OR IGNORE INTO waiting_things (job_id, thing) VALUES (?, ?)", job_id, thing)

    def waiting(self, job_id: str, limit: int = -1) -> list[str]:
        """The first things on the job's waiting list."""
        return self._column(
            "SELECT thing FROM waiting_things WHERE job_id = ? ORDER BY position LIMIT ?", job_id, limit
        )

    def stop_waiting(self, job_id: str, things: Sequence[str] | None = None) -> None:
        """Remove these things, or all, from the job's waiting list."""
        if things is None:
            self._execute("DELETE FROM waiting_things WHERE job_id = ?", job_id)
        for thing in things or ():
            self._execute("DELETE FROM waiting_things WHERE job_id = ? AND thing = ?", job_id, thing)

    def due_jobs(self, now: float) -> list[Job]:
        """The jobs whose due_at has come, the longest overdue first."""
        rows = self._all(
            f"SELECT {_JOB_COLUMNS} FROM jobs WHERE due_at IS NOT NULL AND due_at <= ? ORDER BY due_at, sequence", now
        )
        return [_job(row) for row in rows]

    def next_due_job(self) -> float | None:
        """The earliest due_at of a job, in epoch seconds."""
        return self._value("SELECT due_at FROM jobs WHERE due_at IS NOT NULL ORDER BY due_at LIMIT 1")

    def queued_things(self, job_id: str) -> list[str]:
        """The things with an execution of the job that is QUEUED."""
        return self._column("SELECT thing FROM executions WHERE job_id = ? AND status = 'QUEUED'", job_id)

    def hold(self, job_id: str, held: bool) -> None:
        """Hide the job's QUEUED executions from their things, or show them again."""
        self._requeued.update(self.queued_things(job_id))
        self._execute("UPDATE executions SET held = ? WHERE job_id = ? AND status = 'QUEUED'", held, job_id)

    def pending_of_job(self, job_id: str) -> list[Execution]:
        return self._executions(f"WHERE job_id = ? AND {_IS_PENDING} ORDER BY sequence", job_id)

    def has_pending(self, job_id: str) -> bool:
        return self._one(f"SELECT 1 FROM executions WHERE job_id = ? AND {_IS_PENDING} LIMIT 1", job_id) is not None

    def add_execution(
        self, thing: str, job_id: str, number: int, now: float, retry_attempt: int = 0, held: bool = False
    ) -> None:
        """Queue an execution, version 1, behind all others. held: hidden from its thing, see `hold`."""
        execution = Execution(0, thing, job_id, number, now, now, retry_attempt=retry_attempt)
        columns = asdict(execution) | {"held": held}
        del columns["sequence"]
        execution.sequence = self._insert("executions", **columns)
        self._requeued.add(thing)
        self._record(execution, now)

    def save_execution(self, execution: Execution) -> None:
        """Store an execution that is IN_PROGRESS or has ended, and add its state to its history, dated with its
        last_updated_at."""
        changed = {name: getattr(execution, name) for name in _CHANGING} | {"held": False}
        self._update("executions", "sequence", sequence=execution.sequence, **changed)
        if execution.status not in PENDING:
            self._requeued.add(execution.thing)
        self._record(execution, execution.last_updated_at)

    def _record(self, execution: Execution, at: float) -> None:
        self._execute(
            "INSERT INTO history SELECT ?, coalesce(max(position), 0) + 1, ?, ?, ?, ? FROM history WHERE execution = ?",
            execution.sequence, execution.version, execution.status, encode(execution.details), at,
            execution.sequence,
        )

    def delete_execution(self, execution: Execution) -> None:
        """Delete an execution and its history."""
        self._execute("DELETE FROM executions WHERE sequence = ?", execution.sequence)
        if execution.status in PENDING:
            self._requeued.add(execution.thing)

    def _executions(self, rest: str, *values: Any) -> list[Execution]:
        return [_execution(row) for row in self._all(f"SELECT {_EXECUTION_COLUMNS} FROM executions {rest}", *values)]

    def execution(self, thing: str, job_id: str, number: int | None) -> Execution | None:
        """One execution; the latest if number is None."""
        found = self._executions(
            "WHERE thing = ? AND job_id = ? AND number = coalesce(?, number) ORDER BY number DESC LIMIT 1",
            thing, job_id, number,
        )
        return found[0] if found else None

    def front(self, thing: str) -> int | None:
        """The sequence number of the thing's execution at the front of the queue."""
        return self._value(
            f"SELECT sequence FROM executions WHERE thing = ? AND {_IS_SHOWN} {_PENDING_ORDER} LIMIT 1", thing
        )

    def pending_count(self, thing: str) -> int:
        """How many executions of the thing are QUEUED or IN_PROGRESS."""
        return self._value(f"SELECT count(*) FROM executions WHERE thing = ? AND {_IS_SHOWN}", thing)

    def pending(self, thing: str, limit: int) -> list[Execution]:
        """The thing's QUEUED and IN_PROGRESS executions, the front first."""
        return self._executions(f"WHERE thing = ? AND {_IS_SHOWN} {_PENDING_ORDER} LIMIT ?", thing, limit)

    def have_windows(self, thing: str, limit: int) -> list[bool]:
        """For each of `pending`: whether its job has maintenance windows."""
        windows = "SELECT json_array_length(scheduling, '$.maintenanceWindows') FROM jobs"
        return list(map(bool, self._column(
            f"SELECT ({windows} WHERE jobs.job_id = executions.job_id) FROM executions "
            f"WHERE thing = ? AND {_IS_SHOWN} {_PENDING_ORDER} LIMIT ?", thing, limit,
        )))

    def ended(self, execution: Execution, statuses: tuple[str, ...]) -> int:
        """How many of an execution and those that it retries have one of these statuses."""
        marks = ", ".join("?" * len(statuses))
        return self._value(
            f"SELECT count(*) FROM executions WHERE thing = ? AND job_id = ? AND number >= ? AND status IN ({marks})",
            execution.thing, execution.job_id, execution.number - execution.retry_attempt, *statuses,
        )

    def due(self, now: float) -> list[Execution]:
        """The executions whose step or in-progress timer has expired, the longest overdue first."""
        return self._executions("WHERE deadline IS NOT NULL AND deadline <= ? ORDER BY deadline", now)

    def next_deadline(self) -> float | None:
        """When the next timer expires, in epoch seconds."""
        return self._value("SELECT deadline FROM executions WHERE deadline IS NOT NULL ORDER BY deadline LIMIT 1")

    def executions(self, before: int | None, limit: int, **wanted: str | None) -> list[Execution]:
        """Executions with these values of `thing`, `job_id` and `status`, newest first."""
        conditions, values = _wanted(wanted)
        return self._executions(
            f"WHERE {conditions} sequence < ? ORDER BY sequence DESC LIMIT ?",
            *values, _NO_SEQUENCE if before is None else before, limit,
        )

    def history(self, execution: Execution) -> list[tuple[int, str, dict[str, str] | None, float]]:
        """(version, status, details, time) of each version of the execution, oldest first."""
        rows = self._all(
            "SELECT version, status, details, at FROM history WHERE execution = ? ORDER BY position",
            execution.sequence,
        )
        return [(row["version"], row["status"], decode(row["details"]), row["at"]) for row in rows]

    def latest_time(self) -> float | None:
        """The time of the latest change of a job or an execution, in epoch seconds."""
        return self._value("SELECT max(t) FROM (SELECT max(last_updated_at) AS t FROM executions UNION ALL "
                           "SELECT max(last_updated_at) FROM jobs)")
