"""`Agent`: asks for the next job, runs its handler, keeps its step timer alive, and reports how it ended.

The guarantees depend on this order: write the journal before the handler starts, store the result before sending it,
and close the record only after the service has the result or has ended the execution itself.

Sources: AWS IoT Developer Guide, "Jobs device MQTT API" and "Job execution details and limits"; the API model of AWS
IoT Jobs Data ("iot-jobs-data"), whose operation and field names are used here.
"""

import asyncio
import random
import sys
import time
from errno import ETIMEDOUT

import ujson
from micropython import const

from . import lend, let_go
from .journal import Journal
from .link import explain, log, until

# What only type checkers read; the compiler leaves it out.
_TYPING = const(0)
if _TYPING:
    from typing import Any, Callable

    from .link import Link

_IN_PROGRESS = const("IN_PROGRESS")
_FAILED = const("FAILED")
_WORD = const("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-:")
_LONG = 0x7FFFFFFFFFFFFFFF
_MOST_DETAILS = const(10)
_MOST_VALUE = const(1024)
_EMPTY = const(64)  # bytes; a notification of nothing has only a timestamp
_ASK_ANYWAY = const(3600)  # seconds; otherwise a lost notification would never be noticed
_LONGEST_INTERVAL = const(3600)  # seconds between two progress updates; ticks_ms wraps around after days
_TIME_LIMIT = const(1440)  # minutes
_STOPPING = const(60)  # seconds that a handler may take to stop
_RETRY = 10  # seconds
# MicroPython before 1.26 accepts JSON that breaks off.
_LENIENT = sys.implementation.version < (1, 26)
_LEAST_PAUSE = 1000  # milliseconds between two progress updates, however many notifications come

# What a refused update means, see meaning().
_ADOPT = const(0)
_APPLIED = const(1)
_ENDED = const(2)
_RETRY_LATER = const(3)


class Reject(Exception):
    """Raised by a handler that cannot or will not do the job: REJECTED, which the service never retries.

    The text becomes `reason` in the status details.
    """


class JobsError(Exception):
    """The service rejected a request.

    code: of the service, such as VersionMismatch (Developer Guide, "Jobs MQTT and HTTPS APIs", ErrorCode); message: the
    service's text; state: the executionState it sent along (`status`, `versionNumber`, maybe `statusDetails`), else an
    empty dict.
    """

    def __init__(self, code: str, message: str = "", state: "dict | None" = None):
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.state = state if isinstance(state, dict) else {}

    def __str__(self):
        return "%s: %s" % (self.code, self.message)


# What goes wrong outside of this program: logged, and tried again.
_EXPECTED = (OSError, ValueError, MemoryError, JobsError, asyncio.TimeoutError)


def meaning(error: JobsError, status: str, version: int) -> int:
    """Return what the refusal of an update means, which said this status and expected this version.

    0: the execution goes on with another version number: adopt it and send the update again. 1: the service has this
    result already, and its reply was lost. 2: the execution is over or gone: drop it. 3: the refusal says nothing about
    the execution (throttling, an internal error, an unknown code): keep everything, and try again later.
    """
    state = error.state.get("status")
    if state in ("QUEUED", _IN_PROGRESS):
        new = error.state.get("versionNumber")
        return _ADOPT if isinstance(new, int) and new != version else _RETRY_LATER
    if state:
        return _APPLIED if state == status else _ENDED
    return _ENDED if error.code in ("ResourceNotFound", "TerminalStateReached") else _RETRY_LATER


def check_name(field: str, value: object, most: int) -> None:
    """Check a name that becomes part of a topic or a key. Raises ValueError naming the field and the limit."""
    # MicroPython never frees the one-character strings made by indexing a string, so do not index.
    if not isinstance(value, str) or not 1 <= len(value) <= most or value.strip(_WORD):
        raise ValueError("%s must be 1 to %d characters of A-Z a-z 0-9 : _ -" % (field, most))


def execution(reply: dict) -> "dict | None":
    """Return the execution in a reply, as the service describes it; None when nothing is pending.

    Raises ValueError when something is missing or wrong that the agent would have to send back.
    """
    found = reply.get("execution")
    if found is not None:
        if not isinstance(found, dict):
            raise ValueError("execution is not an object")
        check_name("jobId", found.get("jobId"), 64)
        found.setdefault("queuedAt", 0)
        for name in ("executionNumber", "versionNumber", "queuedAt"):
            value = found.get(name)
            if not isinstance(value, int) or not 0 <= value <= _LONG:
                raise ValueError("%s is not a number" % name)
    return found


