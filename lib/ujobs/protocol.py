"""The AWS IoT Jobs protocol without any input or output: topics, request bodies, replies, limits.

Pure functions on str, bytes and dict, so that it can be used with any MQTT client and tested without one. It never
sends, waits, logs or keeps state. Every limit is checked before a request is built: a wrong argument is a ValueError
that names the field as AWS spells it. What the service refuses is a JobsError with the service's own code.

Source: AWS IoT Developer Guide, "Jobs device MQTT API" and "Job execution details and limits"; the API model of
AWS IoT Jobs Data ("iot-jobs-data"), whose operation and field names are used here.
"""

import ujson
from micropython import const

# What only type checkers read; the compiler leaves it out.
_TYPING = const(0)
if _TYPING:
    from typing import Any as Any
    from typing import Callable as Callable

# What a topic is: an operation or a notification, and for an operation's reply also how it was answered.
NOTIFY = const(1)
NOTIFY_NEXT = const(2)
GET_PENDING = const(3)
START_NEXT = const(4)
DESCRIBE = const(5)
UPDATE = const(6)
ACCEPTED_REPLY = const(16)
REJECTED_REPLY = const(32)

NEXT = "$next"

# What a device may report. An execution may also be QUEUED, TIMED_OUT, CANCELED or REMOVED.
IN_PROGRESS = "IN_PROGRESS"
SUCCEEDED = "SUCCEEDED"
FAILED = "FAILED"
REJECTED = "REJECTED"

# Codes of a rejected reply: Developer Guide, "Jobs MQTT and HTTPS APIs", ErrorCode; there are also InvalidTopic and
# InvalidJson.
INVALID_REQUEST = "InvalidRequest"
INVALID_STATE_TRANSITION = "InvalidStateTransition"
RESOURCE_NOT_FOUND = "ResourceNotFound"
VERSION_MISMATCH = "VersionMismatch"
INTERNAL_ERROR = "InternalError"
REQUEST_THROTTLED = "RequestThrottled"
TERMINAL_STATE_REACHED = "TerminalStateReached"

_WORD = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
_NAME = _WORD + ":"
# What most texts consist of, so that they need not be looked through one by one.
_PRINTABLE = _WORD + " !\"#$%&'()*+,./:;<=>?@[\\]^`{|}~"
_MAX_STEP_TIMEOUT = const(10080)
_MAX_DETAILS = const(10)
_MAX_VALUE = const(1024)
_EMPTY = const(64)  # bytes; a notification of nothing has a timestamp only
_MAX_LONG = 0x7FFFFFFFFFFFFFFF


class JobsError(Exception):
    """The service rejected a request.

    code: of the service, see this module for those that matter to a device; message: the service's text; state: the
    executionState it sent along (`status`, `versionNumber`, maybe `statusDetails`), which comes with VersionMismatch
    and InvalidStateTransition, else an empty dict.
    """

    def __init__(self, code: str, message: str = "", state: "dict | None" = None):
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.state = state or {}

    def __str__(self):
        return self.code + ": " + self.message


class Execution:
    """One job execution as the service describes it (JobExecution and JobExecutionSummary of the API).

    job_id; execution_number and version_number (integers); status ("" in a summary, which has none); queued_at
    (seconds since 1970); seconds_left (about, before the service times it out; 7 days when no timer runs); document
    (the parsed job document, None when not asked for); status_details (dict).
    Raises ValueError when a field that must be there is missing or of the wrong type.
    """

    def __init__(self, fields: dict):
        self.job_id: str = _field(fields, "jobId", str)
        _check_name("jobId", self.job_id, 64, _WORD)
        self.execution_number: int = _count(fields, "executionNumber")
        self.version_number: int = _count(fields, "versionNumber")
        self.status: str = _field(fields, "status", str, "")
        self.queued_at: int = _count(fields, "queuedAt", 0)
        self.seconds_left: int = _count(fields, "approximateSecondsBeforeTimedOut", _MAX_STEP_TIMEOUT * 60)
        self.status_details: dict = _field(fields, "statusDetails", dict, {})
        self.document: "Any" = fields.get("jobDocument")


def _field(fields, name, kind, default=None):
    value = fields.get(name, default) if isinstance(fields, dict) else None
    if not isinstance(value, kind):
        raise ValueError(name + " is missing or of the wrong type")
    return value


def _count(fields, name, default=None):
    # What could not be sent back must not be taken in: the agent would try for ever.
    value = _field(fields, name, int, default)
    check_number(name, value, 0, _MAX_LONG)
    return value


