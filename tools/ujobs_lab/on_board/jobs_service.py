"""The service's side of AWS IoT Jobs for one thing: in memory, strict, independent of lib/ujobs, on both interpreters.

It survives the board's resets, enforces every rule that a device can break, and records each violation. Rules: AWS IoT
Developer Guide, "Jobs device MQTT API"; limits: API model of AWS IoT Jobs Data.
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
_SUMMARY = ("jobId", "executionNumber", "versionNumber", "queuedAt")


def _refusal(code, message, execution=None):
    reply = {"code": code, "message": message}
    if execution:
        reply["executionState"] = {
            name: execution[name] for name in ("status", "versionNumber", "statusDetails") if name in execution
        }
    return reply


class JobsService:
    """executions: in the order of the queue, each a dict with the API's field names and `deadline`, the end of the step
    timer in seconds. requests: (end of the topic, body) of every request. wrong: rules that the board has broken.
    progress_updates: accepted IN_PROGRESS updates. quiet: send no notifications.

    send(topic, payload, qos) publishes to the board; now() is the time in seconds.
    """

    def __init__(self, send, now):
        self._publish = send
        self._now = now
        self._front = None
        self.executions = []
        self.requests = []
        self.wrong = []
        self.progress_updates = 0
        self.quiet = False

    def queue(self, job_id: str, document: dict, number: int = 1, queued_at: "int | None" = None) -> dict:
        """Queue an execution; return it."""
        execution = {
            "jobId": job_id, "executionNumber": number, "versionNumber": 1, "status": "QUEUED",
            "queuedAt": int(self._now()) if queued_at is None else queued_at, "jobDocument": document, "deadline": None,
        }
        self.executions.append(execution)
        self._notify_change()
        self._notify()
        return execution

    def done(self) -> bool:
        """Whether every execution has ended."""
        return all([execution["status"] in TERMINAL for execution in self.executions])

    def end(self, execution: dict, status: str = "CANCELED") -> bool:
        """End an execution as the service or its user does; return False if it had already ended."""
        if execution["status"] in TERMINAL:
            return False
        execution["status"] = status
        execution["versionNumber"] += 1
        self._notify_change()
        self._notify()
        return True

    def expire(self) -> None:
        """End the executions whose step timer has expired."""
        for execution in self.executions:
            if execution["status"] == "IN_PROGRESS" and (execution.get("deadline") or self._now()) < self._now():
                self.end(execution, "TIMED_OUT")

    def received(self, topic: bytes, payload: bytes) -> None:
        """Receive a message from the board and reply to it."""
        self.expire()
        body = json.loads(payload)
        suffix = topic[len(PREFIX) :].decode()
        self.requests.append((suffix, body))
        answer = self._answer(suffix, body)
        answer["timestamp"] = int(self._now())
        answer["clientToken"] = body.get("clientToken")
        verdict = b"/rejected" if "code" in answer else b"/accepted"
        self._reply(topic + verdict, json.dumps(answer).encode())
        self._notify()

    def _reply(self, topic, payload):
        self._publish(topic, payload, 0)

    def _pending(self):
        for status in ("IN_PROGRESS", "QUEUED"):
            for execution in self.executions:
                if execution["status"] == status:
                    return execution
        return None

    def _notify(self):
        front = self._pending()
        if front is self._front:
            return
        self._front = front
        if not self.quiet:
            payload = {"timestamp": int(self._now())}
            if front:
                payload["execution"] = self._shown(front)
            self._publish(PREFIX + b"notify-next", json.dumps(payload).encode(), 1)

    def _notify_change(self):
        # notify, for the whole list, has no subscriber here.
        pass

    def _summaries(self, status):
        return [{key: one[key] for key in _SUMMARY} for one in self.executions if one["status"] == status]

    def _shown(self, execution, document=True):
        shown = dict(execution)
        if shown.pop("deadline", None):
            shown.setdefault("approximateSecondsBeforeTimedOut", int(execution["deadline"] - self._now()))
        if not document:
            del shown["jobDocument"]
        return shown

    def _answer(self, suffix, body):
        job_id, _, operation = suffix.rpartition("/")
        known = suffix in ("start-next", "get") or (job_id and operation in ("get", "update"))
        wrong = self._fault(operation, body) if known else "topic " + suffix
        if wrong:
            # These errors are never caused by link faults or power loss.
            self.wrong.append(wrong)
            return _refusal("InvalidRequest" if known else "InvalidTopic", wrong)
        if suffix == "start-next":
            return self._start_next(body)
        if suffix == "get":
            return {"inProgressJobs": self._summaries("IN_PROGRESS"), "queuedJobs": self._summaries("QUEUED")}
        if job_id == "$next" and operation == "get":
            execution = self._pending()
            return {"execution": self._shown(execution, body.get("includeJobDocument", True))} if execution else {}
        execution = self._find(job_id, body)
        if execution is None:
            return _refusal("ResourceNotFound", "no such execution")
        if operation == "update":
            return self._update(execution, body)
        if execution["status"] in TERMINAL:
            return _refusal("TerminalStateReached", "it has ended")
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
        status = body["status"]
        if "expectedVersion" not in body or "executionNumber" not in body:
            self.wrong.append("an update without expectedVersion or executionNumber")
        ended = execution["status"] in TERMINAL
        if ended and status in TERMINAL and execution["status"] not in (status, "TIMED_OUT", "CANCELED", "REMOVED"):
            self.wrong.append("%s is %s and %s was reported" % (execution["jobId"], execution["status"], status))
        if body.get("expectedVersion", execution["versionNumber"]) != execution["versionNumber"]:
            return _refusal("VersionMismatch", "found version %d" % execution["versionNumber"], execution)
        if ended:
            return _refusal("InvalidStateTransition", "it has ended", execution)
        if execution["status"] == "QUEUED" and status in ("SUCCEEDED", "FAILED"):
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
            if execution["jobId"] == job_id and body.get("executionNumber") in (None, execution["executionNumber"]):
                found = execution
        return found

    def _fault(self, operation, body):
        # Return the error of a request, "" if there is none.
        for name in body:
            if name not in _FIELDS[operation]:
                return "unknown field " + name
        if not 0 < len(body.get("clientToken", "")) <= 64:
            return "a request without a proper clientToken"
        timeout = body.get("stepTimeoutInMinutes", 1)
        if type(timeout) is not int or not 1 <= timeout <= 10080:
            return "stepTimeoutInMinutes %s" % timeout
        details = body.get("statusDetails", {})
        if not isinstance(details, dict) or len(details) > 10:
            return "statusDetails of %d pairs" % len(details)
        for key, value in details.items():
            if not 0 < len(key) <= 128 or [character for character in key if character not in _NAME]:
                return "statusDetails key " + key
            if not isinstance(value, str) or not 0 < len(value) <= 1024 or min(value) < " ":
                return "statusDetails value of " + key
        if operation == "update" and body.get("status") not in ("IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED"):
            return "status %s" % body.get("status")
        return ""
