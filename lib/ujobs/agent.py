"""`Agent`: asks for the next job, runs its handler, reports how it ended; the one module that knows all the others.

The order of its steps is what keeps the promises: the journal before a handler's first instruction, the result in
flash before it is sent, the record closed only when the service has the result or has ended the execution itself.
"""

import asyncio
import gc
import sys

from micropython import const

from . import protocol
from .client import JobsClient
from .job import Job, Reject
from .journal import Journal
from .link import Link, explain, log, until

_ASK_ANYWAY = const(3600)  # seconds; a notification lost between SUBACK and the first question would else be waited for
_RETRY = 10  # seconds
_STEP_TIMEOUT = const(10)  # minutes
_TIME_LIMIT = const(1440)  # minutes
_BUILT_IN_ATTEMPTS = const(50)
_RESET = "the board was reset during attempt %d"
_BUILT_IN = ("app", "call", "files", "firmware", "reboot", "settings", "steps")


def _let_go(loaded):
    # What was imported for one purpose is not kept in memory. An imported module is held in two places.
    if len(sys.modules) == len(loaded):
        return
    for name in list(sys.modules):
        if name.startswith("ujobs.") and name not in loaded:
            del sys.modules[name]
            package, _, module = name.rpartition(".")
            if hasattr(sys.modules.get(package), module):
                delattr(sys.modules[package], module)


