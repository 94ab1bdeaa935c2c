"""`agent.gate`: a function of the application that holds jobs back; imported only when there is one.

It is asked before a job starts and again before an update restarts the board. It returns None or True for "go", or a
number of seconds for "not yet, ask again then", or raises Reject. It may be `async`. Meanwhile the job stays QUEUED,
since AWS has no status for it, and StartNext would start its timers: so the job is described first, and started by an
update. Other jobs in the queue are asked about too: one that is held does not hold up the rest.
"""

from micropython import const

from .agent import JobsError, Reject
from .details import clean
from .job import ask, checked
from .link import explain, log

# What only type checkers read; the compiler leaves it out.
_TYPING = const(0)
if _TYPING:
    from typing import Any

    from .agent import Agent
    from .job import Job

_SHORTEST = 1  # second between two questions
_HOLD = 60  # seconds, after a gate that failed; most between two questions before a restart


class Waiting:
    """What a gate sees of a job: document, job_id, queued_at (seconds since 1970), restarting.

    restarting: False before the job starts, True before it restarts the board.
    """

    def __init__(self, document: object, job_id: str, queued_at: int, restarting: bool):
        self.document = document
        self.job_id = job_id
        self.queued_at = queued_at
        self.restarting = restarting


async def _seconds(agent, waiting):
    # 0 for go. Raises Reject.
    try:
        answer = agent.gate(waiting)
        if hasattr(answer, "send"):
            answer = await answer
        return 0 if answer is None or answer is True else max(float(answer), _SHORTEST)
    except Reject:
        raise
    except Exception as error:
        log("the gate failed:", explain(error))
        return _HOLD


async def choose(agent: "Agent", step_timeout: int) -> "tuple[dict | None, str]":
    """Return the first execution in the queue that may go, started, as job.ask() does; None when there is none."""
    found, fault = await ask(agent, "$next/get")
    if fault or (found and found.get("status") != "QUEUED"):
        return await ask(agent, "start-next", stepTimeoutInMinutes=step_timeout)
    others = None
    while found:
        update: dict = {"expectedVersion": found["versionNumber"], "executionNumber": found["executionNumber"]}
        waiting = Waiting(found.get("jobDocument"), found["jobId"], found["queuedAt"], False)
        try:
            seconds = await _seconds(agent, waiting)
            if not seconds:
                update["status"] = "IN_PROGRESS"
                update["stepTimeoutInMinutes"] = step_timeout
                await agent.request(waiting.job_id + "/update", **update)
                found["versionNumber"] += 1
                return found, ""
            # A notification that came meanwhile has set it to 0.
            agent._patience = min(agent._patience, seconds)
        except Reject as error:
            update["status"] = "REJECTED"
            update["statusDetails"] = {"reason": clean(str(error))}
            await agent.request(waiting.job_id + "/update", **update)
        if others is None:
            await _listen(agent)
            queued = (await agent.request("get"))["queuedJobs"]
            others = [one["jobId"] for one in queued if one["jobId"] != waiting.job_id]
        found = None
        while others and not found:
            try:
                found = checked((await agent.request(others.pop(0) + "/get"))["execution"])
            except (JobsError, MemoryError):
                pass  # it has ended meanwhile; or its document is too large, which is told when it is the first
    return None, ""


async def _listen(agent):
    # notify-next tells nothing of a job behind the first one.
    name = agent._prefix + b"notify"
    if (name, 1) in agent.link.filters:
        return

    def notified(topic, payload):
        if topic == name:
            agent._patience = 0
            agent._wake.set()
        else:
            agent._received(topic, payload)

    agent.link.routes.insert(0, (name, notified))
    for wanted in ((agent._prefix + b"get/+", 0), (name, 1)):
        agent.link.filters.append(wanted)
        await agent.link.subscribe(*wanted)


async def ready(job: "Job") -> None:
    """Wait until the board may restart for a job. Raises Reject, CancelledError."""
    import asyncio

    agent: "Any" = job.client
    while True:
        left = await _seconds(agent, Waiting(job.document, job.job_id, agent.journal.queued_at, True))
        if not left:
            return
        job.note(message="waits for the gate")
        await asyncio.sleep(min(left, _HOLD))
