"""Jobs, job executions and their version histories in the database; rows in, dataclasses out, no rules."""

import sqlite3
from dataclasses import asdict, fields
from typing import Any

from ujobs_tools.service.database import Database, decode, encode
from ujobs_tools.service.model import Execution, Job

_JOB_COLUMNS = ", ".join(field.name for field in fields(Job))
_EXECUTION_COLUMNS = ", ".join(field.name for field in fields(Execution))
_IS_PENDING = "status IN ('IN_PROGRESS', 'QUEUED')"
# The front of the queue is first: IN_PROGRESS before QUEUED, the oldest first in each.
_PENDING_ORDER = "ORDER BY status, sequence"


def _job(row: sqlite3.Row) -> Job:
    columns: dict[str, Any] = dict(row)
    columns.pop("sequence", None)
    columns["targets"] = decode(columns["targets"])
    columns["retries"] = decode(columns["retries"])
    columns["force_canceled"] = bool(columns["force_canceled"])
    return Job(**columns)


def _execution(row: sqlite3.Row) -> Execution:
    columns: dict[str, Any] = dict(row)
    columns["details"] = decode(columns["details"])
    columns["force_canceled"] = bool(columns["force_canceled"])
    return Execution(**columns)


class JobStore(Database):
    """Jobs and job executions. Listings take `before`, a sequence number to continue a page from, and a limit."""

    def add_job(self, job: Job) -> None:
        self._insert("jobs", **self._job_columns(job))

    def save_job(self, job: Job) -> None:
        columns = self._job_columns(job)
        assignments = ", ".join(f"{name} = ?" for name in columns)
        self._execute(f"UPDATE jobs SET {assignments} WHERE job_id = ?", *columns.values(), job.job_id)

    @staticmethod
    def _job_columns(job: Job) -> dict[str, Any]:
        columns = asdict(job)
        return columns | {"targets": encode(job.targets), "retries": encode(job.retries)}

    def job(self, job_id: str) -> Job | None:
        row = self._one(f"SELECT {_JOB_COLUMNS} FROM jobs WHERE job_id = ?", job_id)
        return None if row is None else _job(row)

    def document(self, job_id: str) -> str:
        """The job document, as CreateJob got it."""
        return self._value("SELECT document FROM jobs WHERE job_id = ?", job_id)

    def jobs(
        self, status: str | None, target_selection: str | None, before: int | None, limit: int
    ) -> list[tuple[int, Job]]:
        """(sequence, job), newest first."""
        rows = self._all(
            f"SELECT sequence, {_JOB_COLUMNS} FROM jobs WHERE status = coalesce(?, status) AND "
            "target_selection = coalesce(?, target_selection) AND sequence < coalesce(?, sequence + 1) "
            "ORDER BY sequence DESC LIMIT ?",
            status, target_selection, before, limit,
        )
        return [(row["sequence"], _job(row)) for row in rows]

    def delete_job(self, job_id: str) -> None:
        """Delete a job with its executions and their histories."""
        self._execute("DELETE FROM executions WHERE job_id = ?", job_id)
        self._execute("DELETE FROM jobs WHERE job_id = ?", job_id)

    def counts(self, job_id: str) -> dict[str, int]:
        """The job's executions by status."""
        return dict(
            tuple(row)
            for row in self._all("SELECT status, count(*) FROM executions WHERE job_id = ? GROUP BY status", job_id)
        )

    def pending_of_job(self, job_id: str) -> list[Execution]:
        return self._executions(f"WHERE job_id = ? AND {_IS_PENDING} ORDER BY sequence", job_id)

    def has_pending(self, job_id: str) -> bool:
        return self._one(f"SELECT 1 FROM executions WHERE job_id = ? AND {_IS_PENDING} LIMIT 1", job_id) is not None

    def add_execution(self, thing: str, job_id: str, number: int, now: float, retry_attempt: int = 0) -> None:
        """Queue an execution, version 1, behind all others."""
        execution = Execution(0, thing, job_id, number, now, now, retry_attempt=retry_attempt)
        columns = self._execution_columns(execution)
        del columns["sequence"]
        execution.sequence = self._insert("executions", **columns)
        self._record(execution, now)

    def save_execution(self, execution: Execution) -> None:
        """Store a changed execution, and what it is now as the next entry of its history, at its last_updated_at."""
        columns = self._execution_columns(execution)
        assignments = ", ".join(f"{name} = ?" for name in columns)
        self._execute(
            f"UPDATE executions SET {assignments} WHERE sequence = ?", *columns.values(), execution.sequence
        )
        self._record(execution, execution.last_updated_at)

    def _record(self, execution: Execution, at: float) -> None:
        self._execute(
            "INSERT INTO history SELECT ?, coalesce(max(position), 0) + 1, ?, ?, ?, ? FROM history WHERE execution = ?",
            execution.sequence, execution.version, execution.status, encode(execution.details), at,
            execution.sequence,
        )

    @staticmethod
    def _execution_columns(execution: Execution) -> dict[str, Any]:
        return asdict(execution) | {"details": encode(execution.details)}

    def delete_execution(self, execution: Execution) -> None:
        """Delete an execution and its history."""
        self._execute("DELETE FROM executions WHERE sequence = ?", execution.sequence)

    def _executions(self, rest: str, *values: Any) -> list[Execution]:
        return [_execution(row) for row in self._all(f"SELECT {_EXECUTION_COLUMNS} FROM executions {rest}", *values)]

    def execution(self, thing: str, job_id: str, number: int | None) -> Execution | None:
        """One execution; the latest when number is None."""
        found = self._executions(
            "WHERE thing = ? AND job_id = ? AND number = coalesce(?, number) ORDER BY number DESC LIMIT 1",
            thing, job_id, number,
        )
        return found[0] if found else None

    def pending_sequences(self, thing: str) -> list[int]:
        """The thing's QUEUED and IN_PROGRESS executions by sequence number, the front first."""
        rows = self._all(f"SELECT sequence FROM executions WHERE thing = ? AND {_IS_PENDING} {_PENDING_ORDER}", thing)
        return [row[0] for row in rows]

    def pending(self, thing: str, limit: int) -> list[Execution]:
        """The thing's QUEUED and IN_PROGRESS executions, the front first."""
        return self._executions(f"WHERE thing = ? AND {_IS_PENDING} {_PENDING_ORDER} LIMIT ?", thing, limit)

    def ended(self, thing: str, job_id: str, statuses: tuple[str, ...]) -> int:
        """How many of the thing's executions of a job have one of these statuses."""
        marks = ", ".join("?" * len(statuses))
        return self._value(
            f"SELECT count(*) FROM executions WHERE thing = ? AND job_id = ? AND status IN ({marks})",
            thing, job_id, *statuses,
        )

    def due(self, now: float) -> list[Execution]:
        """The executions whose step or in-progress timer has run out, the longest overdue first."""
        return self._executions("WHERE deadline IS NOT NULL AND deadline <= ? ORDER BY deadline", now)

    def next_deadline(self) -> float | None:
        """The earliest end of a timer, in epoch seconds."""
        return self._value("SELECT deadline FROM executions WHERE deadline IS NOT NULL ORDER BY deadline LIMIT 1")

    def executions_of_thing(
        self, thing: str, status: str | None, job_id: str | None, before: int | None, limit: int
    ) -> list[Execution]:
        """Newest first."""
        return self._executions(
            "WHERE thing = ? AND status = coalesce(?, status) AND job_id = coalesce(?, job_id) "
            "AND sequence < coalesce(?, sequence + 1) ORDER BY sequence DESC LIMIT ?",
            thing, status, job_id, before, limit,
        )

    def executions_of_job(self, job_id: str, status: str | None, before: int | None, limit: int) -> list[Execution]:
        """Newest first."""
        return self._executions(
            "WHERE job_id = ? AND status = coalesce(?, status) AND sequence < coalesce(?, sequence + 1) "
            "ORDER BY sequence DESC LIMIT ?",
            job_id, status, before, limit,
        )

    def history(self, execution: Execution) -> list[tuple[int, str, dict[str, str] | None, float]]:
        """(version, status, details, time) of everything the execution has been, oldest first."""
        rows = self._all(
            "SELECT version, status, details, at FROM history WHERE execution = ? ORDER BY position",
            execution.sequence,
        )
        return [(row["version"], row["status"], decode(row["details"]), row["at"]) for row in rows]

    def latest_time(self) -> float | None:
        """The latest time at which anything happened to a job or an execution, in epoch seconds."""
        return self._value("SELECT max(t) FROM (SELECT max(last_updated_at) AS t FROM executions UNION ALL "
                           "SELECT max(last_updated_at) FROM jobs)")
