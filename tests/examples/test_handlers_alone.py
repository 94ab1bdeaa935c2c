"""The examples' handlers, tested with `run_job` as in a user's project."""

import json

import pytest

from ujobs_tools.board.device_files import EXAMPLES
from ujobs_tools.testing import RunJob

BLINK = EXAMPLES / "blink" / "app.py"
CALIBRATION = EXAMPLES / "calibration" / "app.py"
DEEP_SLEEP = EXAMPLES / "deep_sleep" / "app.py"
DEMO = EXAMPLES / "demo" / "app.py"
SENSOR = EXAMPLES / "sensor" / "app.py"


def test_every_example_is_tested_here() -> None:
    folders = {path.name for path in EXAMPLES.iterdir() if path.is_dir() and not path.name.startswith("__")}
    # examples/gates is tested in test_gates.py.
    assert {path.parent.name for path in (BLINK, CALIBRATION, DEEP_SLEEP, DEMO, SENSOR)} | {"gates"} == folders


def test_blink(run_job: RunJob) -> None:
    result = run_job("blink", {"times": 3}, app=BLINK)
    assert (result.status, result.details["blinks"]) == ("SUCCEEDED", "3")
    assert result.machine.changes[2].count(1) == 3


def test_the_led_is_dark_after_a_cancellation(run_job: RunJob) -> None:
    result = run_job("blink", {"times": 100, "milliseconds": 5000}, app=BLINK, cancel_after=12)
    assert (result.status, result.machine.levels[2]) == ("CANCELED", 0)


def test_calibration_measures_no_point_twice(run_job: RunJob) -> None:
    measured = []
    for result in run_job.at_each_checkpoint("calibrate", {"points": 4}, app=CALIBRATION):
        assert result.status == "SUCCEEDED"
        assert (result.details["gain"], result.details["offset"]) == ("1.2500", "-0.5000")
        measured.append(result.details["measured"])
    assert measured == ["3", "2", "1", "0"]
    assert set(result.files) == {"/calibration.json"}


def test_the_sensor_keeps_its_interval(run_job: RunJob) -> None:
    result = run_job("interval", {"seconds": 10}, app=SENSOR, files={"/sensor.json": b'{"interval": 30}'})
    assert (result.status, result.details) == ("SUCCEEDED", {"interval": "10", "before": "30"})
    assert json.loads(result.files["/sensor.json"]) == {"interval": 10}
    for broken in (b"", b"{}", b'{"interval":'):
        result = run_job("interval", {"seconds": 10}, app=SENSOR, files={"/sensor.json": broken})
        assert result.details["before"] == "60"


@pytest.mark.parametrize("seconds", [0, 86401, "10", None])
def test_intervals_that_no_sensor_has(run_job: RunJob, seconds: object) -> None:
    result = run_job("interval", {"seconds": seconds}, app=SENSOR)
    assert (result.status, result.details["reason"]) == ("REJECTED", "seconds must be 1 to 86400")
    assert "/sensor.json" not in result.files


def test_a_full_flash_keeps_the_sensors_interval_intact(run_job: RunJob) -> None:
    kept = b'{"interval": 30}' + b" " * 5000
    result = run_job("interval", {"seconds": 10}, app=SENSOR, files={"/sensor.json": kept}, flash_full=True)
    assert (result.status, result.files["/sensor.json"]) in (("FAILED", kept), ("SUCCEEDED", b'{"interval": 10}'))


def test_a_node_that_falls_asleep_measures_no_sample_twice(run_job: RunJob) -> None:
    for number, result in enumerate(run_job.at_each_checkpoint("measure", {"samples": 3}, app=DEEP_SLEEP), 1):
        assert (result.status, result.details["samples"], result.details["starts"]) == ("SUCCEEDED", "3", "2")
        assert [len(samples) for samples in result.checkpoints] == [1, 2, 3], number
        samples = result.checkpoints[-1]
        assert result.details["mean"] == str(sum(samples) // 3)


def test_samples_that_are_too_many_for_a_checkpoint(run_job: RunJob) -> None:
    assert run_job("measure", {"samples": 20}, app=DEEP_SLEEP).status == "SUCCEEDED"
    assert run_job("measure", {"samples": 21}, app=DEEP_SLEEP).details["reason"] == "samples must be 1 to 20"


def test_the_demo_resumes_where_it_was(run_job: RunJob) -> None:
    result = run_job("count", {"to": 4}, app=DEMO, reset_at_checkpoint=2)
    assert (result.status, result.details["counted"], result.details["attempt"]) == ("SUCCEEDED", "4", "2")
    assert run_job("measure", app=DEMO).details["reason"] == "OSError: no sensor answers on the bus"
