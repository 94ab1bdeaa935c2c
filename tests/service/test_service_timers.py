"""Timers of the running service."""

import threading
from pathlib import Path

import pytest

from ujobs_tools.host.processes import wait_until
from ujobs_tools.service.in_thread import LocalService
from ujobs_tools.service.server import Service


def test_timers_that_expire_on_a_full_disk_are_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("ujobs_tools.service.server._RETRY", 0.01)
    full = threading.Event()
    full.set()

    def start_job(service: Service) -> None:
        engine = service.engine
        arn = engine.create_thing("kiln")["thingArn"]
        engine.create_job("a", [arn], "{}", timeoutConfig={"inProgressTimeoutInMinutes": 1})
        engine.update("kiln", "a", {"status": "IN_PROGRESS"})
        expire = engine.expire

        def fails_while_full() -> None:
            if full.is_set():
                raise OSError("jobs.sqlite: database or disk is full")
            expire()

        monkeypatch.setattr(engine, "expire", fails_while_full)

    def status(service: Service) -> str:
        return service.engine.describe_job_execution("a", "kiln", None)["execution"]["status"]

    with LocalService(tmp_path / "data") as service:
        service.call(start_job)
        service.call(lambda running: running.advance(61))
        wait_until(lambda: "the timers are late: jobs.sqlite: database or disk is full" in caplog.text, "the log", 60)
        assert service.call(status) == "IN_PROGRESS"
        full.clear()
        wait_until(lambda: service.call(status) == "TIMED_OUT", "the timer", 60)
