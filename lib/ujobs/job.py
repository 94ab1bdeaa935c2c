"""`Job`: what a handler holds while it runs, and the owner of the step timer.

While a handler runs, it reports IN_PROGRESS with a fresh step timeout and the latest progress, well before
the step timer runs out, and finds out in the answers whether the execution is still ours. It decides nothing about how
a job ends; that is the agent's.
"""

import asyncio
import time

from micropython import const

from . import protocol
from .client import JobsClient
from .journal import Journal
from .link import explain, log, until

_LONGEST_INTERVAL = const(3600)  # seconds; ticks_ms wraps around, so no interval may be near its 6 days


class Reject(Exception):
    """Raised by a handler that cannot or will not do the job: REJECTED, which the service never retries.

    The text becomes `reason` in the status details.
    """


class Job:
    """One job execution at work.

    document: the job document; job_id, execution_number: as the service gives them; attempt: 1, or more when the board
    was reset while the handler ran; cancelled: None, or why the service no longer wants the result; client: the
    JobsClient, for a handler that needs more than a job.
    """

    def __init__(
        self, client: JobsClient, journal: Journal, document: dict, step_timeout: "int | None", interval: float
    ):
        self.document = document
        self.job_id = journal.job_id
        self.execution_number = journal.execution_number
        self.attempt = journal.attempt
        self.cancelled: "str | None" = None
        self.client = client
        self._journal = journal
        self._step_timeout = step_timeout
        self._interval = int(min(interval, _LONGEST_INTERVAL) * 1000)
        self._due = time.ticks_add(time.ticks_ms(), self._interval)
        self._hurry = asyncio.Event()
        self._details: dict = {}
        self._done = self._total = None
        self._task = self._keeping = None
        self._outcome: tuple = (None, None)
        self._over = asyncio.Event()
        self._ended = False

    @property
    def checkpoint(self) -> "protocol.Any":
        """The value last given to save() for this execution, also before a reset; None when there is none."""
        return self._journal.checkpoint()

    def save(self, value: "protocol.Any") -> None:
        """Keep a value in flash that a later attempt of this execution finds in `checkpoint`.

        value: what JSON can hold; up to about 120 bytes cost a tenth of a flash erase, more cost one. Raises OSError
        when the flash does not take it.
        """
        self._journal.save(value)

    def note(self, done: "float | None" = None, total: "float | None" = None, message: "str | None" = None) -> None:
        """The same as progress(), without a turn for the other tasks."""
        if done is not None:
            # Made text when it is sent: a download notes every piece.
            self._done = done
            self._total = total
        if message is not None:
            self.noted("message", message)

    async def renew(self) -> None:
        """Fetch the job document anew: the service makes presigned URLs in it each time. Raises JobsError, OSError."""
        execution = await self.client.describe(self.job_id, self.execution_number)
        if execution:
            self.document = execution.document

    async def progress(
        self, done: "float | None" = None, total: "float | None" = None, message: "str | None" = None
    ) -> None:
        """Note how far the job is, and give the other tasks a turn. Raises CancelledError when the job was cancelled.

        Costs nothing to call often: it is sent with the next keep-alive. done, total: numbers, shown as `progress`
        "done/total" in the status details; message: text, shown as `message`, cut at 1024 characters. A job
        that succeeds shows "total/total".
        """
        self.note(done, total, message)
        await asyncio.sleep(0)
        self._check()

    def tick(self, done: "float | None" = None, total: "float | None" = None, message: "str | None" = None) -> None:
        """The same for a plain `def` handler, which holds up everything else: call it every second or so.

        It lets the other tasks run for a moment; when a keep-alive is due it waits for the answer, at most as long as
        the client tries. Must not be called from an `async` handler.
        """
        self.note(done, total, message)
        task = asyncio.current_task()
        try:
            asyncio.get_event_loop().run_until_complete(self._turn())
        finally:
            # MicroPython's loop can be run from within a task, but forgets which one it was.
            asyncio.core.cur_task = task  # type: ignore[attr-defined]
        self._check()

    def cancel(self, reason: str) -> None:
        """Stop the handler: CancelledError at its next await, progress() or tick()."""
        if not self.cancelled:
            self.cancelled = reason
            if self._task:
                self._task.cancel()

    def hurry(self) -> None:
        """Have the next keep-alive sent now: something hints that the execution may have ended elsewhere."""
        self._hurry.set()

    def noted(self, key: "str | None" = None, text: str = "") -> dict:
        """Return the status details noted so far, with one more pair when a key is given."""
        done, total = self._done, self._total
        if done is not None:
            self._details["progress"] = protocol.clean(str(done) if total is None else "%s/%s" % (done, total))
        if key:
            self._details[key] = protocol.clean(text)
        return self._details

    async def run(self, handler: "protocol.Callable[[Job], protocol.Any]", time_limit: int) -> "dict | None":
        """Run a handler, plain or `async`, with its step timer kept from running out; return what it returns.

        time_limit: minutes, after which an `async` one is stopped with TimeoutError.
        """
        self._keeping = asyncio.create_task(self._keep_alive())
        try:
            result = handler(self)
            if hasattr(result, "send"):
                task = asyncio.create_task(self._attend(result))
                try:
                    await asyncio.wait_for(self._over.wait(), time_limit * 60)
                finally:
                    task.cancel()
                self._check()
                result, error = self._outcome
                if isinstance(error, asyncio.CancelledError):
                    raise RuntimeError("the handler let a CancelledError pass")
                if error:
                    raise error
            self._check()
            self.note(self._total, self._total, None)
            return result
        finally:
            self._ended = True
            self._hurry.set()

    async def settle(self) -> None:
        """Wait for a keep-alive on its way out when the handler ended: the next update needs the version it makes."""
        await asyncio.sleep(0)
        try:
            if self._keeping and not self._keeping.done():
                await asyncio.wait_for(self._keeping, self.client.link.timeout)
        except Exception as error:
            log("keep-alive given up:", explain(error))

    async def _attend(self, handler):
        # Its end is told by an event: awaited as a task, it could not be told from being cancelled ourselves.
        try:
            self._task = asyncio.current_task()
            self._check()
            self._outcome = (await handler, None)
        except (Exception, asyncio.CancelledError) as error:
            self._outcome = (None, error)
        self._over.set()

    async def _keep_alive(self):
        while not self._ended and not self.cancelled:
            try:
                if self._is_due():
                    # Cleared first: a hint that comes while this one is under way calls for another.
                    self._hurry.clear()
                    await self._beat()
                else:
                    left = time.ticks_diff(self._due, time.ticks_ms())
                    await until(self._hurry, max(left, 0) / 1000)
            except Exception:
                # The handler has taken all memory, and gives it back some day.
                await asyncio.sleep(0)

    def _is_due(self):
        return self._hurry.is_set() or time.ticks_diff(self._due, time.ticks_ms()) <= 0

    def _check(self):
        if self.cancelled:
            raise asyncio.CancelledError

    async def _turn(self):
        # The keep-alive task does the work; this waits for it while it has something to do.
        await asyncio.sleep(0)
        while self._is_due() and not self.cancelled and self.client.link.up.is_set():
            await asyncio.sleep(0.01)

    async def _beat(self):
        retry = int(self.client.link.timeout * 1000)
        try:
            await self.client.update(
                self.job_id, protocol.IN_PROGRESS, self.noted() or None, self._journal.version,
                self.execution_number, self._step_timeout,
            )
            self._journal.set_version(self._journal.version + 1)
            retry = self._interval
        except protocol.JobsError as error:
            version = self._settle(error)
            if version is not None:
                self._journal.set_version(version)
                retry = 0
        except (OSError, MemoryError, ValueError) as error:
            log("keep-alive not answered:", explain(error))
        finally:
            self._due = time.ticks_add(time.ticks_ms(), min(retry, self._interval))

    def _settle(self, error):
        # What a refusal says about the execution: the version to go on with, or that it is not ours any more.
        state = error.state.get("status")
        version = error.state.get("versionNumber")
        if error.code == protocol.VERSION_MISMATCH and state == protocol.IN_PROGRESS and isinstance(version, int):
            return version
        log("keep-alive refused:", error)
        if error.code in (
            protocol.VERSION_MISMATCH, protocol.INVALID_STATE_TRANSITION, protocol.RESOURCE_NOT_FOUND,
            protocol.TERMINAL_STATE_REACHED,
        ):
            self.cancel(state or error.code)
        return None
