"""The examples' handlers alone, as a project would test its own."""

from ujobs_tools.device_files import EXAMPLES
from ujobs_tools.testing import RunJob

BLINK = EXAMPLES / "blink" / "app.py"
CALIBRATION = EXAMPLES / "calibration" / "app.py"


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