def _check_name(field, value, limit, characters):
    # MicroPython keeps each character that is ever taken out of a text for ever: none is taken out here.
    if not isinstance(value, str) or not 1 <= len(value) <= limit or value.strip(characters):
        raise ValueError("%s must be 1 to %d characters of A-Z a-z 0-9 _ -%s" % (
            field, limit, " :" if characters is _NAME else ""))


def check_number(field: str, value: object, low: int, high: int) -> None:
    """Check that a value is an integer within these limits. Raises ValueError naming the field and the limits."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError("%s must be an integer from %d to %d" % (field, low, high))


def prefix(thing: str) -> bytes:
    """Return what every Jobs topic of a thing begins with, "$aws/things/{thing}/jobs/".

    thing: thing name, 1 to 128 characters of A-Z a-z 0-9 : _ - (API CreateThing). Raises ValueError otherwise.
    """
    _check_name("thingName", thing, 128, _NAME)
    return b"$aws/things/" + thing.encode() + b"/jobs/"


def topic(prefix: bytes, operation: int, job_id: "str | None" = None) -> bytes:
    """Return the topic to publish a request on.

    operation: GET_PENDING, START_NEXT, DESCRIBE or UPDATE; job_id: for the last two, 1 to 64 characters of
    A-Z a-z 0-9 _ -; DESCRIBE also takes NEXT ("$next"). Raises ValueError for a job id out of these limits.
    """
    if operation == GET_PENDING:
        return prefix + b"get"
    if operation == START_NEXT:
        return prefix + b"start-next"
    if operation != DESCRIBE or job_id != NEXT:
        _check_name("jobId", job_id, 64, _WORD)
    return prefix + job_id.encode() + (b"/get" if operation == DESCRIBE else b"/update")  # type: ignore[union-attr]


def classify(prefix: bytes, topic: bytes) -> int:
    """Return what an incoming topic is: NOTIFY, NOTIFY_NEXT, an operation plus ACCEPTED_REPLY or REJECTED_REPLY, or 0.

    prefix: of the thing, see prefix(); topic: as received, as bytes. A topic that does not begin with the prefix
    costs one comparison and no memory.
    """
    if not topic.startswith(prefix):
        return 0
    if topic.endswith(b"/accepted"):
        verdict = ACCEPTED_REPLY
    elif topic.endswith(b"/rejected"):
        verdict = REJECTED_REPLY
    else:
        name = topic[len(prefix):]
        return NOTIFY_NEXT if name == b"notify-next" else NOTIFY if name == b"notify" else 0
    name = topic[len(prefix):-9]
    if name == b"get":
        return GET_PENDING | verdict
    if name == b"start-next":
        return START_NEXT | verdict
    slash = name.find(b"/")
    if slash > 0:
        name = name[slash:]
        if name == b"/update":
            return UPDATE | verdict
        if name == b"/get":
            return DESCRIBE | verdict
    return 0


def parse(payload: "str | bytes | bytearray | memoryview") -> dict:
    """Return the JSON object in a payload (bytes or any buffer). Raises ValueError when it is anything else."""
    # A copy of the whole payload would need its memory twice, so look at a piece at a time.
    for at in range(0, len(payload), 1024):
        if not isinstance(payload, str) and b"\\u" in bytes(payload[at : at + 1025]):
            from .surrogates import join

            payload = join(bytes(payload))
            break
    fields = ujson.loads(payload)  # type: ignore[arg-type]
    if not isinstance(fields, dict):
        raise ValueError("not a JSON object")
    return fields


def execution(fields: dict) -> "Execution | None":
    """Return the execution in a start-next or describe reply or a notify-next, None when nothing is pending.

    Nothing pending is an accepted reply without `execution`, never a rejection. Raises ValueError when malformed.
    """
    inner = fields.get("execution")
    if inner is None:
        return None
    if not isinstance(inner, dict):
        raise ValueError("execution is not an object")
    return Execution(inner)


def pending(payload: "bytes | bytearray | memoryview") -> bool:
    """Return whether a notify-next names an execution, which is told without parsing its job document."""
    return len(payload) > _EMPTY or b'"execution"' in bytes(payload)


def executions(fields: dict, name: str) -> list:
    """Return the executions listed under a name ("inProgressJobs" or "queuedJobs") of a get-pending reply."""
    return list(map(Execution, _field(fields, name, list, [])))


def error(fields: dict) -> JobsError:
    """Return a rejected reply as the JobsError to raise, whatever the types of its fields."""
    state = fields.get("executionState")
    try:
        _count(state, "versionNumber")
    except ValueError:
        state = None
    return JobsError(str(fields.get("code", INTERNAL_ERROR)), str(fields.get("message", "")), state)


def _request(fields, client_token, step_timeout, status_details):
    if client_token is not None:
        # Jobs states no limit; the streams of the same service allow 64 bytes.
        if not isinstance(client_token, str) or not 1 <= len(client_token) <= 64:
            raise ValueError("clientToken must be 1 to 64 characters")
        fields["clientToken"] = client_token
    if step_timeout is not None:
        fields["stepTimeoutInMinutes"] = step_timeout
    if status_details is not None:
        check_details(status_details)
        fields["statusDetails"] = status_details
    return ujson.dumps(fields)


def get_pending(client_token: "str | None" = None) -> str:
    """Return the body of GetPendingJobExecutions. client_token: 1 to 64 characters, echoed in the reply."""
    return _request({}, client_token, None, None)


def start_next(
    step_timeout: "int | None" = None, status_details: "dict | None" = None, client_token: "str | None" = None
) -> str:
    """Return the body of StartNextPendingJobExecution.

    step_timeout: minutes, 1 to 10080 (-1 is not allowed here); status_details: see check_details().
    Raises ValueError naming the field.
    """
    if step_timeout is not None:
        check_number("stepTimeoutInMinutes", step_timeout, 1, _MAX_STEP_TIMEOUT)
    return _request({}, client_token, step_timeout, status_details)


def describe(
    execution_number: "int | None" = None, include_document: bool = True, client_token: "str | None" = None
) -> str:
    """Return the body of DescribeJobExecution.

    execution_number: None for the latest; include_document: False leaves the job document out of the reply.
    """
    fields = {}
    if execution_number is not None:
        check_number("executionNumber", execution_number, 0, _MAX_LONG)
        fields["executionNumber"] = execution_number
    if not include_document:
        fields["includeJobDocument"] = False
    return _request(fields, client_token, None, None)


def update(
    status: str,
    status_details: "dict | None" = None,
    expected_version: "int | None" = None,
    execution_number: "int | None" = None,
    step_timeout: "int | None" = None,
    include_state: bool = False,
    include_document: bool = False,
    client_token: "str | None" = None,
) -> str:
    """Return the body of UpdateJobExecution.

    status: IN_PROGRESS, SUCCEEDED, FAILED or "REJECTED"; some AWS pages say SUCCESS for SUCCEEDED, so that is taken
    too and sent as SUCCEEDED. status_details: see check_details(); they replace the stored ones, None leaves those.
    expected_version: the service refuses with VersionMismatch if it holds another. execution_number: None for the
    latest. step_timeout: minutes, 1 to 10080, starts the step timer anew; -1 discards it; None leaves it running.
    include_state, include_document: ask for executionState and jobDocument in the reply.
    Raises ValueError naming the field.
    """
    if status == "SUCCESS":
        status = SUCCEEDED
    if status not in (IN_PROGRESS, SUCCEEDED, FAILED, REJECTED):
        raise ValueError("status must be IN_PROGRESS, SUCCEEDED, FAILED or REJECTED")
    fields: dict = {"status": status}
    if expected_version is not None:
        check_number("expectedVersion", expected_version, 0, _MAX_LONG)
        fields["expectedVersion"] = expected_version
    if execution_number is not None:
        check_number("executionNumber", execution_number, 0, _MAX_LONG)
        fields["executionNumber"] = execution_number
    if step_timeout is not None and step_timeout != -1:
        check_number("stepTimeoutInMinutes", step_timeout, 1, _MAX_STEP_TIMEOUT)
    if include_state:
        fields["includeJobExecutionState"] = True
    if include_document:
        fields["includeJobDocument"] = True
    return _request(fields, client_token, step_timeout, status_details)


def _blank(text):
    from .characters import blank

    return blank(text)


def check_details(details: dict) -> None:
    """Check statusDetails: at most 10 pairs of text; keys 1 to 128 characters of A-Z a-z 0-9 : _ -, values 1 to 1024
    characters without control characters (API DetailsKey and DetailsValue). Raises ValueError naming key and limit.
    """
    if not isinstance(details, dict) or len(details) > _MAX_DETAILS:
        raise ValueError("statusDetails must be a dict of at most %d pairs" % _MAX_DETAILS)
    for key, value in details.items():
        _check_name("statusDetails key", key, 128, _NAME)
        if not isinstance(value, str) or not 1 <= len(value) <= _MAX_VALUE:
            raise ValueError("statusDetails['%s'] must be text of 1 to %d characters" % (key, _MAX_VALUE))
        if value.strip(_PRINTABLE) and _blank(value) != value:
            raise ValueError("statusDetails['%s'] must not hold control characters" % key)


def clean(text: str, limit: int = _MAX_VALUE) -> str:
    """Return any text as a value that check_details() takes: forbidden characters become spaces, cut at the limit."""
    text = text[:limit]
    if text.strip(_PRINTABLE):
        text = _blank(text)[:limit]
    return text.strip() or "-"
