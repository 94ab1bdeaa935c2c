"""When a job is rolled out: schedulingConfig of CreateJob, with start, end and maintenance windows; times in UTC.

Rules: API reference SchedulingConfig and MaintenanceWindow; Developer Guide "Jobs and job execution states"."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice, takewhile
from typing import Any

from ujobs_tools.service import cron
from ujobs_tools.service.errors import invalid

MINUTE = 60.0
SHORTEST = 30 * MINUTE
LONGEST_START = 366 * 24 * 60 * MINUTE  # "up to a year in advance"
LONGEST_END = 731 * 24 * 60 * MINUTE
MAX_DURATION = 1430  # minutes
OCCURRENCES = 7  # "the next seven maintenance window occurrences"
END_BEHAVIORS = ("STOP_ROLLOUT", "CANCEL", "FORCE_CANCEL")

Config = Mapping[str, Any]

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")


def check(config: Config | None, continuous: bool, now: float) -> dict[str, Any] | None:
    """schedulingConfig in its stored form, None if it is empty. Raises ApiError InvalidRequest, or NotImplemented for a
    cron expression that is not supported."""
    given = {name: value for name, value in (config or {}).items() if value}
    if not given:
        return None
    start, end = _time(given, "startTime"), _time(given, "endTime")
    if start is not None and not SHORTEST <= start - now <= LONGEST_START:
        raise invalid("schedulingConfig.startTime must be at least 30 minutes and at most a year from now")
    if end is not None and not SHORTEST <= end - now <= LONGEST_END:
        raise invalid("schedulingConfig.endTime must be at least 30 minutes and at most two years from now")
    if start is not None and end is not None and end - start < SHORTEST:
        raise invalid("schedulingConfig.endTime must be at least 30 minutes after startTime")
    if given.get("endBehavior", END_BEHAVIORS[0]) not in END_BEHAVIORS:
        raise invalid(f"schedulingConfig.endBehavior must be one of {', '.join(END_BEHAVIORS)}")
    windows = given.get("maintenanceWindows", [])
    # AWS's wording of both, as MiniStack's authors saw it.
    if windows and not continuous:
        raise invalid("TargetSelection is invalid. MaintenanceWindow cannot be used with SNAPSHOT job.")
    if windows and start is None:
        raise invalid("MaintenanceWindow cannot be used without StartTime of SchedulingConfig.")
    check_windows(windows)
    return given


def check_windows(windows: Sequence[Config]) -> None:
    """Raises ApiError InvalidRequest or NotImplemented unless these are valid maintenanceWindows."""
    for window in windows:
        cron.parse(window["startTime"], "maintenanceWindows.startTime")
        if not 1 <= window["durationInMinutes"] <= MAX_DURATION:
            raise invalid(f"maintenanceWindows.durationInMinutes must be 1 to {MAX_DURATION}")


def _time(config: Config, name: str) -> float | None:
    text = config.get(name)
    if text is None:
        return None
    try:
        if not _TIME.fullmatch(text):
            raise ValueError(text)
        return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
    except ValueError:
        # AWS's wording.
        raise invalid(
            f"1 validation error detected: Provided time {text} UTC must follow the format YYYY-MM-DDThh:mm."
        ) from None


def _shown(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M")


class Schedule:
    """When a job may be rolled out. end: when it ends; None: never. end_behavior: what happens then."""

    def __init__(self, config: Config | None) -> None:
        config = config or {}
        self.start = _time(config, "startTime")
        self.end = _time(config, "endTime")
        self.end_behavior: str = config.get("endBehavior", END_BEHAVIORS[0])
        self._windows = [
            (cron.parse(window["startTime"], ""), window["durationInMinutes"] * MINUTE)
            for window in config.get("maintenanceWindows", ())
        ]

    def is_open(self, now: float) -> bool:
        """Whether the job may be rolled out now."""
        if self.start is not None and now < self.start:
            return False
        return not self._windows or self._closes(now) is not None

    def next_change(self, now: float) -> float | None:
        """When the job next starts, pauses or ends, in epoch seconds; None: never."""
        moments = [self.end]
        if self.start is not None and now < self.start:
            moments.append(self.start)
        elif self._windows:
            closes = self._closes(now)
            moments += [closes] if closes is not None else self.openings(now, 1)
        return min((moment for moment in moments if moment is not None and moment > now), default=None)

    def openings(self, now: float, count: int = OCCURRENCES) -> list[float]:
        """When the next maintenance windows before the end begin, in epoch seconds."""
        after = now if self.start is None else max(now, self.start - 1)
        found = sorted({moment for expression, _ in self._windows for moment in islice(expression.after(after), count)})
        return [moment for moment in found if self.end is None or moment < self.end][:count]

    def next_windows(self, now: float) -> list[dict[str, str]]:
        """scheduledJobRollouts of DescribeJob."""
        return [{"startTime": _shown(moment)} for moment in self.openings(now)]

    def _closes(self, now: float) -> float | None:
        """When the open window closes; None if no window is open."""
        ends = [
            moment + duration
            for expression, duration in self._windows
            for moment in takewhile(lambda moment: moment <= now, expression.after(now - duration))
        ]
        return max(ends, default=None)
