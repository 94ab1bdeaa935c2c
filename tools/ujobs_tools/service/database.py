"""The SQLite file under the store: schema, opening, transactions.

Write-ahead logging with synchronous=NORMAL: a committed transaction survives if the process is killed at any moment.
Every request is served by an index. Each index also holds the rows' sequence numbers in order, so pages and queues are
read without sorting."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ujobs_tools.host.files import make_private

_VERSION = 12

_SCHEMA = """
CREATE TABLE jobs (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, job_id TEXT NOT NULL UNIQUE, document TEXT NOT NULL,
    targets TEXT NOT NULL, target_selection TEXT NOT NULL, status TEXT NOT NULL, created_at REAL NOT NULL,
    last_updated_at REAL NOT NULL, description TEXT, in_progress_timeout INTEGER, retries TEXT, completed_at REAL,
    force_canceled INTEGER NOT NULL, reason_code TEXT, comment TEXT, job_template_arn TEXT, document_parameters TEXT,
    rollout TEXT, abort TEXT, scheduling TEXT, document_source TEXT, presigned TEXT, batch_at REAL, due_at REAL);
CREATE INDEX jobs_by_status ON jobs (status);
CREATE INDEX jobs_by_selection ON jobs (target_selection);
CREATE INDEX jobs_by_both ON jobs (target_selection, status);
CREATE INDEX jobs_due ON jobs (due_at) WHERE due_at IS NOT NULL;
CREATE TABLE waiting_things (
    position INTEGER PRIMARY KEY AUTOINCREMENT, job_id TEXT NOT NULL REFERENCES jobs (job_id) ON DELETE CASCADE,
    thing TEXT NOT NULL, UNIQUE (job_id, thing));
