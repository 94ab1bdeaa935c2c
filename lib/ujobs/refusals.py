"""What it means when the service refuses an update. In memory only while there is a refusal to understand."""

from .agent import JobsError

# Neither is in a .mpy at -O2: its compiler knows const, and types are for type checkers only.
if __debug__:
    from micropython import const
_TYPING = const(0)
if _TYPING:
    from typing import Any

    from .agent import Agent

_IN_PROGRESS = const("IN_PROGRESS")

# What a refused update means, see meaning().
_ADOPT = const(0)
_APPLIED = const(1)
_ENDED = const(2)
_RETRY_LATER = const(3)


def meaning(error: JobsError, status: str, version: int) -> int:
    """Return what the rejection of an update means. status, version: that the update reported and expected.

    0: the execution goes on with another version number: adopt it and send the update again. 1: the service has this
    result already, and its reply was lost. 2: the execution is over or gone: drop it. 3: the rejection is not
    about the execution (throttling, an internal error, an unknown code): keep everything, and retry later.
    """
    state = error.state.get("status")
    if state in ("QUEUED", _IN_PROGRESS):
        new = error.state.get("versionNumber")
        return _ADOPT if isinstance(new, int) and new != version else _RETRY_LATER
    if state:
        return _APPLIED if state == status else _ENDED
    return _ENDED if error.code in ("ResourceNotFound", "TerminalStateReached") else _RETRY_LATER


async def ended_by(agent: "Agent", error: "Any", status: str) -> "str | None":
    """Act on a refusal; return None when the update is to be sent again, "" when the service has it, else why the
    execution is over.

    error: the JobsError, or the MemoryError of a refusal that is too large; status: that the update reported. Raises an
    error when the report must be retried later.
    """
    journal = agent.journal
    version = journal.version
    if not isinstance(error, JobsError):
        # It repeats the stored details. If the service does not say that the execution is over, the reply to an earlier
        # update must have been lost.
        state: "Any" = {"status": _IN_PROGRESS, "versionNumber": version + 1}
        try:
            reply = await agent.request(
                journal.job_id + "/get", executionNumber=journal.execution_number, includeJobDocument=False
            )
            state = reply.get("execution")
        except MemoryError:
            pass
        except JobsError as refusal:
            error = refusal
        if not isinstance(error, JobsError):
            error = JobsError("VersionMismatch", "", state)
    verdict = meaning(error, status, version)
    if verdict == _APPLIED:
        return ""
    if verdict == _ENDED:
        return str(error.state.get("status", error.code))
    if verdict == _RETRY_LATER:
        raise error
    journal.set_version(error.state["versionNumber"])
    return None
