"""`agent.gate`: a function of the application that holds jobs back. Imported only when there is one.

It is called before a job starts, and again before an update restarts the board. It returns None or True to let the job
go, or the number of seconds after which to ask again, or raises Reject. It may be `async`. Meanwhile the job stays
QUEUED, since AWS has no other status for it: it is described first, and started by an update, because StartNext would
start its timers. The other jobs in the queue are asked about as well: a job that is held does not hold up the rest.
"""

import asyncio

from .agent import JobsError, Reject
from .checks import check_execution, clean, field_of
from .job import ask
from .link import log

# Neither is in a .mpy at -O2: its compiler knows const, and types are for type checkers only.
if __debug__:
    from micropython import const
_TYPING = const(0)
if _TYPING:
    from typing import Any

    from .agent import Agent
    from .job import Job

_SHORTEST = 1  # seconds between two calls of the gate, at least
_HOLD = const(60)  # seconds until the next call after a gate that failed; at most between two before a restart


class Waiting:
    """The job that a gate decides about.

    document, job_id, queued_at (seconds since 1970); restarting: False before the job starts, True before it restarts
    the board.
    """

    def __init__(self, document: object, job_id: str, queued_at: int, restarting: bool):
        self.document = document
        self.job_id = job_id
        self.queued_at = queued_at
        self.restarting = restarting


async def _seconds(agent, waiting):
    # How long to hold the job; 0: it may go. Raises Reject.
    try:
        answer = agent.gate(waiting)
        if hasattr(answer, "send"):
            answer = await answer
        return 0 if answer is None or answer is True else max(float(answer or _HOLD), _SHORTEST)
    except Reject:
        raise
    except Exception as error:
        log("the gate failed:", error)
        return _HOLD


async def choose(agent: "Agent", step_timeout: int) -> "dict | None":
    """Start the first execution in the queue that may go. Returns it as job.ask() does; None when there is none."""
    found = await ask(agent, "$next/get")
    if found and (found.get("status") != "QUEUED" or isinstance(found.get("jobDocument"), MemoryError)):
        # It is in progress already; or is to be rejected.
        return found
    others = None
    while found:
        job_id = found["jobId"]
        status = "IN_PROGRESS"
        seconds = 0
        details = None
        try:
            document = found.get("jobDocument")
            # Any other document is rejected when it starts.
            if isinstance(document, dict):
                seconds = await _seconds(agent, Waiting(document, job_id, found["queuedAt"], False))
        except Reject as error:
            status = "REJECTED"
            details = {"reason": clean(str(error))}
        if seconds:
            # A notification that came meanwhile has set it to 0.
            agent._patience = min(agent._patience, seconds)
        else:
            await agent.request(
                job_id + "/update", status=status, statusDetails=details, expectedVersion=found["versionNumber"],
                executionNumber=found["executionNumber"], stepTimeoutInMinutes=None if details else step_timeout,
            )
            if not details:
                found["versionNumber"] += 1
                return found
        if others is None:
            # notify-next says nothing about a job behind the first one.
            for name in (b"get/+", b"notify"):
                wanted = (agent._prefix + name, 1)
                if wanted not in agent.link.filters:
                    await agent.link.subscribe(*wanted)
            others = []
            for one in field_of(await agent.request("get"), "queuedJobs", []):
                if check_execution(one)["jobId"] != job_id:
                    others.append(one["jobId"])
        found = None
        while others and not found:
            try:
                found = check_execution((await agent.request(others.pop(0) + "/get")).get("execution"))
            except (JobsError, MemoryError):
                pass  # it has ended meanwhile; or its document is too large, which is reported when it is the first
    return None


async def ready(job: "Job") -> None:
    """Wait until the board may restart for a job. Raises Reject, CancelledError."""
    agent: "Any" = job.client
    while True:
        left = await _seconds(agent, Waiting(job.document, job.job_id, agent.journal.queued_at, True))
        if not left:
            return
        job.note(message="waits for the gate")
        await asyncio.sleep(min(left, _HOLD))
