"""Handlers that come with ujobs, one module each; a module is in memory only while it has a job."""

from ..agent import Reject
from ..link import explain

# Neither is in a .mpy at -O2: its compiler knows const, and types are for type checkers only.
if __debug__:
    from micropython import const
_TYPING = const(0)
if _TYPING:
    from typing import Any

    from ..agent import Agent

_ATTEMPTS = const(50)
# Step timeouts. Minutes: the board may take long to connect with what is in its trial.
_MINUTES = {"app": 30, "call": 10, "files": 10, "firmware": 30, "reboot": 10, "report": 10, "settings": 30, "steps": 10}


def register(agent: "Agent", names: "tuple[str, ...]") -> None:
    """Have an agent accept jobs for these handlers, and add their names to its option `allowed`.

    Raises ValueError for a name that is not one of theirs.
    """
    for name in names:
        if name not in _MINUTES:
            raise ValueError("no built-in handler is named %s" % name)
        agent.on(name, _MINUTES[name], "fail" if name == "call" else "resume", _ATTEMPTS)(name)  # type: ignore[arg-type]
    agent._options["allowed"] += names


def run(name: str, job: "Any", options: dict) -> "Any":
    """Return the coroutine of a handler at work on a Job, or a step of one. Raises Reject if it is not installed."""
    try:
        module = __import__("ujobs.handlers." + name, None, None, (name,))
    except ImportError as error:
        raise Reject(explain(error))
    return module.run(job, options)
