"""Answers things behind a bare broker with the messages that the Jobs service would send, and does nothing else.

It runs as a process; its argument is the broker's port. It keeps the jobs of each thing in memory, unchecked."""

import json
import selectors
import sys
import time
from collections import defaultdict, deque
from typing import Any

from ujobs_lab.bench.control import DOCUMENT
from ujobs_lab.bench.mqtt_client import MqttClient, Traffic, poll

CREATE = "bench/create"  # topic that stands for CreateJob; payload: job id and things
_REQUESTS = ("$aws/things/+/jobs/start-next", "$aws/things/+/jobs/+/update")


class Responder(MqttClient):
    """The only subscriber of the requests."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        super().__init__("responder", (*_REQUESTS, CREATE), selector, Traffic())
        self._jobs: defaultdict[str, deque[str]] = defaultdict(deque)
        self._document = json.loads(DOCUMENT)

    def subscribed(self) -> None:
        print("ready", flush=True)

    def lost(self, reason: str) -> None:
        raise SystemExit(f"responder: {reason}")

    def received(self, topic: str, payload: bytes) -> None:
        request = json.loads(payload)
        if topic == CREATE:
            for thing in request["things"]:
                self._jobs[thing].append(request["jobId"])
                self._notify(thing, len(self._jobs[thing]) == 1)
            return
        _, _, thing, _, *operation = topic.split("/")
        reply: dict[str, Any] = {"clientToken": request["clientToken"], "timestamp": int(time.time())}
        jobs = self._jobs[thing]
        if operation == ["start-next"] and jobs:
            reply["execution"] = self._execution(jobs[0], 2, "IN_PROGRESS") | {"approximateSecondsBeforeTimedOut": 600}
        ended = request.get("status") == "SUCCEEDED"
        if ended:
            jobs.popleft()
        self._send_json(f"{topic}/accepted", reply)
        if ended:
            self._notify(thing, True)

    def _notify(self, thing: str, front_changed: bool) -> None:
        prefix = f"$aws/things/{thing}/jobs/"
        now = int(time.time())
        queued = [self._summary(job_id, 1) for job_id in self._jobs[thing]]
        self._send_json(f"{prefix}notify", {"timestamp": now, "jobs": {"QUEUED": queued} if queued else {}})
        if front_changed:
            front = {"execution": self._execution(self._jobs[thing][0], 1, "QUEUED")} if queued else {}
            self._send_json(f"{prefix}notify-next", {"timestamp": now} | front)

    def _summary(self, job_id: str, version: int) -> dict[str, Any]:
        now = int(time.time())
        started = {"startedAt": now} if version > 1 else {}
        numbers = {"lastUpdatedAt": now, "executionNumber": 1, "versionNumber": version}
        return {"jobId": job_id, "queuedAt": now, **started, **numbers}

    def _execution(self, job_id: str, version: int, status: str) -> dict[str, Any]:
        return {**self._summary(job_id, version), "status": status, "jobDocument": self._document}

    def _send_json(self, topic: str, payload: dict[str, Any]) -> None:
        self.publish(topic, json.dumps(payload, separators=(",", ":")).encode(), 1)


def main() -> None:
    """Answer until killed."""
    with selectors.DefaultSelector() as selector:
        Responder(selector).open(int(sys.argv[1]), None)
        while True:
            poll(selector, 1.0)


if __name__ == "__main__":
    main()