def parse(payload: "bytes | bytearray | memoryview") -> dict:
    """Return the JSON object in a payload. Raises ValueError when it is anything else, or breaks off."""
    # A copy of the whole payload would need its memory twice, so look at a piece at a time.
    for at in range(0, len(payload), 1024):
        if _LENIENT or b"\\u" in bytes(payload[at : at + 1025]):
            payload = lend("surrogates", "whole", payload)
            break
    fields = ujson.loads(payload)  # type: ignore[arg-type]
    if not isinstance(fields, dict):
        raise ValueError("not a JSON object")
    return fields


def clean(text: str) -> str:
    """Return any text as a value of status details: forbidden characters become spaces, cut at 1024 characters."""
    text = text[:_MOST_VALUE]
    data = text.encode("utf-8", "surrogatepass")
    if data and (min(data) < 32 or max(data) > 126):
        text = lend("details", "blank", data)[:_MOST_VALUE]
    return text.strip() or "-"


def details_of(result: "dict | None") -> dict:
    """Return what a handler returns as status details: numbers and booleans become text, None is left out.

    Raises ValueError naming the key or the limit for what cannot be said: API DetailsKey, at most 10 pairs.
    """
    details = {}
    try:
        for key, value in (result or {}).items():
            check_name("statusDetails key", key, 128)
            if isinstance(value, (bool, int, float)):
                value = ujson.dumps(value)
            if value is not None:
                details[key] = clean(value)
    except (AttributeError, LookupError, TypeError):
        raise ValueError("a result must be a dict of text, numbers and booleans")
    if len(details) > _MOST_DETAILS:
        raise ValueError("statusDetails must have at most %d pairs" % _MOST_DETAILS)
    return details


class Requests:
    """Requests to the Jobs service for one thing: one at a time, each matched to its reply by a client token.

    link: a Link whose client may use the thing's topics; thing: its name; attempts: how often a request is sent, each
    time waiting for the link's timeout. Raises ValueError for a wrong thing name.
    """

    attempts = 3

    def __init__(self, link: "Link", thing: str):
        check_name("thingName", thing, 128)
        self.link = link
        self.thing = thing
        self._prefix = b"$aws/things/" + thing.encode() + b"/jobs/"
        self._sending = asyncio.Lock()
        self._answered = asyncio.Event()
        self._answer = self._topic = None
        # A reply to a request from before a reset must not match one of now.
        self._serial = random.getrandbits(24) << 6
        link.routes.append((self._prefix, self._received))
        link.listeners.append(self._link_changed)
        # AWS also sends replies to a client that has not subscribed; other brokers do not.
        for name in (b"start-next/+", b"+/get/+", b"+/update/+"):
            link.filters.append((self._prefix + name, 0))

    async def request(self, operation: str, **fields: "Any") -> dict:
        """Send a request and return the reply, a dict with the API's field names.

        operation: what its topic ends with: "start-next", "JOB/get", "JOB/update"; fields: of the request, with the
        API's names; those that are None are left out. Nothing is checked here, see JobsClient. Raises JobsError when
        the service refuses, OSError without an answer, MemoryError for a reply larger than the receive limit.
        """
        async with self._sending:
            self._serial += 1
            fields["clientToken"] = "%x" % self._serial
            for name in tuple(fields):
                if fields[name] is None:
                    del fields[name]
            body = ujson.dumps(fields)
            self._topic = self._prefix + operation.encode()
            error = OSError(ETIMEDOUT)
            try:
                for attempt in range(self.attempts):
                    self._answered.clear()
                    self._answer = None
                    try:
                        if not self.link.up.is_set():
                            await asyncio.wait_for(self.link.up.wait(), self.link.timeout)
                        await self.link.publish(self._topic, body)
                        await until(self._answered, self.link.timeout)
                    except (OSError, asyncio.TimeoutError):
                        continue
                    answer = self._answer
                    if isinstance(answer, dict):
                        return answer
                    if answer:
                        error = answer
                        if getattr(answer, "code", "") not in ("RequestThrottled", "InternalError"):
                            break
                        await asyncio.sleep(random.random() * (2 << attempt))
                raise error
            finally:
                self._topic = self._answer = None

    def _received(self, topic, payload):
        if topic[:-9] != self._topic:
            return self._notified(topic[len(self._prefix):], payload)
        try:
            if payload is None:
                raise MemoryError("reply larger than receive_limit")
            answer = parse(payload)
            token = answer.get("clientToken")
            refused = topic.endswith(b"/rejected")
            # A rejection of what the service could not parse has no token.
            if token != "%x" % self._serial and (token is not None or not refused):
                return
            if refused:
                answer = JobsError(
                    str(answer.get("code")), str(answer.get("message")), answer.get("executionState")
                )
        except MemoryError as error:
            # A retry would return the same oversized reply.
            answer = error
        self._answer = answer
        self._answered.set()

    def _notified(self, name, payload):
        pass

    def _link_changed(self, up):
        if not up:
            # Nobody will answer on this connection any more: ask again on the next one.
            self._answered.set()


