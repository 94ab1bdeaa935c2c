"""Jobs in stages: converts options of the commands to parameters of CreateJob, and replies of DescribeJob to text."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

# From now until a job with windows starts. AWS wants a start half an hour ahead at least; the rest is for the calls
# until then, on a service whose clock is fast.
_AHEAD = timedelta(minutes=40)
_FACTOR = 2.0  # incrementFactor of a growing rate
_RATE = re.compile(r"([1-9]\d*)(?:-([1-9]\d*)/([1-9]\d*))?")
_ABORT = re.compile(r"(\d+(?:\.\d+)?)%?(?:/(\d+))?")
_WINDOW = re.compile(r"(?:(.+) )?(\d\d):(\d\d)\+(\d+)")
_DAY = "MON|TUE|WED|THU|FRI|SAT|SUN"
_DAYS = re.compile(rf"(?:{_DAY})(?:-(?:{_DAY}))?(?:,(?:{_DAY})(?:-(?:{_DAY}))?)*")


def options(
    rate: str | None = None, abort_at: str | None = None, windows: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the parameters of CreateJob for the options --rate, --abort-at and --window.

    The service checks the limits. Raises ValueError if an option has the wrong format.
    """
    found: dict[str, Any] = {}
    if rate is not None:
        found["jobExecutionsRolloutConfig"] = _rollout(rate)
    if abort_at is not None:
        found["abortConfig"] = {"criteriaList": [_criterion(abort_at)]}
    if windows:
        found["schedulingConfig"] = {"maintenanceWindows": [_window(text) for text in windows]}
    return found


def windows(given: Sequence[str] | None, continuous: bool) -> Sequence[str]:
    """Return the maintenance windows given. Raises ValueError if there are any and the job is not continuous."""
    if given and not continuous:
        raise ValueError("--window needs --continuous: AWS supports maintenance windows for continuous jobs only")
    return given or ()


def parameters(given: Sequence[str] | None, template: str | None) -> dict[str, Any]:
    """Return the parameter of CreateJob for the options --parameter NAME=VALUE. Raises ValueError without a template,
    or for another format."""
    if not given:
        return {}
    if template is None:
        raise ValueError("--parameter needs the --template whose parameter it is")
    named = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise ValueError(f"--parameter {text!r} must be NAME=VALUE, such as filePath=/data/table.bin")
        named[name] = value
    return {"documentParameters": named}


def _rollout(text: str) -> dict[str, Any]:
    match = _RATE.fullmatch(text)
    if match is None:
        raise ValueError(
            f"--rate {text!r} must be things a minute, such as 20, or FROM-TO/SUCCEEDED, such as 1-100/20"
        )
    first, most, step = match.groups()
    if most is None:
        return {"maximumPerMinute": int(first)}
    criteria = {"numberOfSucceededThings": int(step)}
    growing = {"baseRatePerMinute": int(first), "incrementFactor": _FACTOR, "rateIncreaseCriteria": criteria}
    return {"maximumPerMinute": int(most), "exponentialRate": growing}


def _criterion(text: str) -> dict[str, Any]:
    match = _ABORT.fullmatch(text)
    if match is None:
        raise ValueError(f"--abort-at {text!r} must be percent, such as 20, or PERCENT/THINGS, such as 20/10")
    return {
        "failureType": "ALL", "action": "CANCEL", "thresholdPercentage": float(match[1]),
        "minNumberOfExecutedThings": int(match[2] or 1),
    }


def _window(text: str) -> dict[str, Any]:
    match = _WINDOW.fullmatch(text)
    days = None if match is None or match[1] is None else match[1].upper()
    if match is None or (days is not None and not _DAYS.fullmatch(days)):
        raise ValueError(
            f"--window {text!r} must be start in UTC + minutes, such as 22:00+60, or with days in front, such as "
            "'MON-FRI 22:00+60'"
        )
    start = f"cron({int(match[3])} {int(match[2])} ? * {days or '*'} *)"
    return {"startTime": start, "durationInMinutes": int(match[4])}


def of_template(client: Any, name: str | None) -> dict[str, Any]:
    """Return the parameters of CreateJob for the option --template. name: of one of the account's templates, of AWS's
    templates (AWS-...), or an ARN. client: boto3's `iot`. Raises boto3's errors."""
    if name is None:
        return {}
    if name.startswith("arn:"):
        return {"jobTemplateArn": name}
    if name.startswith("AWS-"):
        return {"jobTemplateArn": client.describe_managed_job_template(templateName=name)["templateArn"]}
    template = client.describe_job_template(jobTemplateId=name)
    windows = template.get("maintenanceWindows")
    return {"jobTemplateArn": template["jobTemplateArn"]} | (
        {"schedulingConfig": {"maintenanceWindows": windows}} if windows else {}
    )


def with_start(parameters: Mapping[str, Any], reply: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters of CreateJob with a start, which AWS wants for maintenance windows: 40 minutes ahead. reply: of
    any operation, with the service's time."""
    schedule = parameters.get("schedulingConfig", {})
    if not schedule.get("maintenanceWindows") or "startTime" in schedule:
        return dict(parameters)
    now = parsedate_to_datetime(reply["ResponseMetadata"]["HTTPHeaders"]["date"])
    start = (now + _AHEAD).strftime("%Y-%m-%dT%H:%M")
    return {**parameters, "schedulingConfig": {"startTime": start, **schedule}}


def is_staged(job: Mapping[str, Any]) -> bool:
    """Return whether a job has a rate, abort criteria or a schedule, which change its state over time. job: from
    DescribeJob."""
    return any(job.get(name) for name in ("jobExecutionsRolloutConfig", "abortConfig", "schedulingConfig"))


def in_words(job: Mapping[str, Any]) -> list[str]:
    """Return lines about a job: rate, abort criteria, schedule, reason of a cancellation. job: from DescribeJob."""
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
