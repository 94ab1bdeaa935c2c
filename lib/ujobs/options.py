"""The options of a handler. In memory only while an application sets up its agent."""

from .checks import check_number


def check(operation: object, step_timeout: int, on_restart: str, max_attempts: int, time_limit: int) -> None:
    """Check the arguments of Agent.on(). Raises ValueError naming the one that is wrong."""
    # A function, when somebody writes the decorator without arguments.
    if not isinstance(operation, str):
        raise ValueError("operation must be text")
    check_number("step_timeout (minutes)", step_timeout, 1, 10080)
    check_number("max_attempts", max_attempts, 1, 255)
    check_number("time_limit (minutes)", time_limit, 1, 7200)
    if on_restart not in ("rerun", "resume", "fail"):
        raise ValueError("on_restart must be rerun, resume or fail")
