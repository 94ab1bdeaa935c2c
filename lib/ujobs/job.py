"""One job from the request for it to its report: runs its handler and keeps its step timer from expiring.

This is the half of the agent that an idle board does not hold in memory; it uses the agent's private attributes.
The guarantees depend on this order: write the journal before the handler starts, store the result before sending it,
and close the record only after the service has the result or has ended the execution itself.
"""

import asyncio
import sys
import time

from . import lend, let_go
from .agent import EXPECTED, Reject
from .checks import check_execution, details_of, field_of
from .link import explain, log, until

# Neither is in a .mpy at -O2: its compiler knows const, and types are for type checkers only.
if __debug__:
    from micropython import const
_TYPING = const(0)
if _TYPING:
    from typing import Any

    from .agent import Agent

_IN_PROGRESS = const("IN_PROGRESS")
_FAILED = const("FAILED")
_STOPPING = const(60)  # seconds that a handler may take to stop
_PAUSE = 1000  # milliseconds between two progress updates, however many notifications come

class Job:
    """The job execution that a handler works on.

    document: the job document; job_id, execution_number: as the service gives them; attempt: 1, or more when the board
    was reset while the handler ran; cancelled: why the service no longer wants the result, else ""; client: "Requests",
    for a handler that needs more than a job.
    """

    def __init__(self, client: "Agent", document: dict):
        self.client = client
        self.document = document
        journal = client.journal
        self.job_id = journal.job_id
        self.execution_number = journal.execution_number
        self.attempt = journal.attempt
        self.cancelled = ""
        self._task = None  # the task of an `async` handler
        self._over = asyncio.Event()  # the handler has ended
        self._stopped = ""  # why the handler has to stop
        self._details = {}
        self._total = None

    @property
    def checkpoint(self) -> "Any":
        """The value last given to save() for this execution, also before a reset; None when there is none."""
        return self.client.journal.checkpoint()

    def save(self, value: "Any") -> None:
        """Keep a value in flash that a later attempt of this execution finds in `checkpoint`.

        value: what JSON can hold; up to about 120 bytes cost a tenth of a flash erase, more cost one. Raises OSError
        when the flash does not accept it.
        """
        self._check()
        self.client.journal.save(value)

    def note(self, done: "float | None" = None, total: "float | None" = None, message: "str | None" = None) -> None:
        """The same as progress(), without yielding to other tasks. Raises ValueError as noted() does."""
        if done is not None:
            self._total = total
            self.noted("progress", str(done) if total is None else "%s/%s" % (done, total))
        if message is not None:
            self.noted("message", message)

    async def renew(self) -> None:
        """Fetch the job document again: the service makes new presigned URLs each time. Raises JobsError, OSError."""
        reply = await self.client.request(self.job_id + "/get", executionNumber=self.execution_number)
        found = reply.get("execution")
        if found is not None:
            self.document = check_execution(found).get("jobDocument", self.document)

    async def progress(
        self, done: "float | None" = None, total: "float | None" = None, message: "str | None" = None
    ) -> None:
        """Note how far the job is, and yield to other tasks. Raises CancelledError when the job was cancelled.

        Costs nothing to call often: it is sent with the next progress update. done, total: numbers, shown as `progress`
        "done/total" in the status details; message: text, shown as `message`, cut at 1024 characters. A job
        that succeeds shows "total/total".
        """
        self.note(done, total, message)
        await asyncio.sleep(0)
        self._check()

    async def check_in(self) -> None:
        """Send a progress update now and wait for its reply. Call it just before a step that cannot be undone.

        Raises CancelledError when the job was cancelled. Returns without an answer after 3 tries, some 30 s.
        """
        self._check()
        try:
            self.cancelled = await _update(self.client, _IN_PROGRESS, self.noted())
            self._stopped = self._stopped or self.cancelled
        except EXPECTED as error:
            log("update not answered:", error)
        self._check()

    def tick(self, done: "float | None" = None, total: "float | None" = None, message: "str | None" = None) -> None:
        """The same for a plain `def` handler, which blocks everything else: call it every second or so.

        It lets other tasks run for a moment; while an update is under way it waits for the answer, at most as long as
        the client tries. Must not be called from an `async` handler.
        """
        self.note(done, total, message)
        task = asyncio.current_task()
        try:
            asyncio.run(self._yield())
        finally:
            # MicroPython's loop can be run from within a task, but forgets which one it was.
            asyncio.core.cur_task = task  # type: ignore[attr-defined]
        self._check()

    def noted(self, key: "str | None" = None, value: "str | float" = "") -> dict:
        """Return the status details noted so far, with one more pair when a key is given.

        Raises ValueError naming the key for a pair that the service would refuse, see checks.details_of().
        """
        if key is not None:
            details = details_of({key: value}, self._details)
            if len(details) < len(self._details):
                raise ValueError("statusDetails must have at most 10 pairs: %s" % key)
            self._details = details
        return dict(self._details)

    def _reason(self, text):
        # The status details noted and a reason, which stands alone when they are too many together.
        return details_of({"reason": text}, self._details)

    def _stop(self, reason):
        # CancelledError at the handler's next await, progress() or tick().
        if not self._stopped:
            self._stopped = reason
            if self._task:
                self._task.cancel()

    def _check(self):
        # A task that a handler has left behind must not write to the record of the next job.
        if self._stopped or self._over.is_set():
            raise asyncio.CancelledError

    async def _yield(self):
        for _ in range(2):
            await asyncio.sleep(0)
        while self.client._sending.locked() and self.client.link.up.is_set():
            await asyncio.sleep(0.01)


