"""The number of things per minute that a job is rolled out to: jobExecutionsRolloutConfig of CreateJob.

Rules: API reference JobExecutionsRolloutConfig, ExponentialRolloutRate, RateIncreaseCriteria; Developer Guide "How job
configurations work": the rate grows each time that the given number of things has been notified or has succeeded."""

from collections.abc import Mapping
from typing import Any

from ujobs_tools.service.errors import invalid

MAX_PER_MINUTE = 1000
PERIOD = 60.0  # seconds from one batch of things to the next

Config = Mapping[str, Any]


def check(config: Config | None) -> dict[str, Any] | None:
    """jobExecutionsRolloutConfig in its stored form, None if it sets no limit. Raises ApiError InvalidRequest."""
    config = config or {}
    most, rate = config.get("maximumPerMinute"), config.get("exponentialRate")
    if most is None and not rate:
        return None
    if most is None:
        raise invalid("Provide MaximumPerMinute value when ExponentialRate is defined")
    _within("maximumPerMinute", most, 1, MAX_PER_MINUTE)
    if not rate:
        return {"maximumPerMinute": most}
    criteria = {name: value for name, value in rate["rateIncreaseCriteria"].items() if value is not None}
    base, factor = rate["baseRatePerMinute"], rate["incrementFactor"]
    _within("exponentialRate.baseRatePerMinute", base, 1, MAX_PER_MINUTE)
    _within("exponentialRate.incrementFactor", factor, 1.1, 5)
    if round(factor, 1) != factor:
        raise invalid("jobExecutionsRolloutConfig.exponentialRate.incrementFactor has one decimal at most")
    if len(criteria) != 1:
        which = "only one of" if criteria else "either"
        raise invalid(
            f"Provide {which} NumberOfNotifiedThings or NumberOfSucceededThings when RateIncreaseCriteria is defined"
        )
    for name, value in criteria.items():
        _within(f"exponentialRate.rateIncreaseCriteria.{name}", value, 1, None)
    if base > most:
        raise invalid("Exponential rollout baseRatePerMinute should be less than maximumPerMinute.")
    growing = {"baseRatePerMinute": base, "incrementFactor": factor, "rateIncreaseCriteria": criteria}
    return {"maximumPerMinute": most, "exponentialRate": growing}


def _within(name: str, value: float, least: float, most: float | None) -> None:
    if value < least or (most is not None and value > most):
        limits = f"at least {least}" if most is None else f"{least} to {most}"
        raise invalid(f"jobExecutionsRolloutConfig.{name} must be {limits}")


def per_minute(config: Config | None, notified: int, succeeded: int) -> int | None:
    """The current rate; None: all at once. notified, succeeded: how many things the job was queued for, and how many
    have SUCCEEDED."""
    if config is None:
        return None
    most: int = config["maximumPerMinute"]
    growing = config.get("exponentialRate")
    if growing is None:
        return most
    ((name, step),) = growing["rateIncreaseCriteria"].items()
    increases = (succeeded if name == "numberOfSucceededThings" else notified) // step
    rate = float(growing["baseRatePerMinute"])
    for _ in range(increases):
        if rate >= most:
            break
        rate *= growing["incrementFactor"]
    return min(most, int(rate))