class Agent:
    """A device that takes its work from AWS IoT Jobs.

    thing: thing name, also the MQTT client id. host, port: the account's endpoint, "….iot.{region}.amazonaws.com",
    8883. cert, key, ca: file names or bytes, DER or PEM, see certificates.tls_context(). directory: where the journal
    is kept. keepalive: seconds, of MQTT. update_interval: most seconds between two keep-alives of a running job; None:
    a third of its step timeout. receive_limit: bytes of the largest message taken in, which bounds the job document.
    link: a Link of your own instead of host, cert, key, ca, port, keepalive and receive_limit.

    link, client, journal: the floors below, for a program that wants more. Raises ValueError naming what is wrong,
    OSError for a file that cannot be read.
    """

    def __init__(
        self, thing: str, host: str = "", cert: "str | bytes | None" = None, key: "str | bytes | None" = None,
        ca: "str | bytes | None" = None, port: int = 8883, directory: str = "/ujobs-journal", keepalive: int = 60,
        update_interval: "float | None" = None, receive_limit: int = 16384, link: "Link | None" = None,
    ):
        if update_interval is not None and update_interval <= 0:
            raise ValueError("update_interval must be more than 0 seconds")
        if link is None:
            if not ca:
                raise ValueError("ca is missing: the server could not be verified")
            # Not needed again, so it is not kept in memory.
            loaded = set(sys.modules)
            from .certificates import tls_context

            ssl = tls_context(ca, cert, key)
            _let_go(loaded)
            link = Link(thing, host, port, keepalive=keepalive, ssl=ssl, receive_limit=receive_limit)
        self.link = link
        self.client = JobsClient(self.link, thing)
        self.journal = Journal(directory)
        self._update_interval = update_interval
        # By operation: function, or name of one that comes with ujobs; step timeout; on_restart; attempts; time limit.
        self._handlers = {}
        self._options = {"ca": ca, "allowed": self._handlers}
        self._job: "Job | None" = None
        self._wake = asyncio.Event()
        # Whether a job may be waiting for us, so that we have to ask; None: a notification is about to tell.
        self._waiting: "bool | None" = True
        self.client.on_next = self._notified
        self.link.listeners.append(self._link_changed)

    def on(
        self, operation: str, step_timeout: int = _STEP_TIMEOUT, on_restart: str = "rerun", max_attempts: int = 3,
        time_limit: int = _TIME_LIMIT,
    ) -> "protocol.Callable[[protocol.Callable], protocol.Callable]":
        """Decorator: the function, plain or `async`, runs jobs whose document says `"operation": operation`.

        It is called with a Job. What it returns, a dict of text to text or None, becomes the status details of
        SUCCEEDED; Reject makes the job REJECTED, any other exception FAILED. step_timeout: minutes, 1 to 10080, that
        the service waits for a sign of life. on_restart: what to do after a reset while it ran: "rerun" from the
        start, "resume" (as rerun, but its checkpoint is kept), or "fail". max_attempts: starts in all, 1 to 255.
        time_limit: minutes, 1 to 7200, after which an `async` function is stopped and FAILED; what hangs in a plain one
        is the watchdog's. Raises ValueError.
        """
        protocol.check_number("step_timeout, in minutes,", step_timeout, 1, 10080)
        protocol.check_number("max_attempts", max_attempts, 1, 255)
        protocol.check_number("time_limit, in minutes,", time_limit, 1, 7200)
        if on_restart not in ("rerun", "resume", "fail"):
            raise ValueError("on_restart must be rerun, resume or fail")

        def register(function):
            self._handlers[operation] = (function, step_timeout, on_restart, max_attempts, time_limit)
            return function

        return register

    def use(self, *names: str, **options: "protocol.Any") -> None:
        """Allow handlers that come with ujobs; each is imported only while it has a job.

        options: what those handlers are to know, see each; `ca` is the agent's if not given. Raises ValueError.
        """
        self._options.update(options)
        for name in names:
            if name not in _BUILT_IN:
                raise ValueError("no built-in handler is named " + name)
            self._handlers[name] = (name, _STEP_TIMEOUT, "", _BUILT_IN_ATTEMPTS, _TIME_LIMIT)

    def confirm(self) -> None:
        """Say that the application works: a version on trial is now the one that counts (see trial). Raises OSError."""
        from . import trial

        trial.confirm()

    async def run(self, until_idle: bool = False) -> None:
        """Connect and work through jobs until cancelled. Only a programming error ends it otherwise.

        until_idle: take leave of the broker and return once the service has every result and says that no job is
        waiting, for a board that sleeps.
        """
        connection = asyncio.create_task(self.link.run())
        try:
            while True:
                try:
                    # It is False after an answer only: whatever fails on the way takes that back.
                    if until_idle and self._waiting is False:
                        return await self.link.disconnect()
                    await self._next()
                except (OSError, ValueError, MemoryError, protocol.JobsError, asyncio.TimeoutError) as error:
                    log(explain(error))
                    self._waiting = True
                    if self.link.up.is_set():
                        await asyncio.sleep(_RETRY)
        finally:
            connection.cancel()

    async def _next(self):
        await self.link.up.wait()
        if not self.journal.acknowledged:
            if self.journal.status != protocol.IN_PROGRESS:
                return await self._report()
            question = self._interrupted
        else:
            if self._waiting is False:
                self._wake.clear()
                try:
                    await asyncio.wait_for(self._wake.wait(), _ASK_ANYWAY)
                except asyncio.TimeoutError:
                    self._waiting = True
                return
            self._waiting = False
            question = self._start_next
        fault = None
        try:
            execution = await question()
        except MemoryError as error:
            fault = "job document: " + explain(error)
            execution = await self.client.describe(include_document=False)
        if execution:
            await self._execute(execution, fault)
            gc.collect()

    async def _start_next(self):
        # Which handler it will be is not known yet: the first keep-alive sets that handler's own step timeout.
        longest = 1
        for handler in self._handlers.values():
            longest = max(longest, handler[1])
        return await self.client.start_next(longest)

    async def _interrupted(self):
        # A reset came while a handler ran. The service says whether the execution is still ours.
        journal = self.journal
        try:
            execution = await self.client.describe(journal.job_id, journal.execution_number)
            if execution and journal.holds(execution) and execution.status == protocol.IN_PROGRESS:
                return execution
            reason = execution.status if execution else "no longer there"
        except protocol.JobsError as error:
            if error.code not in (protocol.RESOURCE_NOT_FOUND, protocol.TERMINAL_STATE_REACHED):
                raise
            reason = str(error)
        log("job %s was interrupted and is dropped: %s" % (journal.job_id, reason))
        journal.acknowledge()

    async def _execute(self, execution, fault):
        journal = self.journal
        known = journal.holds(execution)
        if known and journal.status != protocol.IN_PROGRESS:
            # Handed out once more although it was finished: the result is told again, the handler is not run again.
            journal.version = execution.version_number
            return await self._give_up(journal.status, "finished before")
        attempt = journal.attempt + 1 if known else 1
        try:
            journal.begin(execution, attempt)
        except OSError as error:
            return await self._give_up(protocol.FAILED, "journal: " + explain(error))
        document = execution.document
        operation = None
        if isinstance(document, dict):
            operation = document.get("operation")
            if not operation:
                # Documents of AWS's own have none.
                operation = "steps" if "steps" in document else "firmware" if "afr_ota" in document else None
        # Only text is looked up or shown: what is nested too deep cannot be.
        named = isinstance(operation, str)
        if not named or operation not in self._handlers:
            fault = fault or ("unknown operation " + repr(operation) if named else "the job document has no operation")
            return await self._give_up(protocol.REJECTED, fault)
        function, step_timeout, on_restart, max_attempts, time_limit = self._handlers[operation]
        # Before anything of the handler is imported: that may be what kills the board.
        if attempt > max_attempts:
            return await self._give_up(protocol.FAILED, _RESET % (attempt - 1))
        loaded = set(sys.modules)
        try:
            if isinstance(function, str):
                module = __import__("ujobs.handlers." + function, None, None, (function,))
                step_timeout = module.STEP_TIMEOUT
                on_restart = module.ON_RESTART
                function = lambda job: module.run(job, self._options)  # noqa: E731
        except Exception as error:
            await self._give_up(
                protocol.REJECTED if isinstance(error, ImportError) else protocol.FAILED, explain(error)
            )
        else:
            await self._run(execution, attempt, function, step_timeout, on_restart, time_limit)
        finally:
            _let_go(loaded)

    async def _run(self, execution, attempt, function, step_timeout, on_restart, time_limit):
        journal = self.journal
        if attempt > 1:
            if on_restart == "fail":
                return await self._give_up(protocol.FAILED, _RESET % (attempt - 1))
            if on_restart == "rerun":
                journal.save(None)
        interval = step_timeout * 20
        if self._update_interval:
            interval = min(interval, self._update_interval)
        job = self._job = Job(self.client, journal, execution.document, step_timeout, interval)
        log("job %s (%d) starts, attempt %d" % (journal.job_id, journal.execution_number, attempt))
        # A timer that has been running for a while was started for an answer that got lost.
        if attempt > 1 or execution.seconds_left < 2 * interval:
            job.hurry()
        try:
            result = await job.run(function, time_limit)
            details = dict(job.noted())
            details.update(result or {})
            if len(details) > 10:
                # What the handler returns matters more than what it noted on the way.
                details = result
            status = protocol.SUCCEEDED
        except asyncio.CancelledError:
            if not job.cancelled:
                raise
            log("job %s was ended by the service: %s" % (journal.job_id, job.cancelled))
            journal.acknowledge()
            await job.settle()
            # Where a refused keep-alive told it, what comes next has not been told.
            self._waiting = True
            return
        except Reject as error:
            status = protocol.REJECTED
            details = job.noted("reason", str(error))
        except Exception as error:
            sys.print_exception(error)  # type: ignore[attr-defined]
            status = protocol.FAILED
            details = job.noted("reason", explain(error))
        finally:
            self._job = None
        await self._finish(status, details, job)

    async def _give_up(self, status, reason):
        await self._finish(status, {"reason": protocol.clean(reason)})

    async def _finish(self, status, details, job=None):
        # What comes next is told by the notify-next that follows the report.
        self._waiting = None
        try:
            protocol.check_details(details)
        except ValueError as error:
            # What cannot be sent must not get into the journal: it would be tried for ever.
            status = protocol.FAILED
            details = {"reason": str(error)}
        self.journal.finish(status, details)
        if job:
            await job.settle()
        await self._report()

    async def _report(self):
        journal = self.journal
        details = journal.details() or None
        while True:
            sent = journal.version
            try:
                await self.client.update(journal.job_id, journal.status, details, sent, journal.execution_number)
                break
            except protocol.JobsError as error:
                state = error.state.get("status")
                version = error.state.get("versionNumber")
                if state == journal.status:
                    break
                if state == protocol.IN_PROGRESS and isinstance(version, int) and version != sent:
                    journal.version = version
                elif error.code == protocol.INVALID_REQUEST and details:
                    log("status details refused:", error)
                    details = None
                elif error.code in (protocol.INTERNAL_ERROR, protocol.REQUEST_THROTTLED):
                    raise
                else:
                    log("job %s had ended already: %s" % (journal.job_id, error))
                    break
        log("job %s: %s" % (journal.job_id, journal.status))
        journal.acknowledge()
        await self._await_notification()

    async def _await_notification(self):
        # Saves a question when the answer is on its way.
        if self._waiting is None:
            self._wake.clear()
            await until(self._wake, self.link.timeout)

    def _notified(self, pending):
        # AWS does not promise the order of messages: an old "nothing is pending" must not hide a job.
        self._waiting = bool(self._waiting) or pending
        if self._job:
            self._job.hurry()
        self._wake.set()

    def _link_changed(self, up):
        if up:
            self._waiting = True
            if self._job:
                self._job.hurry()
            self._wake.set()
