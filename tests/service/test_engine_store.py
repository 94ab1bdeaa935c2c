"""The database: nothing acknowledged is lost, one process at a time, and device requests need no table scans."""

import logging
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from engine_service import Service

import ujobs_tools
from full_disk import room_for
from ujobs_tools.service import database
from ujobs_tools.service.database import StoreError
from ujobs_tools.service.engine import Engine
from ujobs_tools.service.in_thread import LocalService
from ujobs_tools.service.job_store import JobStore
from ujobs_tools.service.packets import Message
from ujobs_tools.service.store import Store

# Prints the version of each update that the engine has accepted, until it is killed.
_WRITER = """
import sys
from ujobs_tools.service.engine import Engine
from ujobs_tools.service.store import Store
engine = Engine(Store(sys.argv[1]), lambda: 1790000000.0)
engine.create_job("a", [engine.create_thing("kiln")["thingArn"]], "{}")
while True:
    reply = engine.update("kiln", "a", {"status": "IN_PROGRESS", "includeJobExecutionState": True})
    print(reply["executionState"]["versionNumber"], flush=True)
"""


def test_all_data_survive_a_restart(tmp_path: Path) -> None:
    service = Service(str(tmp_path / "jobs.db"))
    service.job("a", "kiln", "oven", document={"operation": "x"}, description="kept")
    service.progress("a", statusDetails={"progress": "1"}, stepTimeoutInMinutes=3)
    service.engine.register_certificate("ab" * 32, "PEM", active=True)
    service.engine.attach_thing_principal("kiln", service.engine.arn("cert", "ab" * 32))

    def everything() -> list[object]:
        engine = service.engine
        return [
            engine.describe_job("a"), engine.get_job_document("a"), engine.describe("kiln", "a", {}),
            engine.get_pending("oven"), engine.history("kiln", "a"), engine.next_deadline(), engine.list_things(),
            engine.list_thing_principals("kiln"), engine.latest_time(),
        ]

    before = everything()
    service.reopen()
    assert everything() == before


def test_an_acknowledged_update_survives_a_kill_at_any_moment(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    tools = str(Path(ujobs_tools.__file__).parents[1])
    writer = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": tools}
    )
    assert writer.stdout is not None
    for _ in range(200):
        assert writer.stdout.readline()
    writer.send_signal(signal.SIGKILL)
    rest = writer.stdout.read()
    writer.wait()
    writer.stdout.close()
    acknowledged = int(rest.rpartition(b"\n")[0].rpartition(b"\n")[2] or 201)
    service = Service(str(path))
    assert service.execution("a")["versionNumber"] >= acknowledged
    versions = [entry["versionNumber"] for entry in service.engine.history("kiln", "a")]
    assert versions == list(range(1, len(versions) + 1))
    service.engine.store.close()


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path / "jobs.db")
    with pytest.raises(BlockingIOError, match=r"jobs\.db is in use by another ujobs serve"):
        Store(tmp_path / "jobs.db")
    store.close()
    Store(tmp_path / "jobs.db").close()


def test_a_file_of_another_version_or_kind_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(StoreError, match="schema version 99"):
        Store(tmp_path / "other.db")
    (tmp_path / "text.db").write_text("no database at all, but long enough to be looked at " * 10)
    with pytest.raises(StoreError, match="not a database"):
        Store(tmp_path / "text.db")


@pytest.mark.parametrize("version", database._UPGRADES)
def test_a_file_of_an_earlier_version_is_brought_up_to_date(tmp_path: Path, version: int) -> None:
    store = Store(tmp_path / "jobs.db")
    store.save_retained(Message("a", b"kept", 1))
    store.close()
    with sqlite3.connect(tmp_path / "jobs.db") as file:
        current = columns(file)
        for step in range(database._VERSION - 1, version - 1, -1):
            for table, column in re.findall(r"ALTER TABLE (\w+) ADD COLUMN (\w+)", database._UPGRADES[step]):
                file.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
            for table in re.findall(r"CREATE TABLE (\w+)", database._UPGRADES[step]):
                file.execute(f"DROP TABLE {table}")
        file.execute(f"PRAGMA user_version = {version}")
        assert columns(file) != current
    file.close()
    for _ in range(2):
        store = Store(tmp_path / "jobs.db")
        assert store.retained() == [Message("a", b"kept", 1, retain=True)]
        assert columns(store._connection) == current
        store.close()