async def process(agent: "Agent", until_idle: bool) -> None:
    """Report the result in the journal; without one, ask for the next job, or the one that a reset has cut short.

    until_idle: see Agent.run(). Raises JobsError, OSError, MemoryError, ValueError when it must be retried;
    RuntimeError when a handler does not stop.
    """
    journal = agent.journal
    if journal.acknowledged or journal.status == _IN_PROGRESS:
        agent._patience = agent._patience or agent.link.timeout
        # The handler is not known yet: the first update sets its own step timeout.
        longest = 1
        for handler in agent._handlers.values():
            longest = max(longest, handler[1])
        if agent.gate:
            from .gate import choose

            execution = await choose(agent, longest)
        else:
            execution = await ask(agent, "start-next", stepTimeoutInMinutes=longest)
        # The service hands out what is in progress first.
        if not journal.acknowledged and not (execution and journal.holds(execution)):
            log("job", journal.job_id, "ended while interrupted")
            journal.acknowledge()
        if execution:
            await _execute(agent, execution)
        return
    # A notify-next follows the report and says what comes next. A 0 may be that of a notification: it stays.
    if agent._patience:
        agent._patience = 0 if until_idle else agent.link.timeout
    ended = await _update(agent, journal.status, journal.details)
    if ended:
        log("job", journal.job_id, "was ended by the service:", ended)
        # The notify-next that followed its end may have come before.
        agent._patience = 0
    else:
        reason = (journal.details or {}).get("reason")
        log("job %s: %s%s" % (journal.job_id, journal.status, ", " + reason if reason else ""))
    journal.acknowledge()


async def ask(agent: "Agent", operation: str, **fields: "Any") -> "dict | None":
    """Return the execution in the reply to a request, None without one.

    In place of a job document that is too large it has the MemoryError.
    """
    large = None
    try:
        reply = await agent.request(operation, **fields)
    except MemoryError as error:
        large = error
        try:
            reply = await agent.request("$next/get", includeJobDocument=False)
        except MemoryError:
            # The status details alone are too large. A summary has none.
            await agent.link.subscribe(agent._prefix + b"get/+", 1)
            started = field_of(await agent.request("get"), "inProgressJobs", [])
            reply = {"execution": started[0]} if started else {}
    execution = reply.get("execution")
    if execution is not None:
        check_execution(execution)
        if large:
            if operation == "start-next" and execution.get("status") == "QUEUED":
                # The one with the large document has ended meanwhile; this one was not even started.
                raise large
            execution["jobDocument"] = large
    return execution


async def _execute(agent, execution):
    journal = agent.journal
    known = journal.holds(execution)
    if known and journal.status != _IN_PROGRESS:
        # The service handed out a finished execution: report the result again, do not rerun the handler.
        journal.version = execution["versionNumber"]
        return journal.finish(journal.status, {"reason": "finished before"})
    attempt = journal.attempt + 1 if known else 1
    # Removed, here and from the variable: once the handler renews it, memory must not hold two.
    document = execution.pop("jobDocument", None)
    status = "REJECTED"
    handler: "Any" = None
    job: "Any" = None
    reason = "the job document has no operation"
    if isinstance(document, MemoryError):
        reason = "job document: " + explain(document)
        if known:
            # It fitted when the job started: the status details beside it have grown. A retry starts without them.
            status = _FAILED
    elif isinstance(document, dict):
        # AWS's own documents have none.
        operation = document.get("operation") or (
            "steps" if "steps" in document else "firmware" if "afr_ota" in document else None
        )
        # Only a string: a value that is nested too deep cannot be looked up or printed.
        if isinstance(operation, str):
            handler = agent._handlers.get(operation)
            reason = "" if handler else "operation %r not in handlers: %s" % (operation, list(agent._handlers))
    # Before the handler is imported: the import may be what crashes the board.
    if handler and (attempt > handler[3] or (attempt > 1 and handler[2] == "fail")):
        status = _FAILED
        # The option last_start of Agent.use() adds to it; its text begins with a comma.
        cause = lend("restore", "reset_cause") + agent._options.get("last_start", "")
        reason = "the board was reset during attempt %d: %s" % (attempt - 1, cause)
    loaded = set(sys.modules)
    try:
        journal.begin(execution, attempt)
        if not reason:
            if handler[2] != "resume" and journal.checkpoint() is not None:
                journal.save(None)
            log("job %s (%d) starts, attempt %d" % (journal.job_id, journal.execution_number, attempt))
            agent._wake.clear()
            job = Job(agent, document)  # type: ignore[arg-type]
            del document
            asyncio.create_task(_run(agent, job, handler))  # noqa: RUF006
    except OSError as error:
        status = _FAILED
        reason = "journal: " + explain(error)
    except MemoryError:
        # It is tried again, and the handler has not started: no attempt.
        journal.attempt = attempt - 1
        raise
    if reason:
        return journal.finish(status, details_of({"reason": reason}))
    # A step timer that is partly used up means an earlier reply was lost: renew it now.
    left = execution.get("approximateSecondsBeforeTimedOut")
    wait = attempt == 1 and not (isinstance(left, int) and left < handler[1] * 40)
    try:
        while True:
            try:
                await _attend(agent, job, handler, wait)
                break
            except MemoryError:
                # Two handlers must never run at once: wait for the end of this one until there is some.
                await asyncio.sleep(1)
    finally:
        if job._task and not (job._stopped or job._over.is_set()):
            job._task.cancel()
            # run() may be called again, and two handlers must never run at once.
            await until(job._over, _STOPPING)
        let_go(loaded)


