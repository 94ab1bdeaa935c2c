"""`JobsClient`: the four operations of AWS IoT Jobs as coroutines, for programs that drive jobs without an agent.

Arguments are checked before anything is sent: a wrong one is a ValueError that names the field as AWS spells it. A
refusal is a JobsError with the service's own code. Operations and fields are those of the API "iot-jobs-data".
"""

from .agent import JobsError as JobsError
from .agent import Requests, parse
from .checks import check_execution, check_name, check_number, details_of, field_of
from .journal import STATES
from .link import log

# Neither is in a .mpy at -O2: its compiler knows const, and types are for type checkers only.
if __debug__:
    from micropython import const
_TYPING = const(0)
if _TYPING:
    from typing import Callable

    from .link import Link

_NO_TIMER = const(604800)  # seconds: 7 days, the longest that a step timer can run


class JobsClient(Requests):
    """The Jobs service, for one thing, over a link.

    link: a Link whose client may use the thing's topics; subscriptions are set here, so make it before the link
    connects. thing: thing name. attempts: how often a request is sent before giving up; each waits the link's timeout.
    Not beside an Agent for the same thing: a handler uses `job.client.request()`. Raises ValueError for a wrong name.

    on_notify: called with the payload (dict) of a `notify`, whose `jobs` lists what is pending. on_notify_next: called
    with the Execution that is next, None when nothing is pending, False when the message could not be read. They
    must not wait; None ignores the notification, and without on_notify `notify` is not subscribed to.
    """

    def __init__(
        self, link: "Link", thing: str, attempts: int = 3, on_notify: "Callable[[dict], object] | None" = None,
        on_notify_next: "Callable[[Execution | bool | None], object] | None" = None,
    ):
        super().__init__(link, thing)
        self.attempts = attempts
        self.on_notify = on_notify
        self.on_notify_next = on_notify_next
        link.filters += [(self._prefix + b"get/+", 0), (self._prefix + b"notify-next", 1)]
        if on_notify:
            link.filters.append((self._prefix + b"notify", 1))

    async def get_pending(self) -> "tuple[list[Execution], list[Execution]]":
        """GetPendingJobExecutions. Return the executions in progress and those queued, as summaries without document.

        Raises JobsError when the service refuses, OSError when it does not answer.
        """
        reply = await self.request("get")
        return (
            list(map(Execution, field_of(reply, "inProgressJobs", []))),
            list(map(Execution, field_of(reply, "queuedJobs", []))),
        )

    async def start_next(
        self, step_timeout: "int | None" = None, status_details: "dict | None" = None
    ) -> "Execution | None":
        """StartNextPendingJobExecution. Return the execution, now IN_PROGRESS, or None when nothing is pending.

        An execution that was in progress already is handed out again. step_timeout: minutes, 1 to 10080.
        Raises ValueError, JobsError, OSError; MemoryError when the reply is larger than the link's receive limit.
        """
        return _execution(await self.request(
            "start-next", stepTimeoutInMinutes=_minutes(step_timeout), statusDetails=_details(status_details),
        ))

    async def describe(
        self, job_id: str = "$next", execution_number: "int | None" = None, include_document: bool = True
    ) -> "Execution | None":
        """DescribeJobExecution. Return the execution; None for "$next" when nothing is pending.

        The service describes only what is QUEUED or IN_PROGRESS, else the JobsError is TerminalStateReached or
        ResourceNotFound. Raises as start_next().
        """
        return _execution(await self.request(
            (job_id if job_id == "$next" else _checked(job_id)) + "/get",
            executionNumber=_number("executionNumber", execution_number),
            includeJobDocument=None if include_document else False,
        ))

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
        """UpdateJobExecution. Return the reply.

        status: IN_PROGRESS, SUCCEEDED, FAILED or REJECTED; some AWS pages say SUCCESS for SUCCEEDED, so that is
        accepted too and sent as SUCCEEDED. status_details: at most 10 pairs; keys 1 to 128 characters of A-Z a-z 0-9
        : _ -; values text of 1 to 1024 printable characters. They replace the stored ones, None leaves those.
        expected_version: the service refuses with VersionMismatch if it has another. execution_number: None for the
        latest. step_timeout: minutes, 1 to 10080, restarts the step timer; -1 discards it; None leaves it
        running. include_state, include_document: ask for executionState and jobDocument in the reply. The ninth field,
        clientToken, is set here.

        With expected_version it is safe to be sent again when no reply came: the service applies only one of the
        copies, and the refusal of the other is recognised here. An accepted update raises the version number by one.
        Raises ValueError, JobsError, OSError, MemoryError.
        """
        if status == "SUCCESS":
            status = "SUCCEEDED"
        known = STATES[1:]  # the first is that of no job
        if status not in known:
            raise ValueError("status must be one of " + ", ".join(known))
        try:
            return await self.request(
                _checked(job_id) + "/update", status=status, statusDetails=_details(status_details),
                expectedVersion=_number("expectedVersion", expected_version),
                executionNumber=_number("executionNumber", execution_number),
                stepTimeoutInMinutes=-1 if step_timeout == -1 else _minutes(step_timeout),
                includeJobExecutionState=bool(include_state) or None, includeJobDocument=bool(include_document) or None,
            )
        except JobsError as error:
            state = error.state
            if expected_version is not None and state.get("status") == status and (
                state.get("versionNumber") == expected_version + 1
            ):
                return {"executionState": state}
            raise

    def _notified(self, name, payload):
        if name == b"notify":
            if self.on_notify:
                self.on_notify(parse(payload))
        elif name == b"notify-next" and self.on_notify_next:
            execution = False
            try:
                execution = _execution(parse(payload))
            except (MemoryError, ValueError) as error:
                log("notify-next not understood:", error)
            self.on_notify_next(execution)


class Execution:
    """One job execution as the service describes it (JobExecution and JobExecutionSummary of the API).

    job_id; execution_number, version_number: integers; status: "" in a summary, which has none; queued_at: seconds
    since 1970; seconds_left: about, before the service times it out, 7 days when no timer runs; document: the parsed
    job document, None when it was not asked for; status_details: dict.
    Raises ValueError when a field that must be there is missing or of the wrong type.
    """

    def __init__(self, fields: dict):
        check_execution(fields)
        self.job_id: str = fields["jobId"]
        self.execution_number: int = fields["executionNumber"]
        self.version_number: int = fields["versionNumber"]
        self.queued_at: int = fields["queuedAt"]
        self.status: str = field_of(fields, "status", "")
        self.seconds_left: int = field_of(fields, "approximateSecondsBeforeTimedOut", _NO_TIMER)
        self.status_details: dict = field_of(fields, "statusDetails", {})
        self.document: object = fields.get("jobDocument")


def _execution(reply):
    fields = reply.get("execution")
    return None if fields is None else Execution(fields)


def _checked(job_id):
    check_name("jobId", job_id, 64)
    if ":" in job_id:
        raise ValueError("jobId must not contain ':'")
    return job_id


def _number(field, value, *args):
    return None if value is None else check_number(field, value, *args)


def _minutes(step_timeout):
    return _number("stepTimeoutInMinutes", step_timeout, 1, 10080)


def _details(details):
    if details is not None:
        if not isinstance(details, dict):
            raise ValueError("statusDetails must be a dict of text")
        found = details_of(details)
        for key, value in details.items():
            if not isinstance(value, str) or len(value) > 1024 or found[key] != value.strip(" "):
                raise ValueError(
                    "statusDetails['%s'] must be 1 to 1024 printable characters" % key
                )
    return details
