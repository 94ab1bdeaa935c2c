"""What it means when the service refuses an update. In memory only while there is a refusal to understand."""

from .agent import JobsError

# Neither is in a .mpy at -O2: its compiler knows const, and types are for type checkers only.
if __debug__:
    from micropython import const
_TYPING = const(0)
if _TYPING:
    from typing import Any

    from .agent import Agent


def meaning(error: JobsError, status: str, version: int) -> "int | str":
    """Return what the rejection of an update means. status, version: that the update reported and expected.

    A number: the execution goes on with this version: adopt it and send the update again. "": the service has this
    result already, and its reply was lost. Other text, the status: the execution is over or gone: drop it. Raises the
    error when it is not about the execution (throttling, an internal error, an unknown code): keep everything, and
    retry later.
    """
    state = error.state.get("status")
    if state in ("QUEUED", "IN_PROGRESS"):
        new = error.state.get("versionNumber")
        if isinstance(new, int) and new != version:
            return new
    elif isinstance(state, str):
        return "" if state == status else state
    elif error.code in ("ResourceNotFound", "TerminalStateReached"):
        return error.code
    raise error


async def ended_by(agent: "Agent", error: "Any", status: str) -> "str | None":
    """Act on a refusal; return None when the update is to be sent again, "" when the service has it, else why the
    execution is over.

    error: the JobsError, or the MemoryError of a refusal that is too large; status: that the update reported. Raises an
    error when the report must be retried later.
    """
    journal = agent.journal
    version = journal.version
    if isinstance(error, MemoryError):
        # It repeats the stored details. If the service does not say that the execution is over, the reply to an earlier
        # update must have been lost.
        error = JobsError("VersionMismatch", "", {"status": "IN_PROGRESS", "versionNumber": version + 1})
        try:
            reply = await agent.request(
                journal.job_id + "/get", executionNumber=journal.execution_number, includeJobDocument=False
            )
            error = JobsError("VersionMismatch", "", reply.get("execution"))
        except MemoryError:
            pass
        except JobsError as refusal:
            error = refusal
    if not isinstance(error, JobsError):
        raise error
    found = meaning(error, status, version)
    if isinstance(found, str):
        return found
    journal.set_version(found)
    return None
