"""A Jobs service of a few lines for device tests on both interpreters, on the broker in memory.

It knows one thing and keeps just what an agent can see: executions with status and version. A test can make it lose
replies, lose requests, refuse, or change an execution behind the board's back.
"""

import asyncio
import os

import ujson
from broker import Broker
from ujobs.agent import Agent
from ujobs.link import Link

PREFIX = b"$aws/things/thing/jobs/"
TERMINAL = ("SUCCEEDED", "FAILED", "REJECTED", "TIMED_OUT", "CANCELED", "REMOVED")


class Cloud:
    """executions: in the order they were queued. requests: (suffix, body) of every request. lose_replies,
    lose_requests: how many of the next ones to lose. refuse: error codes to answer the next requests with. quiet: send
    no notifications."""

    def __init__(self):
        self.broker = Broker()
        self.broker.on_publish = self._published
        self.executions = []
        self.requests = []
        self.lose_replies = self.lose_requests = 0
        self.refuse = []
        self.quiet = False
        self._front = None

    def queue(self, job_id, document, number=1, queued_at=1000):
        """Add a job execution; return it."""
        execution = {
            "jobId": job_id, "executionNumber": number, "versionNumber": 1, "status": "QUEUED",
            "queuedAt": queued_at, "jobDocument": document,
        }
        self.executions.append(execution)
        self._notify_change()
        self._notify()
        return execution

    def end(self, execution, status="CANCELED"):
        """End an execution as the service or its user does."""
        execution["status"] = status
        execution["versionNumber"] += 1
        self._notify_change()
        self._notify()

    def _notify_change(self):
        # Of the whole list, to those who have subscribed it.
        if PREFIX + b"notify" in self.broker.filters and not self.quiet:
            waiting = self._summaries("QUEUED")
            jobs = {"QUEUED": waiting} if waiting else {}
            self.broker.send(PREFIX + b"notify", ujson.dumps({"timestamp": 1, "jobs": jobs}).encode(), 1)

    def _summaries(self, status):
        fields = ("jobId", "executionNumber", "versionNumber", "queuedAt")
        return [{key: one[key] for key in fields} for one in self.executions if one["status"] == status]

    def done(self):
        """Whether every execution has ended."""
        return all(execution["status"] in TERMINAL for execution in self.executions)

    def statuses(self):
        return [execution["status"] for execution in self.executions]

    def updates(self):
        """The bodies of all updates, in order."""
        return [body for suffix, body in self.requests if suffix.endswith("/update")]

    def _pending(self):
        for status in ("IN_PROGRESS", "QUEUED"):
            for execution in self.executions:
                if execution["status"] == status:
                    return execution
        return None

    def _notify(self):
        front = self._pending()
        key = front and (front["jobId"], front["executionNumber"], front["queuedAt"])
        if key != self._front:
            self._front = key
            if not self.quiet:
                payload = {"timestamp": 1}
                if front:
                    payload["execution"] = front
                self.broker.send(PREFIX + b"notify-next", ujson.dumps(payload).encode(), 1)

    def _published(self, topic, payload):
        assert topic.startswith(PREFIX), topic
        suffix = topic[len(PREFIX) :].decode()
        body = ujson.loads(payload)
        self.requests.append((suffix, body))
        if self.lose_requests:
            self.lose_requests -= 1
            return
        if self.refuse:
            reply = {"code": self.refuse.pop(0), "message": "as the test wants it"}
            verdict = "/rejected"
        else:
            reply = self._answer(suffix, body)
            verdict = "/rejected" if "code" in reply else "/accepted"
        reply["clientToken"] = body["clientToken"]
        if self.lose_replies:
            self.lose_replies -= 1
        else:
            self.broker.send(topic + verdict.encode(), ujson.dumps(reply).encode())
        self._notify()

    def _answer(self, suffix, body):
        if suffix == "start-next":
            execution = self._pending()
            if execution is None:
                return {}
            if execution["status"] == "QUEUED":
                execution["status"] = "IN_PROGRESS"
                execution["versionNumber"] += 1
            return {"execution": execution}
        if suffix == "get":
            return {"inProgressJobs": self._summaries("IN_PROGRESS"), "queuedJobs": self._summaries("QUEUED")}
        job_id, operation = suffix.split("/")
        if job_id == "$next":
            execution = self._pending()
        else:
            execution = None
            for known in self.executions:
                if known["jobId"] == job_id and body.get("executionNumber") in (None, known["executionNumber"]):
                    execution = known
            if execution is None:
                return {"code": "ResourceNotFound", "message": "no such execution"}
        if operation == "get":
            if execution and execution["status"] in TERMINAL:
                return {"code": "TerminalStateReached", "message": "it has ended"}
            execution = execution and dict(execution)
            if execution and body.get("includeJobDocument") is False:
                del execution["jobDocument"]
            return {"execution": execution} if execution else {}
        return self._update(execution, body)

    def _update(self, execution, body):
        state = {key: execution[key] for key in ("status", "versionNumber")}
        if body.get("expectedVersion", execution["versionNumber"]) != execution["versionNumber"]:
            return {"code": "VersionMismatch", "message": "another version", "executionState": state}
        if execution["status"] in TERMINAL:
            return {"code": "InvalidStateTransition", "message": "it has ended", "executionState": state}
        execution["status"] = body["status"]
        execution["versionNumber"] += 1
        if "statusDetails" in body:
            execution["statusDetails"] = body["statusDetails"]
        return {}


def idle(agent):
    """Whether the agent waits for a notification: it has no job, and none is pending as far as it knows."""
    return agent.link.up.is_set() and agent._patience > 600


def remove(directory):
    """Remove a folder of files; none is fine too."""
    try:
        for name in os.listdir(directory):
            os.remove(directory + "/" + name)
        os.rmdir(directory)
    except OSError:
        pass


_running = []  # the agent's task


def lose_power():
    """End the running agent without a word, as a reset does; nothing after this runs."""
    for task in _running:
        if task is not asyncio.current_task():
            task.cancel()
    raise asyncio.CancelledError


async def beside(agent, broker, scenario):
    """Run scenario(task) beside an agent whose connections end at this broker, and return what that does.

    task: of the agent. Raises what the agent ended with, if it did.
    """
    asyncio.open_connection, real = broker.open_connection, asyncio.open_connection
    task = asyncio.create_task(agent.run())
    _running.append(task)
    try:
        return await scenario(task)
    finally:
        _running.remove(task)
        asyncio.open_connection = real
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            pass
        await asyncio.sleep(0)


DIRECTORY = "/tmp/ujobs-device-test-%s" % os.urandom(4).hex()


def run(scenario, setup=None, cloud=None, keep=False, receive_limit=16384, update_interval=None):
    """Run scenario(agent, cloud) beside a running agent, whose handlers setup(agent) registers. Return the cloud.

    keep: start from the journal the previous run left, as after a reset, and leave it there.
    """
    if not keep:
        remove(DIRECTORY)
    cloud = cloud or Cloud()

    async def main():
        link = Link(b"thing", "host", timeout=0.3, receive_limit=receive_limit)
        agent = Agent("thing", link=link, directory=DIRECTORY, update_interval=update_interval)
        if setup:
            setup(agent)
        await beside(agent, cloud.broker, lambda task: scenario(agent, cloud))

    try:
        asyncio.run(main())
    finally:
        if not keep:
            remove(DIRECTORY)
    return cloud
