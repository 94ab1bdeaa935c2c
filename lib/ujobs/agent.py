"""`Agent`: keeps the connection up, waits for notifications, and hands the next job to the module job.

Sources: AWS IoT Developer Guide, "Jobs device MQTT API" and "Job execution details and limits"; the API model of AWS
IoT Jobs Data ("iot-jobs-data"), whose operation and field names are used here.
"""

import asyncio
import gc
import random
import sys

import ujson
from umqtt.simple import MQTTException

from . import lend, let_go
from .journal import Journal
from .link import ETIMEDOUT, Link, log, until

# Neither is in a .mpy at -O2: its compiler knows const, and types are for type checkers only.
if __debug__:
    from micropython import const
_TYPING = const(0)
if _TYPING:
    from typing import Any, Callable

_EMPTY = const(64)  # bytes; a notification without a job has only a timestamp
_ASK_ANYWAY = const(3600)  # seconds; otherwise a lost notification would never be noticed
_LONGEST_INTERVAL = const(3600)  # seconds between two progress updates; ticks_ms wraps around after days
_TIME_LIMIT = const(1440)  # minutes
_RETRY = 10  # seconds


class Reject(Exception):
    """Raised by a handler that cannot or will not do the job: REJECTED, which the service never retries.

    The text becomes `reason` in the status details.
    """


class JobsError(Exception):
    """The service rejected a request.

    code: of the service, such as VersionMismatch (Developer Guide, "Jobs MQTT and HTTPS APIs", ErrorCode); message: the
    service's text, with which the error's own text ends; state: the executionState it sent along (`status`,
    `versionNumber`, maybe `statusDetails`), else an empty dict.
    """

    def __init__(self, code: object, message: object = "", state: object = None):
        super().__init__("%s: %s" % (code, message))
        self.code = str(code)
        self.state = state if isinstance(state, dict) else {}


# Errors from outside of this program: logged, and what failed is retried.
EXPECTED = (OSError, ValueError, MemoryError, JobsError, MQTTException, asyncio.TimeoutError)


def parse(payload: "bytes | bytearray | memoryview | None") -> dict:
    """Return the JSON object in a payload.

    Raises ValueError when it is anything else, or breaks off; MemoryError for None, which a Link delivers for a message
    over its receive limit.
    """
    if payload is None:
        raise MemoryError("reply over receive_limit")
    # MicroPython before 1.26 accepts JSON that breaks off.
    strange = sys.implementation.version < (1, 26)
    # A copy of the whole payload would need its memory twice, so look at a piece at a time.
    for at in range(0, len(payload), 256):
        strange = strange or b"\\u" in bytes(payload[at : at + 257])
    fields = lend("surrogates", "loads", payload) if strange else ujson.loads(payload)  # type: ignore[arg-type]
    if not isinstance(fields, dict):
        raise ValueError("not a JSON object")
    return fields


class Requests:
    """Requests to the Jobs service for one thing: one at a time, each matched to its reply by a client token.

    link: a Link whose client may use the thing's topics; thing: its name; attempts: how often a request is sent, each
    time waiting for the link's timeout. Raises ValueError for a wrong thing name.
    """

    attempts = 3
    _notified: "Callable"  # called with the rest of the topic and the payload of what is no reply

    def __init__(self, link: "Link", thing: str):
        lend("checks", "check_name", "thingName", thing, 128)
        self.link = link
        self.thing = thing
        self._prefix = b"$aws/things/" + thing.encode() + b"/jobs/"
        self._sending = asyncio.Lock()
        self._answered = asyncio.Event()
        self._topic = None
        link.routes.append((self._prefix, self._received))
        link.listeners.append(self._link_changed)
        # AWS sends replies without a subscription as well; other brokers do not.
        for name in (b"start-next/+", b"+/get/+", b"+/update/+"):
            link.filters.append((self._prefix + name, 0))

    async def request(self, operation: str, **fields: "Any") -> dict:
        """Send a request and return the reply, a dict with the API's field names.

        operation: what its topic ends with: "start-next", "JOB/get", "JOB/update"; fields: of the request, with the
        API's names; those that are None are left out. Nothing is checked here, see JobsClient. Raises JobsError when
        the service refuses, OSError without an answer, MemoryError for a reply larger than the receive limit.
        """
        link = self.link
        await self._sending.acquire()
        try:
            # Random: a reply to a request from before a reset must not match one of now.
            self._token = fields["clientToken"] = "%x" % random.getrandbits(30)
            for name in tuple(fields):
                if fields[name] is None:
                    del fields[name]
            self._topic = self._prefix + operation.encode()
            error = OSError(ETIMEDOUT)
            for attempt in range(self.attempts):
                self._answered.clear()
                self._answer = None
                try:
                    if not link.up.is_set():
                        await asyncio.wait_for(link.up.wait(), link.timeout)
                    # Made here, so that it is not in memory beside the reply.
                    await link.publish(self._topic, ujson.dumps(fields))
                    await until(self._answered, link.timeout)
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
            self._sending.release()

    def _received(self, topic, payload):
        if topic[:-9] != self._topic:
            return self._notified(topic[len(self._prefix):], payload)
        try:
            answer = parse(payload)
            token = answer.get("clientToken")
            refused = topic.endswith(b"/rejected")
            # A rejection of what the service could not parse has no token.
            if token != self._token and (token is not None or not refused):
                return
            if refused:
                answer = JobsError(answer.get("code"), answer.get("message"), answer.get("executionState"))
        except MemoryError as error:
            # A retry would return the same oversized reply.
            answer = error
        self._answer = answer
        self._answered.set()

    def _link_changed(self, up):
        if not up:
            # No reply will come on this connection: send the request again on the next one.
            self._answered.set()