async def _attend(agent, job, handler, wait):
    # Keep the step timer from expiring while the handler runs, and stop the handler at its time limit.
    journal = agent.journal
    _, step_timeout, _, _, time_limit = handler
    interval = int(min(step_timeout * 20, agent._interval) * 1000)
    pause = interval if wait else 0
    sent = began = time.ticks_ms()
    while not (job._over.is_set() or job._stopped):
        try:
            now = time.ticks_ms()
            left = pause - time.ticks_diff(now, sent)
            if left <= 0:
                left = 1000
                if agent.link.up.is_set():
                    sent = now
                    pause = min(interval, int(agent.link.timeout * 1000))
                    job.cancelled = await _update(agent, _IN_PROGRESS, job.noted(), step_timeout)
                    if job.cancelled:
                        job._stop(job.cancelled)
                    sent = time.ticks_ms()
                    pause = interval
                    continue
            if job._task:
                rest = time_limit * 60000 - time.ticks_diff(now, began)
                if rest <= 0:
                    job._stop("TimeoutError: over its time limit of %d minutes" % time_limit)
                left = min(left, rest)
            if await until(agent._wake, left / 1000):
                # A notification, or the link is back: the execution may have ended elsewhere.
                pause = min(pause, _PAUSE)
            agent._wake.clear()
        except EXPECTED as error:
            if isinstance(error, MemoryError):
                # The handler may hold it all: let it go on.
                await asyncio.sleep(1)
            log("update not answered:", error)
    # Two handlers must never run at once. A plain one cannot be stopped: if it hangs, the watchdog resets the board.
    stuck = job._task and job._stopped and not await until(job._over, _STOPPING)
    if not stuck:
        await job._over.wait()
    if job.cancelled:
        log("job", journal.job_id, "was ended by the service:", job.cancelled)
        journal.acknowledge()
        # If a refused update was how we learned this, no notify-next has arrived: ask.
        agent._patience = 0
    elif journal.status == _IN_PROGRESS:
        journal.finish(_FAILED, job._reason(job._stopped or "no result: CancelledError or MemoryError"))
    if stuck:
        raise RuntimeError("handler of job %s does not stop" % journal.job_id)


async def _run(agent, job, handler):
    # A task of its own: it can be stopped, and its result gets into flash even while the agent waits for a reply.
    status = _FAILED
    details = None
    function = handler[0]
    try:
        if isinstance(function, str):
            from .handlers import run

            result: "Any" = run(function, job, agent._options)
        else:
            result = function(job)
        if hasattr(result, "send"):
            job._task = asyncio.current_task()
            job._check()
            result = await result
        job.note(job._total, job._total)
        details = details_of(result, job.noted())
        status = "SUCCEEDED"
    except Reject as error:
        status = "REJECTED"
        details = job._reason(str(error))
    except asyncio.CancelledError:
        pass
    except Exception as error:
        details = job._reason(explain(error))
        # Last: on MicroPython it fails with the text of the error.
        sys.print_exception(error)  # type: ignore[attr-defined]
    finally:
        # First: should there be no memory for the record, the result is still reported.
        job._over.set()
        agent._wake.set()
        if details is not None and not job._stopped:
            agent.journal.finish(status, details)


async def _update(agent, status, details, step=None):
    # Return "" when the service has the update, else why the execution is over. Any other error: try again later. step:
    # minutes until the step timer expires.
    journal = agent.journal
    for more in (True, True, False):
        version = journal.version
        try:
            await agent.request(
                journal.job_id + "/update", status=status, statusDetails=details or None, expectedVersion=version,
                executionNumber=journal.execution_number, stepTimeoutInMinutes=step,
            )
            if status == _IN_PROGRESS:
                journal.set_version(version + 1)
            return ""
        except EXPECTED as error:
            ended = await lend("refusals", "ended_by", agent, error, status)  # type: ignore[misc]
            if ended is not None:
                return ended
            if not more:
                raise error
