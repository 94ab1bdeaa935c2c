"""`JobsClient`: the four operations of AWS IoT Jobs as coroutines, and its two notifications as callbacks.

Each reply is matched to its request by the client token; one request is under way at a time, others wait their turn.
Every request ends: with the reply, with a JobsError, or with an OSError after the last try. It keeps no state of a
job; what an answer means for one is decided above. Operation and field names are those of the API "iot-jobs-data".
"""

import asyncio
import random
from errno import ETIMEDOUT

from . import protocol
from .link import Link, explain, log, until

_RETRIED = (protocol.REQUEST_THROTTLED, protocol.INTERNAL_ERROR)


class JobsClient:
    """The Jobs service, for one thing, over a link.

    link: a Link whose client may use the thing's topics; subscriptions are set here. thing: thing name. attempts: how
    often a request is sent before giving up; each waits the link's timeout. Raises ValueError for a wrong thing name.

    on_notify: called with the payload (dict) of a `notify`, whose `jobs` lists what is pending. on_notify_next: called
    with the Execution that is next, None when nothing is pending, False when the message could not be read. on_next:
    called with whether any is next, which costs less. They must not wait; None (the default) ignores the notification.
    """

    def __init__(self, link: Link, thing: str, attempts: int = 3):
        self.link = link
        self.thing = thing
        self.attempts = attempts
        self.on_notify: "object" = None
        self.on_notify_next: "object" = None
        self.on_next: "object" = None
        self._prefix = protocol.prefix(thing)
        self._turn = asyncio.Lock()
        self._answered = asyncio.Event()
        self._answer = None
        self._topic = None
        self._resent = False
        # A reply to a request from before a reset must not match one of now.
        self._serial = random.getrandbits(24) << 6
        self._token = None
        link.route(self._prefix, self._received)
        link.listeners.append(self._link_changed)
        # One filter for replies and notifications: AWS also sends replies to a client that has not subscribed.
        link.filters.append((self._prefix + b"#", 1))

    async def get_pending(self) -> "tuple[list[protocol.Execution], list[protocol.Execution]]":
        """GetPendingJobExecutions. Return the executions in progress and those queued, as summaries without document.

        Raises JobsError when the service refuses, OSError when it does not answer.
        """
        fields = await self._request(protocol.GET_PENDING, None, protocol.get_pending)
        return protocol.executions(fields, "inProgressJobs"), protocol.executions(fields, "queuedJobs")

    async def start_next(
        self, step_timeout: "int | None" = None, status_details: "dict | None" = None
    ) -> "protocol.Execution | None":
        """StartNextPendingJobExecution. Return the execution, now IN_PROGRESS, or None when nothing is pending.

        An execution that was in progress already is handed out again. step_timeout: minutes, 1 to 10080.
        Raises ValueError, JobsError, OSError; MemoryError when the reply is larger than the link's receive limit.
        """
        return protocol.execution(
            await self._request(protocol.START_NEXT, None, protocol.start_next, step_timeout, status_details)
        )

    async def describe(
        self, job_id: str = protocol.NEXT, execution_number: "int | None" = None, include_document: bool = True
    ) -> "protocol.Execution | None":
        """DescribeJobExecution. Return the execution; None for "$next" when nothing is pending.

        The service describes only what is QUEUED or IN_PROGRESS, else the JobsError is TerminalStateReached or
        ResourceNotFound. Raises as start_next().
        """
        return protocol.execution(
            await self._request(protocol.DESCRIBE, job_id, protocol.describe, execution_number, include_document)
        )

    async def update(
        self,
        job_id: str,
        status: str,
        status_details: "dict | None" = None,
        expected_version: "int | None" = None,
        execution_number: "int | None" = None,
        step_timeout: "int | None" = None,
        include_state: bool = False,
        include_document: bool = False,
    ) -> dict:
        """UpdateJobExecution, see protocol.update() for the arguments. Return the reply.

        With expected_version it is safe to be sent again when no reply came: the service takes only one of the copies,
        and the refusal of the other is seen here. An accepted update raises the version number by one.
        Raises ValueError, JobsError, OSError, MemoryError.
        """
        try:
            return await self._request(
                protocol.UPDATE, job_id, protocol.update, status, status_details, expected_version, execution_number,
                step_timeout, include_state, include_document,
            )
        except protocol.JobsError as error:
            state = error.state
            if (
                self._resent and expected_version is not None
                and state.get("status") == status and state.get("versionNumber") == expected_version + 1
            ):
                return {"executionState": state}
            raise

    async def _request(self, operation, job_id, build, *fields):
        self._serial += 1
        token = "%x" % self._serial
        body = build(*fields, client_token=token)
        topic = protocol.topic(self._prefix, operation, job_id)
        async with self._turn:
            self._topic = topic
            self._token = token
            try:
                answer = await self._exchange(topic, body)
            finally:
                self._topic = self._token = self._answer = None
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def _exchange(self, topic, body):
        answer = None
        for attempt in range(self.attempts):
            self._resent = attempt > 0
            self._answered.clear()
            try:
                if not self.link.up.is_set():
                    await asyncio.wait_for(self.link.up.wait(), self.link.timeout)
                await self.link.publish(topic, body)
                await until(self._answered, self.link.timeout)
            except (OSError, asyncio.TimeoutError):
                continue
            answer = self._answer
            if isinstance(answer, protocol.JobsError) and answer.code in _RETRIED:
                await asyncio.sleep(random.random() * (2 << attempt))
            elif answer is not None:
                return answer
        if answer is not None:
            return answer
        raise OSError(ETIMEDOUT)

    def _link_changed(self, up):
        if not up:
            # Nobody will answer on this connection any more: ask again on the next one.
            self._answer = None
            self._answered.set()

    def _received(self, topic, payload):
        kind = protocol.classify(self._prefix, topic)
        if kind == protocol.NOTIFY_NEXT:
            if callable(self.on_next):
                self.on_next(payload is None or protocol.pending(payload))
            if callable(self.on_notify_next):
                self.on_notify_next(self._next(payload))
        elif kind == protocol.NOTIFY:
            if callable(self.on_notify) and payload is not None:
                self.on_notify(protocol.parse(payload))
        elif kind and topic[:-9] == self._topic:
            self._reply(kind, payload)

    def _next(self, payload):
        if payload is not None:
            try:
                return protocol.execution(protocol.parse(payload))
            except ValueError as error:
                log("notify-next not understood:", explain(error))
        return False

    def _reply(self, kind, payload):
        if payload is None:
            self._answer = MemoryError("reply larger than receive_limit")
        else:
            try:
                fields = protocol.parse(payload)
            except MemoryError as error:
                # Asked again it would be no smaller.
                self._answer = error
                self._answered.set()
                return
            token = fields.get("clientToken")
            # A rejection of what the service could not parse has no token.
            if token != self._token and (token is not None or not kind & protocol.REJECTED_REPLY):
                return
            self._answer = protocol.error(fields) if kind & protocol.REJECTED_REPLY else fields
        self._answered.set()