class Job:
    """One job execution at work.

    document: the job document; job_id, execution_number: as the service gives them; attempt: 1, or more when the board
    was reset while the handler ran; cancelled: None, or why the service no longer wants the result; client: Requests,
    for a handler that needs more than a job.
    """

    def __init__(self, client: Requests, journal: Journal, document: dict, wake: "Callable[[], None]"):
        self.client = client
        self.document = document
        self.job_id = journal.job_id
        self.execution_number = journal.execution_number
        self.attempt = journal.attempt
        self.cancelled: "str | None" = None
        self._journal = journal
        self._wake = wake
        self._task = None  # what runs an `async` handler
        self._stopped = ""  # why the handler has to stop
        self._details = {}
        self._done = self._total = None

    @property
    def checkpoint(self) -> "Any":
        """The value last given to save() for this execution, also before a reset; None when there is none."""
        return self._journal.checkpoint()

    def save(self, value: "Any") -> None:
        """Keep a value in flash that a later attempt of this execution finds in `checkpoint`.

        value: what JSON can hold; up to about 120 bytes cost a tenth of a flash erase, more cost one. Raises OSError
        when the flash does not accept it.
        """
        self._journal.save(value)

    def note(self, done: "float | None" = None, total: "float | None" = None, message: "str | None" = None) -> None:
        """The same as progress(), without yielding to other tasks."""
        if done is not None:
            # Made text when it is sent: a download notes every piece.
            self._done = done
            self._total = total
        if message is not None:
            self.noted("message", message)

    async def renew(self) -> None:
        """Fetch the job document again: the service makes new presigned URLs each time. Raises JobsError, OSError."""
        reply = await self.client.request(self.job_id + "/get", executionNumber=self.execution_number)
        self.document = (execution(reply) or {}).get("jobDocument", self.document)

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

    def tick(self, done: "float | None" = None, total: "float | None" = None, message: "str | None" = None) -> None:
        """The same for a plain `def` handler, which blocks everything else: call it every second or so.

        It lets other tasks run for a moment; while an update is under way it waits for the answer, at most as long as
        the client tries. Must not be called from an `async` handler.
        """
        self.note(done, total, message)
        task = asyncio.current_task()
        try:
            asyncio.get_event_loop().run_until_complete(self._yield())
        finally:
            # MicroPython's loop can be run from within a task, but forgets which one it was.
            asyncio.core.cur_task = task  # type: ignore[attr-defined]
        self._check()

    def hurry(self) -> None:
        """Have the next progress update sent now, or a second after the last one."""
        self._wake()

    def noted(self, key: "str | None" = None, text: str = "") -> dict:
        """Return the status details noted so far, with one more pair when a key is given."""
        if self._done is not None:
            done = str(self._done)
            self._details["progress"] = clean(done if self._total is None else done + "/" + str(self._total))
        if key:
            self._details[key] = clean(text)
        return self._details

    def cancel(self, reason: str) -> None:
        """Stop the handler: CancelledError at its next await, progress() or tick()."""
        self.cancelled = reason
        self._stop(reason)

    def _stop(self, reason):
        if not self._stopped:
            self._stopped = reason
            if self._task:
                self._task.cancel()

    def _check(self):
        if self._stopped:
            raise asyncio.CancelledError

    async def _yield(self):
        for _ in range(2):
            await asyncio.sleep(0)
        while self.client._sending.locked() and self.client.link.up.is_set():
            await asyncio.sleep(0.01)


