"""The cloud's side of AWS IoT Jobs for one thing, strict, in memory, and independent of lib/ujobs.

It outlives the board's resets, keeps every rule that a device can break, and writes down each one broken. Rules:
AWS IoT Developer Guide, "Jobs device MQTT API"; limits: API model of AWS IoT Jobs Data. Runs on MicroPython only.
"""

import json

PREFIX = b"$aws/things/thing/jobs/"
TERMINAL = ("SUCCEEDED", "FAILED", "REJECTED", "TIMED_OUT", "CANCELED", "REMOVED")
_NAME = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-:"
_FIELDS = {
    "start-next": ("clientToken", "stepTimeoutInMinutes", "statusDetails"),
    "get": ("clientToken", "executionNumber", "includeJobDocument"),
    "update": (
        "clientToken", "status", "statusDetails", "expectedVersion", "executionNumber", "stepTimeoutInMinutes",
        "includeJobExecutionState", "includeJobDocument",
    ),
}


class Refusal(Exception):
    """A request that the service rejects: code, text, and the execution whose state goes with it."""


class JobsService:
    """executions: in the order they were queued, each a dict of the API's field names, and `deadline`, seconds, of the
    step timer. wrong: what the board did that no device may do. progress_updates: accepted IN_PROGRESS updates.

    send(topic, payload) publishes to the board; now() is the time in seconds.
    """

    def __init__(self, send, now):
        self._send = send
        self._now = now
        self._front = None
        self.executions = []
        self.wrong = []
        self.progress_updates = 0

    def queue(self, job_id: str, document: dict) -> dict:
        """Add an execution; return it."""
        execution = {
            "jobId": job_id, "executionNumber": 1, "versionNumber": 1, "status": "QUEUED",
            "queuedAt": int(self._now()), "jobDocument": document, "deadline": None,
        }
        self.executions.append(execution)
        self._notify()
        return execution

    def done(self) -> bool:
        """Whether every execution has ended."""
        return all([execution["status"] in TERMINAL for execution in self.executions])

    def cancel(self, execution: dict) -> bool:
        """End an execution as its user does; return whether it had not ended yet."""
        if execution["status"] in TERMINAL:
            return False
        execution["status"] = "CANCELED"
        execution["versionNumber"] += 1
        self._notify()
        return True

    def expire(self) -> None:
        """Let the step timers run out that are due."""
        for execution in self.executions:
            if execution["status"] == "IN_PROGRESS" and (execution["deadline"] or self._now()) < self._now():
                execution["status"] = "TIMED_OUT"
                execution["versionNumber"] += 1
                self._notify()

    def received(self, topic: bytes, payload: bytes) -> None:
        """Take in a message from the board and answer it."""
        self.expire()
        body = {}
        try:
            body = json.loads(payload)
            answer = self._answer(topic, body)
            verdict = b"/accepted"
        except Refusal as refusal:
            code, message, execution = refusal.args
            answer = {"code": code, "message": message}
            if execution:
                answer["executionState"] = {
                    name: execution[name] for name in ("status", "versionNumber", "statusDetails") if name in execution
                }
            verdict = b"/rejected"
        answer["timestamp"] = int(self._now())
        if "clientToken" in body:
            answer["clientToken"] = body["clientToken"]
        self._send(topic + verdict, json.dumps(answer).encode())
        self._notify()

    def _pending(self):
        for status in ("IN_PROGRESS", "QUEUED"):
            for execution in self.executions:
                if execution["status"] == status:
                    return execution
        return None

    def _notify(self):
        front = self._pending()
        if front is not self._front:
            self._front = front
            payload = {"timestamp": int(self._now())}
            if front:
                payload["execution"] = self._shown(front)
            self._send(PREFIX + b"notify-next", json.dumps(payload).encode())

    def _shown(self, execution, document=True):
        shown = dict(execution)
        if shown.pop("deadline"):
            shown["approximateSecondsBeforeTimedOut"] = int(execution["deadline"] - self._now())
        if not document:
            del shown["jobDocument"]
        return shown

    def _answer(self, topic, body):
        name = topic[len(PREFIX) :].decode()
        job_id, _, operation = name.rpartition("/")
        if not topic.startswith(PREFIX) or operation not in _FIELDS or (operation == "start-next") == bool(job_id):
            raise self._refuse("InvalidTopic", "topic " + name)
        self._check(operation, body)
        if operation == "start-next":
            return self._start_next(body)
        execution = self._pending() if job_id == "$next" and operation == "get" else self._find(job_id, body)
        if operation == "update":
            return self._update(execution, body)
        if execution is None:
            return {}
        if execution["status"] in TERMINAL:
            raise Refusal("TerminalStateReached", "it is neither IN_PROGRESS nor QUEUED", None)
        return {"execution": self._shown(execution, body.get("includeJobDocument", True))}

    def _start_next(self, body):
        execution = self._pending()
        if execution is None:
            return {}
        if execution["status"] == "QUEUED":
            execution["status"] = "IN_PROGRESS"
            execution["versionNumber"] += 1
            self._take(execution, body)
        return {"execution": self._shown(execution)}

    def _update(self, execution, body):
        status = body.get("status")
        if status not in ("IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED"):
            raise self._refuse("InvalidRequest", "status %s" % status)
        if "expectedVersion" not in body or "executionNumber" not in body:
            self.wrong.append("an update without expectedVersion or executionNumber")
        ended = execution["status"] in TERMINAL
        if ended and status in TERMINAL and execution["status"] not in (status, "TIMED_OUT", "CANCELED"):
            self.wrong.append("%s is %s and %s was reported" % (execution["jobId"], execution["status"], status))
        if body.get("expectedVersion", execution["versionNumber"]) != execution["versionNumber"]:
            raise Refusal("VersionMismatch", "found version %d" % execution["versionNumber"], execution)
        if ended:
            raise Refusal("InvalidStateTransition", "it has ended", execution)
        if execution["status"] == "QUEUED":
            self.wrong.append("%s was never started and is %s" % (execution["jobId"], status))
        execution["status"] = status
        execution["versionNumber"] += 1
        self._take(execution, body)
        self.progress_updates += status == "IN_PROGRESS"
        return {}

    def _take(self, execution, body):
        if "statusDetails" in body:
            execution["statusDetails"] = body["statusDetails"]
        if "stepTimeoutInMinutes" in body:
            execution["deadline"] = self._now() + body["stepTimeoutInMinutes"] * 60

    def _find(self, job_id, body):
        found = None
        for execution in self.executions:
            if execution["jobId"] == job_id and execution["executionNumber"] == body.get("executionNumber", 1):
                found = execution
        if found is None:
            raise Refusal("ResourceNotFound", "no such execution", None)
        return found

    def _check(self, operation, body):
        for name in body:
            if name not in _FIELDS[operation]:
                raise self._refuse("InvalidRequest", "unknown field " + name)
        if not 0 < len(body.get("clientToken", "")) <= 64:
            self.wrong.append("a request without a proper clientToken")
        timeout = body.get("stepTimeoutInMinutes", 1)
        if type(timeout) is not int or not 1 <= timeout <= 10080:
            raise self._refuse("InvalidRequest", "stepTimeoutInMinutes %s" % timeout)
        details = body.get("statusDetails", {})
        if not isinstance(details, dict) or len(details) > 10:
            raise self._refuse("InvalidRequest", "statusDetails of %d pairs" % len(details))
        for key, value in details.items():
            if not 0 < len(key) <= 128 or [character for character in key if character not in _NAME]:
                raise self._refuse("InvalidRequest", "statusDetails key " + key)
            if not isinstance(value, str) or not 0 < len(value) <= 1024 or min(value) < " ":
                raise self._refuse("InvalidRequest", "statusDetails value of " + key)

    def _refuse(self, code, message):
        # No fault of the link or of power excuses these.
        self.wrong.append(code + ": " + message)
        return Refusal(code, message, None)