def columns(file: sqlite3.Connection) -> set[tuple[str, str]]:
    """(table, column) of everything in a database."""
    tables = [row[0] for row in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {(table, row[1]) for table in tables for row in file.execute(f"PRAGMA table_info({table})")}


def test_a_change_that_fails_midway_leaves_nothing_behind() -> None:
    service = Service()
    service.job("a", "kiln", "oven")
    pending = service.engine.store.pending_of_job("a")
    service.heard()

    def fail_midway() -> None:
        with service.engine._change(["kiln"]) as now:
            service.engine._end(pending[0], "CANCELED", now)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_midway()
    assert service.status("a") == "QUEUED"
    assert service.heard() == []


def test_device_requests_use_indexes(monkeypatch: pytest.MonkeyPatch) -> None:
    statements: set[str] = set()
    execute = JobStore._execute

    def noting(self: JobStore, statement: str, *values: object) -> sqlite3.Cursor:
        if statement.startswith("SELECT"):
            statements.add(statement)
        return execute(self, statement, *values)

    service = Service()
    retries = {"criteriaList": [{"failureType": "FAILED", "numberOfRetries": 1}]}
    service.job(
        "a", targetSelection="CONTINUOUS", jobExecutionsRetryConfig=retries,
        timeoutConfig={"inProgressTimeoutInMinutes": 5},
    )
    service.job("b")
    monkeypatch.setattr(JobStore, "_execute", noting)
    engine = service.engine
    engine.get_pending("kiln")
    engine.start_next("kiln", {"stepTimeoutInMinutes": 1})
    engine.describe("kiln", "a", {})
    engine.describe("kiln", "$next", {})
    service.progress("a")
    service.report("a", "FAILED")
    engine.next_deadline()
    service.progress("a", stepTimeoutInMinutes=1)
    service.clock.forward(60)
    engine.expire()
    assert len(statements) > 8
    for statement in statements:
        values = [None] * statement.count("?")
        for row in execute(engine.store, f"EXPLAIN QUERY PLAN {statement}", *values):
            plan = row["detail"]
            # The first entry of the index of deadlines is the next deadline.
            assert not plan.startswith("SCAN") or "executions_deadline" in plan, (statement, plan)
            assert "TEMP B-TREE" not in plan, (statement, plan)


def test_on_a_full_disk_no_service_starts(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"jobs\.sqlite: disk I/O error"), room_for(10000), LocalService(tmp_path):
        pass


@pytest.mark.parametrize(
    "change",
    [
        lambda engine: engine.create_thing("oven"), lambda engine: engine.update_job("a", description="x"),
        lambda engine: engine.create_thing_group("ovens"), lambda engine: engine.store.save_session("kiln", None),
    ],
)
def test_every_change_says_that_the_disk_is_full(tmp_path: Path, change: Callable[[Engine], object]) -> None:
    service = Service(str(tmp_path / "jobs.db"))
    service.job("a")
    with pytest.raises(OSError, match=r"jobs\.db: disk I/O error"), room_for(1):
        change(service.engine)
    change(service.engine)


@pytest.mark.parametrize("status", ["IN_PROGRESS", "FAILED"])
def test_the_log_has_only_what_was_stored(tmp_path: Path, caplog: pytest.LogCaptureFixture, status: str) -> None:
    caplog.set_level(logging.INFO)
    service = Service(str(tmp_path / "jobs.db"))
    service.job("a", jobExecutionsRetryConfig={"criteriaList": [{"failureType": "FAILED", "numberOfRetries": 1}]})
    caplog.clear()
    with pytest.raises(OSError, match="disk I/O error"), room_for(1):
        service.report("a", status)
    assert caplog.text == ""
    service.report("a", status)
    assert f"kiln: job a {status}" in caplog.text


def test_on_a_full_disk_nothing_changes_until_there_is_room_again(tmp_path: Path) -> None:
    service = Service(str(tmp_path / "jobs.db"))
    service.engine.create_thing("kiln")
    large = {"operation": "x" * 30000}
    with pytest.raises(OSError, match=r"jobs\.db: disk I/O error"), room_for(1):
        service.job("a", "kiln", document=large)
    assert service.engine.list_jobs()["jobs"] == []
    assert service.heard() == []
    service.job("a", "kiln", document=large)
    assert service.heard() == [("kiln", "notify"), ("kiln", "notify-next")]