CREATE INDEX waiting_things_by_job ON waiting_things (job_id);
CREATE TABLE job_templates (
    id TEXT PRIMARY KEY, created_at REAL NOT NULL, members TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE executions (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, thing TEXT NOT NULL, job_id TEXT NOT NULL, number INTEGER NOT NULL,
    queued_at REAL NOT NULL, last_updated_at REAL NOT NULL, status TEXT NOT NULL, version INTEGER NOT NULL,
    details TEXT, started_at REAL, step_deadline REAL, job_deadline REAL, retry_attempt INTEGER NOT NULL,
    force_canceled INTEGER NOT NULL, held INTEGER NOT NULL DEFAULT 0,
    deadline REAL GENERATED ALWAYS AS
        (coalesce(min(step_deadline, job_deadline), step_deadline, job_deadline)) VIRTUAL,
    UNIQUE (thing, job_id, number));
CREATE INDEX executions_of_thing ON executions (thing);
CREATE INDEX executions_of_thing_by_status ON executions (thing, status);
CREATE INDEX executions_deadline ON executions (deadline) WHERE deadline IS NOT NULL;
CREATE INDEX executions_of_job ON executions (job_id);
CREATE INDEX executions_of_job_by_status ON executions (job_id, status);
CREATE TABLE history (
    execution INTEGER NOT NULL REFERENCES executions (sequence) ON DELETE CASCADE, position INTEGER NOT NULL,
    version INTEGER NOT NULL, status TEXT NOT NULL, details TEXT, at REAL NOT NULL,
    PRIMARY KEY (execution, position)) WITHOUT ROWID;
CREATE TABLE things (
    name TEXT PRIMARY KEY, id TEXT NOT NULL, attributes TEXT NOT NULL, version INTEGER NOT NULL,
    thing_type TEXT) WITHOUT ROWID;
CREATE TABLE thing_types (
    name TEXT PRIMARY KEY, id TEXT NOT NULL, description TEXT, searchable TEXT NOT NULL, created_at REAL NOT NULL,
    deprecated_at REAL) WITHOUT ROWID;
CREATE TABLE thing_groups (
    name TEXT PRIMARY KEY, id TEXT NOT NULL, path TEXT NOT NULL, description TEXT, attributes TEXT NOT NULL,
    created_at REAL NOT NULL, version INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE thing_group_members (
    thing TEXT NOT NULL REFERENCES things (name) ON DELETE CASCADE,
    thing_group TEXT NOT NULL REFERENCES thing_groups (name) ON DELETE CASCADE,
    PRIMARY KEY (thing, thing_group)) WITHOUT ROWID;
CREATE INDEX thing_group_members_by_group ON thing_group_members (thing_group);
CREATE TABLE certificates (
    id TEXT PRIMARY KEY, pem TEXT NOT NULL, status TEXT NOT NULL, created_at REAL NOT NULL,
    last_updated_at REAL NOT NULL);
CREATE TABLE certificate_things (
    certificate TEXT NOT NULL REFERENCES certificates (id), thing TEXT NOT NULL REFERENCES things (name),
    PRIMARY KEY (certificate, thing)) WITHOUT ROWID;
CREATE INDEX certificate_things_by_thing ON certificate_things (thing);
CREATE TABLE policies (name TEXT PRIMARY KEY, default_version INTEGER NOT NULL, created_at REAL NOT NULL);
CREATE TABLE policy_versions (
    policy TEXT NOT NULL REFERENCES policies (name) ON DELETE CASCADE, version INTEGER NOT NULL, document TEXT NOT NULL,
    created_at REAL NOT NULL, PRIMARY KEY (policy, version)) WITHOUT ROWID;
CREATE TABLE policy_certificates (
    policy TEXT NOT NULL REFERENCES policies (name), certificate TEXT NOT NULL REFERENCES certificates (id),
    PRIMARY KEY (policy, certificate)) WITHOUT ROWID;
CREATE INDEX policy_certificates_by_certificate ON policy_certificates (certificate);
CREATE TABLE policy_groups (
    policy TEXT NOT NULL REFERENCES policies (name),
    thing_group TEXT NOT NULL REFERENCES thing_groups (name) ON DELETE CASCADE,
    PRIMARY KEY (policy, thing_group)) WITHOUT ROWID;
CREATE TABLE provisioning_templates (
    name TEXT PRIMARY KEY, body TEXT NOT NULL, role_arn TEXT NOT NULL, enabled INTEGER NOT NULL, description TEXT,
    created_at REAL NOT NULL, last_updated_at REAL, versions TEXT, default_version INTEGER NOT NULL DEFAULT 1,
    last_version INTEGER NOT NULL DEFAULT 1) WITHOUT ROWID;
CREATE TABLE ownership_tokens (
    token TEXT PRIMARY KEY, certificate TEXT NOT NULL REFERENCES certificates (id) ON DELETE CASCADE,
    expires_at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE streams (
    id TEXT PRIMARY KEY, files TEXT NOT NULL, role_arn TEXT NOT NULL, description TEXT, created_at REAL NOT NULL,
    last_updated_at REAL NOT NULL, version INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE stream_files (
    stream TEXT NOT NULL REFERENCES streams (id) ON DELETE CASCADE, file_id INTEGER NOT NULL, content BLOB NOT NULL,
    PRIMARY KEY (stream, file_id));
CREATE TABLE tags (arn TEXT PRIMARY KEY, tags TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE event_types (
    name TEXT PRIMARY KEY, enabled INTEGER NOT NULL, created_at REAL NOT NULL, changed_at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE retained_messages (
    topic TEXT PRIMARY KEY, payload BLOB NOT NULL, properties BLOB NOT NULL, expires_at REAL);
CREATE TABLE sessions (client_id TEXT PRIMARY KEY, expires_at REAL) WITHOUT ROWID;
CREATE TABLE subscriptions (
    client_id TEXT NOT NULL REFERENCES sessions (client_id) ON DELETE CASCADE, filter TEXT NOT NULL,
    qos INTEGER NOT NULL, PRIMARY KEY (client_id, filter)) WITHOUT ROWID;
CREATE TABLE session_messages (
    sequence INTEGER PRIMARY KEY, client_id TEXT NOT NULL REFERENCES sessions (client_id) ON DELETE CASCADE,
    packet_id INTEGER, topic TEXT NOT NULL, payload BLOB NOT NULL, retain INTEGER NOT NULL, properties BLOB NOT NULL,
    expires_at REAL);
CREATE INDEX session_messages_by_packet ON session_messages (client_id, packet_id);
"""

# What brings a file of an earlier version to the next one.
_UPGRADES = {
    6: "".join(
        f"ALTER TABLE {table} ADD COLUMN properties BLOB NOT NULL DEFAULT x''; "
        f"ALTER TABLE {table} ADD COLUMN expires_at REAL; "
        for table in ("retained_messages", "session_messages")
    ),
    7: "ALTER TABLE jobs ADD COLUMN document_source TEXT; ALTER TABLE jobs ADD COLUMN presigned TEXT;",
    8: "CREATE TABLE tags (arn TEXT PRIMARY KEY, tags TEXT NOT NULL) WITHOUT ROWID;",
    9: "ALTER TABLE things ADD COLUMN thing_type TEXT; CREATE TABLE thing_types (name TEXT PRIMARY KEY, "
       "id TEXT NOT NULL, description TEXT, searchable TEXT NOT NULL, created_at REAL NOT NULL, deprecated_at REAL) "
       "WITHOUT ROWID;",
    10: "".join(
        f"ALTER TABLE provisioning_templates ADD COLUMN {column}; "
        for column in (
            "last_updated_at REAL", "versions TEXT", "default_version INTEGER NOT NULL DEFAULT 1",
            "last_version INTEGER NOT NULL DEFAULT 1",
        )
    ),
    11: "CREATE TABLE event_types (name TEXT PRIMARY KEY, enabled INTEGER NOT NULL, created_at REAL NOT NULL, "
        "changed_at REAL NOT NULL) WITHOUT ROWID;",
}
_DISK_ERRORS = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY)


def encode(value: Any) -> str | None:
    """A map or list for a TEXT column; None stays NULL."""
    return None if value is None else json.dumps(value)


def decode(text: str | None) -> Any:
    """The value that `encode` stored."""
    return None if text is None else json.loads(text)


def _storable(value: Any) -> Any:
    return encode(value) if isinstance(value, (dict, list)) else value


def _is_full(error: BaseException) -> bool:
    """Whether the file cannot be written."""
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF in _DISK_ERRORS


class StoreError(ValueError):
    """The database file cannot be used; the text gives the reason."""


class Database:
    """A database file, created if missing and readable by its owner only. path: a file, or ":memory:".

    Raises OSError if the file cannot be created, BlockingIOError if another process uses it, StoreError if it is not a
    database or has another schema version.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = path
        if path != ":memory:":
            make_private(Path(path))  # SQLite copies these permissions to its journals.
        self._connection = sqlite3.connect(path, timeout=0.2, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        try:
            self._open()
        except (sqlite3.Error, StoreError) as error:
            self._connection.close()
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
                raise BlockingIOError(f"{path} is in use by another ujobs serve") from error
            raise (OSError if _is_full(error) else StoreError)(f"{path}: {error}") from error

    def _open(self) -> None:
        # The exclusive lock prevents a second service from using the same file.
        for pragma in (
            "locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"
        ):
            self._connection.execute(f"PRAGMA {pragma}")
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            self._connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")
        elif version in _UPGRADES:
            steps = " ".join(_UPGRADES[step] for step in range(version, _VERSION))
            self._connection.executescript(f"BEGIN; {steps} PRAGMA user_version = {_VERSION}; COMMIT;")
        elif version != _VERSION:
            raise StoreError(f"has schema version {version}; this service reads version {_VERSION}")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit all changes made inside together at the end, or none of them if an exception is raised."""
        try:
            self._execute("BEGIN IMMEDIATE")
            yield
            self._execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        """Raises OSError if the file cannot be written, for example because the disk is full."""
        try:
            return self._connection.execute(statement, values)
        except sqlite3.OperationalError as error:
            if _is_full(error):
                raise OSError(f"{self._path}: {error}") from error
            raise

    def _one(self, statement: str, *values: Any) -> sqlite3.Row | None:
        return self._execute(statement, *values).fetchone()

    def _all(self, statement: str, *values: Any) -> list[sqlite3.Row]:
        return self._execute(statement, *values).fetchall()

    def _update(self, table: str, key: str, **columns: Any) -> None:
        """Set these columns of the row whose `key` column has this value; columns as in _insert."""
        row = columns.pop(key)
        assignments = ", ".join(f"{name} = ?" for name in columns)
        statement = f"UPDATE {table} SET {assignments} WHERE {key} = ?"
        self._execute(statement, *map(_storable, columns.values()), row)

    def _column(self, statement: str, *values: Any) -> list[Any]:
        return [row[0] for row in self._all(statement, *values)]

    def _value(self, statement: str, *values: Any) -> Any:
        row = self._one(statement, *values)
        return None if row is None else row[0]

    def _insert(self, table: str, **columns: Any) -> int:
        """Add a row. columns: values by name; maps and lists are stored as JSON text."""
        marks = ", ".join("?" * len(columns))
        statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"
        return self._execute(statement, *map(_storable, columns.values())).lastrowid or 0