class Agent(Requests):
    """A device that gets its work from AWS IoT Jobs.

    thing: thing name, also the MQTT client id. host, port: the account's endpoint, "….iot.{region}.amazonaws.com",
    8883. cert, key, ca: file names or bytes, DER or PEM, see certificates.tls_context(). directory: where the journal
    is kept. keepalive: seconds, of MQTT. update_interval: maximum seconds between two progress updates of a running
    job; None: a third of its step timeout. receive_limit: bytes of the largest message accepted, and so of a job
    document. link: a Link of your own instead of host, cert, key, ca, port, keepalive and receive_limit.

    gate: None, or a function that holds jobs back, see the module gate.
    link, journal: the layers below, for programs that need more. Raises ValueError naming what is wrong,
    OSError for a file that cannot be read.
    """

    def __init__(
        self, thing: str, host: str = "", cert: "str | bytes | None" = None, key: "str | bytes | None" = None,
        ca: "str | bytes | None" = None, port: int = 8883, directory: str = "/ujobs-journal", keepalive: int = 60,
        update_interval: "float | None" = None, receive_limit: int = 16384, link: "Link | None" = None,
    ):
        if update_interval is not None and update_interval <= 0:
            raise ValueError("update_interval must be over 0")
        if link is None:
            link = Link(
                thing, host, port, keepalive=keepalive, ssl=lend("certificates", "tls_context", ca, cert, key),
                receive_limit=receive_limit,
            )
        super().__init__(link, thing)
        self.journal = Journal(directory)
        self._interval = min(update_interval or _LONGEST_INTERVAL, _LONGEST_INTERVAL)
        # By operation: function, or name of one that comes with ujobs; step timeout; on_restart; attempts; time limit.
        self._handlers = {}
        self.gate: "Any" = None
        self._options = {"ca": ca, "cert": cert, "key": key, "allowed": ()}
        self._wake = asyncio.Event()  # wakes run()
        self._patience: float = 0  # seconds to wait for a notification before asking for the next job

    def on(
        self, operation: str, step_timeout: int = 10, on_restart: str = "rerun", max_attempts: int = 3,
        time_limit: int = _TIME_LIMIT,
    ) -> "Callable[[Callable], Callable]":
        """Decorator: the function, plain or `async`, runs jobs whose document says `"operation": operation`.

        It is called with a Job. What it returns, a dict of text, numbers and booleans or None, becomes the status
        details of SUCCEEDED; Reject makes the job REJECTED, any other exception FAILED. step_timeout: minutes, 1 to
        10080, that the service waits for a progress update. on_restart: what to do after a reset while it ran: "rerun"
        from the start, "resume" (as rerun, but its checkpoint is kept), or "fail". max_attempts: 1 to 255.
        time_limit: minutes, 1 to 7200, after which an `async` function is stopped and FAILED; only the watchdog stops a
        plain one. Raises ValueError.
        """
        options = (step_timeout, on_restart, max_attempts, time_limit)
        lend("options", "check", operation, *options)

        def register(function):
            self._handlers[operation] = (function,) + options
            return function

        return register

    def use(self, *names: str, **options: "Any") -> None:
        """Allow handlers that come with ujobs; each is imported only while it has a job.

        options: for those handlers, see each; `ca` is the agent's if not given. Raises ValueError.
        """
        self._options.update(options)
        lend("handlers", "register", self, names)

    def confirm(self) -> None:
        """Confirm that the application works: a version in its trial becomes permanent (see trial). Raises OSError."""
        lend("trial", "confirm")

    async def run(self, until_idle: bool = False) -> None:
        """Connect and work through jobs until cancelled.

        until_idle: disconnect cleanly and return once the service has every result and says that no job is waiting, for
        a board that sleeps. Raises RuntimeError when a handler does not stop: only a reset ends it then.
        """
        link = self.link
        wanted = (self._prefix + b"notify-next", 1)
        if not until_idle and wanted not in link.filters:
            link.filters.append(wanted)
        connection = asyncio.create_task(link.run())
        process = loaded = None  # of the module job; the modules that were there before it
        retry = _RETRY
        try:
            while True:
                try:
                    await link.up.wait()
                    if self.journal.acknowledged and self._patience:
                        # The service is asked after a report or an error, so it has said that nothing is pending.
                        if until_idle:
                            return await link.disconnect()
                        if loaded and self._patience == _ASK_ANYWAY:
                            # The name would keep the module in memory.
                            process = None
                            let_go(loaded)
                            loaded = None
                        if not await until(self._wake, self._patience):
                            self._patience = 0
                        self._wake.clear()
                    else:
                        if not process:
                            # Before the request: an import while a document is in memory would need more of it.
                            loaded = loaded or set(sys.modules)
                            # What stays for long must not be scattered among what is garbage by now.
                            gc.collect()
                            from .job import process
                        if self.journal.acknowledged:
                            # Set before the reply: a notification that arrives in between must not be lost.
                            self._patience = _ASK_ANYWAY
                        await process(self, until_idle)
                    retry = _RETRY
                except EXPECTED as error:
                    log(error)
                    self._patience = 0
                    if link.up.is_set():
                        await asyncio.sleep(retry)
                        retry = min(retry * 2, 16 * _RETRY)
        finally:
            connection.cancel()

    def _notified(self, name, payload):
        # notify, of the whole queue, is subscribed to by a gate only.
        if name.startswith(b"notify"):
            # AWS does not promise the order of messages: "nothing pending" must not override "a job is pending". Told
            # apart by length, a job document need not be parsed. While a gate holds jobs, it says too little.
            if payload is None or self.gate or len(payload) > _EMPTY or b'"execution"' in bytes(payload):
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