class Agent(Requests):
    """A device that gets its work from AWS IoT Jobs.

    thing: thing name, also the MQTT client id. host, port: the account's endpoint, "….iot.{region}.amazonaws.com",
    8883. cert, key, ca: file names or bytes, DER or PEM, see certificates.tls_context(). directory: where the journal
    is kept. keepalive: seconds, of MQTT. update_interval: most seconds between two progress updates of a running job;
    None: a third of its step timeout. receive_limit: bytes of the largest message taken in, which bounds the job
    document. link: a Link of your own instead of host, cert, key, ca, port, keepalive and receive_limit.

    link, journal: the layers below, for a program that wants more. Raises ValueError naming what is wrong,
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
            link = lend("certificates", "secure_link", thing, host, cert, key, ca, port, keepalive, receive_limit)
        super().__init__(link, thing)  # type: ignore[arg-type]
        self.journal = Journal(directory)
        self._interval = min(update_interval or _LONGEST_INTERVAL, _LONGEST_INTERVAL)
        # By operation: function, or name of one that comes with ujobs; step timeout; on_restart; attempts; time limit.
        self._handlers = {}
        self._options = {"ca": ca, "cert": cert, "key": key, "allowed": []}
        self._job: "Any" = None
        self._over = asyncio.Event()  # the handler has ended
        self._wake = asyncio.Event()  # something has happened that run() wants to know
        self._patience = 0  # seconds to wait for a notification before asking for the next job
        self._until_idle = False

    def on(
        self, operation: str, step_timeout: int = 10, on_restart: str = "rerun", max_attempts: int = 3,
        time_limit: int = _TIME_LIMIT,
    ) -> "Callable[[Callable], Callable]":
        """Decorator: the function, plain or `async`, runs jobs whose document says `"operation": operation`.

        It is called with a Job. What it returns, a dict of text, numbers and booleans or None, becomes the status
        details of SUCCEEDED; Reject makes the job REJECTED, any other exception FAILED. step_timeout: minutes, 1 to
        10080, that the service waits for a progress update. on_restart: what to do after a reset while it ran: "rerun"
        from the start, "resume" (as rerun, but its checkpoint is kept), or "fail". max_attempts: 1 to 255.
        time_limit: minutes, 1 to 7200, after which an `async` function is stopped and FAILED; what hangs in a plain one
        is the watchdog's. Raises ValueError.
        """
        lend("handlers", "check_options", step_timeout, on_restart, max_attempts, time_limit)

        def register(function):
            self._handlers[operation] = (function, step_timeout, on_restart, max_attempts, time_limit)
            return function

        return register

    def use(self, *names: str, **options: "Any") -> None:
        """Allow handlers that come with ujobs; each is imported only while it has a job.

        options: what those handlers are to know, see each; `ca` is the agent's if not given. Raises ValueError.
        """
        self._options.update(options)
        lend("handlers", "register", self, names, self._options["allowed"])

    def confirm(self) -> None:
        """Say that the application works: a version in its trial takes effect (see trial). Raises OSError."""
        from . import trial

        trial.confirm()

    async def run(self, until_idle: bool = False) -> None:
        """Connect and work through jobs until cancelled.

        until_idle: disconnect cleanly and return once the service has every result and says that no job is waiting, for
        a board that sleeps. Raises RuntimeError when a handler does not stop: only a reset ends it then.
        """
        self._until_idle = until_idle
        wanted = (self._prefix + b"notify-next", 1)
        if not until_idle and wanted not in self.link.filters:
            self.link.filters.append(wanted)
        connection = asyncio.create_task(self.link.run())
        retry = _RETRY
        try:
            while True:
                try:
                    # After a report or an error it asks first, so this is an answer of the service.
                    if until_idle and self._patience and self.journal.acknowledged:
                        return await self.link.disconnect()
                    await self._next()
                    retry = _RETRY
                except _EXPECTED as error:
                    log(explain(error))
                    self._patience = 0
                    if self.link.up.is_set():
                        await asyncio.sleep(retry)
                        retry = min(retry * 2, 16 * _RETRY)
        finally:
            connection.cancel()
            if self._job and self._job._task:
                self._job._task.cancel()

    async def _next(self):
        await self.link.up.wait()
        journal = self.journal
        fault = ""
        try:
            if not journal.acknowledged:
                if journal.status != _IN_PROGRESS:
                    return await self._report()
                found = await lend("restore", "interrupted", self)
            elif self._patience:
                if not await until(self._wake, self._patience):
                    self._patience = 0
                return self._wake.clear()
            else:
                # Set before the answer comes: a notification that comes meanwhile must count.
                self._patience = _ASK_ANYWAY
                # Which handler it will be is not known yet: the first update sets that handler's own step timeout.
                longest = 1
                for handler in self._handlers.values():
                    longest = max(longest, handler[1])
                found = execution(await self.request("start-next", stepTimeoutInMinutes=longest))
        except MemoryError as error:
            fault = "job document: " + explain(error)
            found = execution(await self.request("$next/get", includeJobDocument=False))
        if found:
            await self._execute(found, fault)

    async def _execute(self, found, fault):
        journal = self.journal
        known = journal.holds(found)
        if known and journal.status != _IN_PROGRESS:
            # The service handed out a finished execution: report the result again, do not rerun the handler.
            journal.version = found["versionNumber"]
            return self._finish(journal.status, {"reason": "finished before"})
        attempt = journal.attempt + 1 if known else 1
        # Taken out, so that a document that the handler has renewed is not held twice.
        document = found.pop("jobDocument", None)
        operation = None
        if isinstance(document, dict):
            operation = document.get("operation")
            if not operation:
                # Documents of AWS's own have none.
                operation = "steps" if "steps" in document else "firmware" if "afr_ota" in document else None
        status = "REJECTED"
        handler: "Any" = None
        # Only text is looked up or shown: what is nested too deep cannot be.
        if isinstance(operation, str):
            handler = self._handlers.get(operation)
            if not handler:
                fault = fault or "operation not in handlers: " + repr(operation)
        else:
            fault = fault or "the job document has no operation"
        # Before anything of the handler is imported: that may be what crashes the board.
        if not fault and (attempt > handler[3] or (attempt > 1 and handler[2] == "fail")):
            status = _FAILED
            cause = lend("restore", "reset_cause", self._options)
            fault = "the board was reset during attempt %d: %s" % (attempt - 1, cause)
        try:
            journal.begin(found, attempt)
            if not fault and handler[2] != "resume" and journal.checkpoint() is not None:
                journal.save(None)
        except OSError as error:
            status = _FAILED
            fault = "journal: " + explain(error)
        if fault:
            return self._finish(status, {"reason": fault})
        log("job %s (%d) starts, attempt %d" % (journal.job_id, journal.execution_number, attempt))
        self._over.clear()
        self._wake.clear()
        self._job = Job(self, journal, document, self._wake.set)
        document = None
        loaded = set(sys.modules)
        asyncio.create_task(self._work(self._job, handler[0]))  # noqa: RUF006
        # A step timer that is partly used up means an earlier reply was lost: renew it now.
        left = found.get("approximateSecondsBeforeTimedOut")
        hurry = attempt > 1 or (isinstance(left, int) and left < handler[1] * 40)
        try:
            await self._attend(handler[1], handler[4], hurry)
        finally:
            let_go(loaded)

    async def _attend(self, step_timeout, time_limit, hurry):
        # Keep the step timer alive while the handler runs, and stop the handler when its time is up.
        job = self._job
        interval = int(min(step_timeout * 20, self._interval) * 1000)
        pause = 0 if hurry else interval
        sent = began = time.ticks_ms()
        while not (self._over.is_set() or job._stopped):
            try:
                now = time.ticks_ms()
                left = pause - time.ticks_diff(now, sent)
                if left <= 0 and self.link.up.is_set():
                    sent = now
                    pause = min(interval, int(self.link.timeout * 1000))
                    ended = await self._update(_IN_PROGRESS, job.noted(), step_timeout)
                    if ended:
                        job.cancel(ended)
                    sent = time.ticks_ms()
                    pause = interval
                    continue
                if left <= 0:
                    left = 1000
                if job._task:
                    rest = time_limit * 60000 - time.ticks_diff(now, began)
                    if rest <= 0:
                        job._stop("TimeoutError: not done within its time limit of %d minutes" % time_limit)
                    left = min(left, rest)
                if await until(self._wake, left / 1000):
                    # A notification, or the link is back: the execution may have ended elsewhere.
                    pause = min(pause, _LEAST_PAUSE)
                self._wake.clear()
            except _EXPECTED as error:
                log("keep-alive not answered:", explain(error))
        # Two handlers must never run at once. A plain one cannot be stopped: what hangs in it is the watchdog's.
        stuck = False
        if job._task:
            stuck = not await until(self._over, _STOPPING)
        else:
            await self._over.wait()
        self._job = None
        journal = self.journal
        if job.cancelled:
            log("job", journal.job_id, "was ended by the service:", job.cancelled)
            journal.acknowledge()
            # If a refused update was how we learned this, no notify-next has arrived: ask.
            self._patience = 0
        elif journal.status == _IN_PROGRESS:
            self._finish(_FAILED, job.noted("reason", job._stopped or "the handler let a CancelledError pass"))
        if stuck:
            raise RuntimeError("the handler of job %s does not stop" % journal.job_id)

    async def _work(self, job, function):
        # A task of its own, so that it can be stopped, and its result is in flash whatever run() waits for meanwhile.
        status = _FAILED
        details = None
        try:
            if isinstance(function, str):
                from .handlers import run

                result: "Any" = run(function, job, self._options)
            else:
                result = function(job)
            if hasattr(result, "send"):
                job._task = asyncio.current_task()
                job._check()
                result = await result
            job.note(job._total, job._total)
            result = details_of(result)
            details = dict(job.noted())
            details.update(result)
            if len(details) > _MOST_DETAILS:
                # What the handler returns matters more than what it noted on the way.
                details = result
            status = "SUCCEEDED"
        except Reject as error:
            status = "REJECTED"
            details = job.noted("reason", str(error))
        except asyncio.CancelledError:
            pass
        except Exception as error:
            sys.print_exception(error)  # type: ignore[attr-defined]
            details = job.noted("reason", explain(error))
        finally:
            if details is not None and not job._stopped:
                self._finish(status, details)
            self._over.set()
            self._wake.set()

    def _finish(self, status, details):
        try:
            details = details_of(details)
        except ValueError as error:
            # Never journal a result that cannot be sent: it would be retried forever.
            status = _FAILED
            details = {"reason": str(error)}
        self.journal.finish(status, details)

    async def _report(self):
        journal = self.journal
        # A notify-next follows the report and says what comes next.
        self._patience = 0 if self._until_idle else self.link.timeout
        ended = await self._update(journal.status, journal.details)
        if ended:
            log("job", journal.job_id, "had ended already:", ended)
        else:
            said = journal.status
            if journal.details and "reason" in journal.details:
                said += ", " + journal.details["reason"]
            log("job %s: %s" % (journal.job_id, said))
        journal.acknowledge()

    async def _update(self, status, details, step_timeout=None):
        # Return "" when the service has the update, else why the execution is over. Any other error: try again later.
        journal = self.journal
        for more in (True, True, False):
            version = journal.version
            try:
                await self.request(
                    journal.job_id + "/update", status=status, statusDetails=details or None, expectedVersion=version,
                    executionNumber=journal.execution_number, stepTimeoutInMinutes=step_timeout,
                )
                version += 1
            except JobsError as error:
                verdict = meaning(error, status, version)
                if verdict == _ENDED:
                    return str(error.state.get("status", error.code))
                if verdict == _RETRY_LATER or not more:
                    raise
                version = error.state["versionNumber"]
                if verdict == _ADOPT:
                    journal.set_version(version)
                    continue
            if status == _IN_PROGRESS:
                journal.set_version(version)
            return ""

    def _notified(self, name, payload):
        if name == b"notify-next":
            # AWS does not promise the order of messages: "nothing pending" must not override "a job is pending". Told
            # apart by length, a job document need not be parsed.
            if payload is None or len(payload) > _EMPTY or b'"execution"' in bytes(payload):
                self._patience = 0
            elif self._patience:
                self._patience = _ASK_ANYWAY
            self._wake.set()

    def _link_changed(self, up):
        super()._link_changed(up)
        # A request under way when the subscriptions are confirmed is answered after that: no need to ask again.
        if not up or not self._sending.locked():
            self._patience = 0
        self._wake.set()
