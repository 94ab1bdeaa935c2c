"""Invalid values of every setting in settings jobs: afterwards the board still works as before."""

import json
from pathlib import Path
from typing import Any

import pytest

from ujobs_tools.board.device_files import EXAMPLES
from ujobs_tools.testing.jobs_service import JobsService
from ujobs_tools.testing.virtual_board import VirtualBoard

KEPT = ["settings", "files", "call"]
# Jobs must not make these changes: they are rejected without a trial.
REJECTED: list[tuple[str, list[Any]]] = [
    ("thing", ["other", "", 5, "a/b", "x" * 129]),
    ("host", ["", 5, "https://a.example", "a.example:8883", "a example", "x" * 254]),
    ("host", [[], [5], ["a", "https://b"], ["a"] * 9]),
    ("port", [0, -1, 65536, 8883.5, "8883", True, [], 1 << 70]),
    ("ca", ["/data/ca.der", "", 5]),
    ("cert", ["/data/cert.der", "/cert/key.der", "/settings.json"]),
    ("key", ["/data/key.der", "/cert/cert.der"]),
    ("claim", [{"template": "mine"}, {"template": "mine", "cert": "/cert/key.der"}, 5, {}]),
    ("wifi", ["net", {}, {"ssid": ""}, {"ssid": "x" * 33}, {"ssid": "net", "password": 12345678}, {"ssid": 5}]),
    ("wifi", [[], ["net"], [{}], [[{"ssid": "a"}]], [{"ssid": "a"}] * 9]),
    ("wifi", [[{"ssid": "a"}, {"ssid": "b", "password": "short"}]]),
    ("ntp", ["", "a b", "http://a.example", 5, "x" * 254]),
    ("watchdog", [0, -1, 3601, "soon", True, 1 << 40]),
    ("keepalive", [0, 29, 1201, "60", 1e9]),
    ("update_interval", [0, -1, 0.5, 3601, "often"]),
    ("receive_limit", [0, 1023, 131073, "16384"]),
    ("handlers", [[], ["files"], "settings", {"settings": 1}, [5], [["settings"]], ["settings", "dance"]]),
    ("roots", [["/"], ["/cert"], ["/lib"], ["/app"], ["/ujobs"], ["/data/..", "/lib"], [""], [5], 5, ["data"]]),
    ("signing_key", ["", 5, [], "x" * 4097]),
    ("app", ["", 5, [], "x" * 65]),
    ("confirm", [1, "true", []]),
    ("trial", [0, -1, 3601, 536871, "300", 1e300]),
    ("colour", ["red"]),
]
# These values pass the checks; only the trial shows that they do not work.
TRIED: list[dict[str, Any]] = [
    {"host": "nowhere.invalid"},
    {"host": ["nowhere.invalid", "elsewhere.invalid"]},
    {"port": 1},
    {"app": "ap"},
    {"signing_key": "/cert/none.der"},
    {"confirm": True},
]


@pytest.fixture(scope="session")
def ujobs_app() -> Path:
    return EXAMPLES / "demo" / "app.py"


@pytest.fixture
def ujobs_settings() -> dict[str, Any]:
    return {"handlers": KEPT}


def reject_all(service: JobsService, board: VirtualBoard) -> None:
    """Values that fail the checks: the rejection names the setting, and there is no trial."""
    walked = [(name, value) for name, values in REJECTED for value in values]
    jobs = [(service.job("settings", set={name: value}), name, value) for name, value in walked]
    # The service removes null members, as AWS does, so the board receives a job without changes.
    jobs.append((service.job("settings", set={name: None for name, _ in REJECTED}), "nothing to set or remove", None))
    for job, named, value in jobs:
        found = job.wait(seconds=120)
        assert found.status == "REJECTED", (named, value, found)
        assert named in found.details["reason"], (named, value, found)
    assert "trial:" not in board.console


def try_and_fail(service: JobsService, board: VirtualBoard, change: dict[str, Any]) -> None:
    """Values that fail only in the trial: the previous settings are restored."""
    job = service.job("settings", set=change | {"trial": 1})
    if "app" in change:
        board.expect_traceback("no module named 'ap'")
    board.expect_traceback("rolled back: ", 120)
    found = job.wait()
    assert found.status == "FAILED", (change, found)
    assert "rolled back: " in found.details["reason"], (change, found)


def unchanged(board: VirtualBoard, settings: Any) -> None:
    files = board.files
    assert json.loads(files["/settings.json"]) == settings
    assert "/trial" not in files


# One board for all values, to test as well that a change has no effect on the next one.
@pytest.mark.timeout(300)
def test_no_settings_job_takes_the_board_or_its_powers_away(service: JobsService, board: VirtualBoard) -> None:
    settings = json.loads(board.files["/settings.json"])
    reject_all(service, board)
    for change in TRIED:
        try_and_fail(service, board, change)
        unchanged(board, settings)
    board.cut_power()
    unchanged(board, settings)
    board.start()
    assert service.job("blink", times=1).wait().status == "SUCCEEDED"
    assert service.job("settings", set={"port": settings["port"]}).wait().details == {"restarted": "no"}
