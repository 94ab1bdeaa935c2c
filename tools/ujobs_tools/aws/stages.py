"""Jobs in stages: what the commands' options say as CreateJob has it, and what DescribeJob says in words."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

_FACTOR = 2.0  # by which a growing rate grows
_RATE = re.compile(r"([1-9]\d*)(?:-([1-9]\d*)/([1-9]\d*))?")
_ABORT = re.compile(r"(\d+(?:\.\d+)?)%?(?:/(\d+))?")
_WINDOW = re.compile(r"(?:(.+) )?(\d\d):(\d\d)\+(\d+)")
_DAY = "MON|TUE|WED|THU|FRI|SAT|SUN"
_DAYS = re.compile(rf"(?:{_DAY})(?:-(?:{_DAY}))?(?:,(?:{_DAY})(?:-(?:{_DAY}))?)*")


def options(
    rate: str | None = None, abort_at: str | None = None, windows: Sequence[str] = (), template_arn: str | None = None,
) -> dict[str, Any]:
    """The parameters of CreateJob that the options --rate, --abort-at, --window and --template stand for; those that
    are not given are left out. Limits are the service's. Raises ValueError for an option that cannot be read."""
    found: dict[str, Any] = {}
    if rate is not None:
        found["jobExecutionsRolloutConfig"] = _rollout(rate)
    if abort_at is not None:
        found["abortConfig"] = {"criteriaList": [_criterion(abort_at)]}
    if windows:
        found["schedulingConfig"] = {"maintenanceWindows": [_window(text) for text in windows]}
    if template_arn is not None:
        found["jobTemplateArn"] = template_arn
    return found


def windows(given: Sequence[str] | None, continuous: bool) -> Sequence[str]:
    """The maintenance windows given. Raises ValueError for a job that cannot have any."""
    if given and not continuous:
        raise ValueError("--window needs --continuous: AWS has maintenance windows for continuous jobs only")
    return given or ()


def _rollout(text: str) -> dict[str, Any]:
    match = _RATE.fullmatch(text)
    if match is None:
        raise ValueError(f"--rate {text!r}: things a minute, such as 20, or FROM-TO/SUCCEEDED, such as 1-100/20")
    first, most, step = match.groups()
    if most is None:
        return {"maximumPerMinute": int(first)}
    criteria = {"numberOfSucceededThings": int(step)}
    growing = {"baseRatePerMinute": int(first), "incrementFactor": _FACTOR, "rateIncreaseCriteria": criteria}
    return {"maximumPerMinute": int(most), "exponentialRate": growing}


def _criterion(text: str) -> dict[str, Any]:
    match = _ABORT.fullmatch(text)
    if match is None:
        raise ValueError(f"--abort-at {text!r}: percent, such as 20, or PERCENT/THINGS, such as 20/10")
    return {
        "failureType": "ALL", "action": "CANCEL", "thresholdPercentage": float(match[1]),
        "minNumberOfExecutedThings": int(match[2] or 1),
    }


def _window(text: str) -> dict[str, Any]:
    match = _WINDOW.fullmatch(text)
    days = None if match is None or match[1] is None else match[1].upper()
    if match is None or (days is not None and not _DAYS.fullmatch(days)):
        raise ValueError(
            f"--window {text!r}: start in UTC and minutes, such as 22:00+60, with days before it, such as "
            "'MON-FRI 22:00+60'"
        )
    start = f"cron({int(match[3])} {int(match[2])} ? * {days or '*'} *)"
    return {"startTime": start, "durationInMinutes": int(match[4])}


def template_arn(client: Any, name: str | None) -> str | None:
    """The ARN of the job template with this name, or of AWS's own whose name begins with AWS-; an ARN stays as it is.
    client: boto3's `iot`, whose errors it raises."""
    if name is None or name.startswith("arn:"):
        return name
    if name.startswith("AWS-"):
        managed: str = client.describe_managed_job_template(templateName=name)["templateArn"]
        return managed
    arn: str = client.describe_job_template(jobTemplateId=name)["jobTemplateArn"]
    return arn


def is_staged(job: Mapping[str, Any]) -> bool:
    """Whether a job, as DescribeJob has it, changes by itself: by its rate, criteria or schedule."""
    return any(job.get(name) for name in ("jobExecutionsRolloutConfig", "abortConfig", "schedulingConfig"))


def in_words(job: Mapping[str, Any]) -> list[str]:
    """A job's rate, abort criteria and schedule, and why it was cancelled, a line each. job: as DescribeJob has it."""
    lines = []
    if rollout := job.get("jobExecutionsRolloutConfig"):
        more = ", more things wait" if job.get("isConcurrent") else ""
        lines.append(f"rate: {_rate_in_words(rollout)}{more}")
    for item in job.get("abortConfig", {}).get("criteriaList", ()):
        lines.append(
            f"aborts: at {item['thresholdPercentage']:g} % {item['failureType']}, after "
            f"{item['minNumberOfExecutedThings']} executions or more"
        )
    scheduling = job.get("schedulingConfig", {})
    if job["status"] == "SCHEDULED" and "startTime" in scheduling:
        lines.append(f"starts: {scheduling['startTime']} UTC")
    for found in job.get("scheduledJobRollouts", ())[:1]:
        lines.append(f"next window: {found['startTime']} UTC")
    if "endTime" in scheduling:
        lines.append(f"ends: {scheduling['endTime']} UTC, {scheduling.get('endBehavior', 'STOP_ROLLOUT')}")
    if job["status"] == "CANCELED":
        why = [text for text in (job.get("reasonCode"), job.get("comment")) if text]
        forced = " with force" if job.get("forceCanceled") else ""
        lines.append(f"cancelled{forced}" + (f": {': '.join(why)}" if why else ""))
    return lines


def _rate_in_words(rollout: Mapping[str, Any]) -> str:
    most, growing = rollout.get("maximumPerMinute"), rollout.get("exponentialRate")
    if not growing:
        return f"{most} things a minute"
    criteria = growing["rateIncreaseCriteria"]
    what = "succeeded" if criteria.get("numberOfSucceededThings") else "notified"
    step = criteria.get("numberOfSucceededThings") or criteria.get("numberOfNotifiedThings")
    return (
        f"{growing['baseRatePerMinute']} to {most} things a minute, times {growing['incrementFactor']:g} for each "
        f"{step} {what}"
    )
