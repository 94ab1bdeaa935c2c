"""Safe mode: a virtual board whose application resets it repeatedly is repaired by a job."""

from pathlib import Path
from typing import Any

import pytest

from ujobs_tools.testing.jobs_service import JobsService
from ujobs_tools.testing.virtual_board import VirtualBoard


@pytest.fixture(scope="session")
def ujobs_app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    app = tmp_path_factory.mktemp("app") / "app.py"
    app.write_text("import machine\n\ndef setup(agent):\n    print('application starts')\n    machine.reset()\n")
    return app


@pytest.fixture
def ujobs_settings() -> dict[str, Any]:
    return {"handlers": ["report", "reboot", "settings"]}


def test_safe_mode_lets_a_job_mend_the_board(service: JobsService, board: VirtualBoard) -> None:
    details = service.job("report").wait(seconds=120).details
    assert "safe mode: 10 starts in a row did not last; the application is not started" in board.console
    assert board.console.count("application starts") == 10
    assert (details["mode"], details["starts"], details["reset_cause"]) == ("safe", "11", "HARD_RESET")
    assert int(details["uptime"]) < 100
    assert len(details) <= 10
    # A reboot does not end safe mode.
    assert service.job("reboot").wait().status == "SUCCEEDED"
    assert service.job("report").wait().details["mode"] == "safe"
    assert service.job("settings", remove=["app"]).wait().status == "SUCCEEDED"
    assert service.job("report").wait().details["mode"] == "normal"
    assert board.console.count("application starts") == 10
