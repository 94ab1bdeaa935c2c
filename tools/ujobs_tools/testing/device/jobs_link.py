"""Replaces a Link of ujobs with a Jobs service in memory that has one job; both interpreters.

It answers start-next, get and update like AWS IoT Jobs, with versions, rejections with the execution's state, and
notify-next.
"""

import asyncio
import json

TERMINAL = ("SUCCEEDED", "FAILED", "REJECTED", "CANCELED", "TIMED_OUT", "REMOVED")
_SHOWN = ("jobId", "executionNumber", "versionNumber", "status", "statusDetails", "queuedAt", "jobDocument")


class JobsLink:
    """A Link for Agent. execution: JSON object with the API's names. over: set when the execution has ended."""

    def __init__(self, thing, execution):
        self.timeout = 10
        self.up = asyncio.Event()
        self.listeners = []
        self.routes = []
        self.filters = []
        self.execution = execution
        self.history = []  # (status, version number, status details) after each change
        self.over = asyncio.Event()
        self.dead = False  # the power has been cut: requests get no reply
        self._prefix = "$aws/things/" + thing + "/jobs/"
        self._waiting = []
        self._arrived = asyncio.Event()

    async def run(self):
        """Connect, and deliver the service's messages."""
        self.up.set()
        for listener in self.listeners:
            listener(True)
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                topic, payload = self._waiting.pop(0)
                for prefix, received in self.routes:
                    if topic.startswith(prefix):
                        received(topic, memoryview(payload))

    async def connect(self):
        """Do nothing: the link is connected when run() starts."""

    async def disconnect(self):
        """Do nothing."""

    async def subscribe(self, topic, qos=0):
        """Do nothing: every message is delivered."""

    async def unsubscribe(self, topic):
        """Do nothing: every message is delivered."""

    async def publish(self, topic, msg, retain=False, qos=0):
        """Send a message; only requests to the Jobs service are answered."""
        await asyncio.sleep(0)
        topic = topic if isinstance(topic, str) else topic.decode()
        if self.dead or not topic.startswith(self._prefix):
            return
        request = json.loads(msg) if msg else {}
        operation = topic[len(self._prefix) :]
        before = self.execution["versionNumber"]
        code, reply = self._answer(operation, request)
        reply["timestamp"] = 1
        if "clientToken" in request:
            reply["clientToken"] = request["clientToken"]
        self._send(operation + ("/rejected" if code else "/accepted"), reply)
        if self.execution["versionNumber"] != before and self.execution["status"] in TERMINAL:
            self._notify()

    def cancel(self):
        """CancelJob with force."""
        if self.execution["status"] not in TERMINAL:
            self._change("CANCELED", None)
            self._notify()

    def _answer(self, operation, request):
        # Returns the error code, "" if the request is accepted, and the reply.
        execution = self.execution
        job_id, _, verb = operation.rpartition("/")
        ended = execution["status"] in TERMINAL
        if operation == "start-next":
            if execution["status"] == "QUEUED":
                self._change("IN_PROGRESS", request.get("statusDetails"))
            return "", {} if ended else {"execution": self._view()}
        if job_id == "$next" and verb == "get":
            return "", {} if ended else {"execution": self._view()}
        if job_id != execution["jobId"]:
            return _refusal("ResourceNotFound")
        if verb == "get":
            return _refusal("TerminalStateReached") if ended else ("", {"execution": self._view()})
        expected = request.get("expectedVersion")
        if expected is not None and int(expected) != execution["versionNumber"]:
            return _refusal("VersionMismatch", execution)
        if ended:
            return _refusal("InvalidStateTransition", execution)
        self._change(request["status"], request.get("statusDetails"))
        return "", {}

    def _change(self, status, details):
        execution = self.execution
        execution["status"] = status
        execution["versionNumber"] += 1
        if details is not None:
            execution["statusDetails"] = details
        self.history.append((status, execution["versionNumber"], dict(execution["statusDetails"])))
        if status in TERMINAL:
            self.over.set()

    def _view(self):
        return {name: self.execution[name] for name in _SHOWN if name in self.execution}

    def _notify(self):
        ended = self.execution["status"] in TERMINAL
        self._send("notify-next", {"timestamp": 1} if ended else {"timestamp": 1, "execution": self._view()})

    def _send(self, name, payload):
        self._waiting.append(((self._prefix + name).encode(), json.dumps(payload).encode()))
        self._arrived.set()


def _refusal(code, execution=None):
    reply: dict = {"code": code, "message": "refused"}
    if execution:
        reply["executionState"] = {name: execution[name] for name in ("status", "versionNumber", "statusDetails")}
    return code, reply
