"""An agent with a Jobs service and a broker in memory, for tests on both interpreters.

A test can make the service lose replies or requests, reject requests, or change an execution without notice.
"""

import asyncio
import os

import fast_time
import ujson
from broker import Broker
from jobs_service import PREFIX, JobsService
from replaced import Replaced
from temporary import temporary
from ujobs.agent import Agent
from ujobs.link import Link


class Cloud(JobsService):
    """lose_replies, lose_requests: number of the next ones to lose. refuse: error codes for the replies to the next
    requests."""

    def __init__(self):
        self.broker = Broker()
        self.broker.on_publish = self._published
        self.lose_replies = self.lose_requests = 0
        self.refuse = []
        self.clock = self.task = None
        # Look up the broker's method each time, because a test may replace it.
        super().__init__(lambda topic, payload, qos: self.broker.send(topic, payload, qos), lambda: 1000)

    def statuses(self):
        return [execution["status"] for execution in self.executions]

    def reasons(self):
        """The reason in the status details of each execution, "" if there is none."""
        return [execution.get("statusDetails", {}).get("reason", "") for execution in self.executions]

    def updates(self):
        """The bodies of all updates, in order."""
        return [body for suffix, body in self.requests if suffix.endswith("/update")]

    def renewals(self):
        """The bodies of the progress updates, which renew the step timer."""
        return [body for body in self.updates() if body["status"] == "IN_PROGRESS"]

    def _notify_change(self):
        if PREFIX + b"notify" in self.broker.filters and not self.quiet:
            waiting = self._summaries("QUEUED")
            jobs = {"QUEUED": waiting} if waiting else {}
            self.broker.send(PREFIX + b"notify", ujson.dumps({"timestamp": 1, "jobs": jobs}).encode(), 1)

    def _published(self, topic, payload):
        assert topic.startswith(PREFIX), topic
        if self.lose_requests:
            self.lose_requests -= 1
            self.requests.append((topic[len(PREFIX) :].decode(), ujson.loads(payload)))
        else:
            self.received(topic, payload)

    def _answer(self, suffix, body):
        if self.refuse:
            return {"code": self.refuse.pop(0), "message": "as the test wants it"}
        return super()._answer(suffix, body)

    def _reply(self, topic, payload):
        if self.lose_replies:
            self.lose_replies -= 1
        else:
            super()._reply(topic, payload)


def idle(agent):
    """Whether the agent waits for a notification: it has no job, and knows of none pending."""
    return agent.link.up.is_set() and agent._patience > 600


def remove(directory):
    """Remove a folder of files if it exists."""
    try:
        for name in os.listdir(directory):
            os.remove(directory + "/" + name)
        os.rmdir(directory)
    except OSError:
        pass


_running = []  # the agent's task


def lose_power():
    """End the running agent at once, as a reset does; no code after this call runs."""
    for task in _running:
        if task is not asyncio.current_task():
            task.cancel()
    raise asyncio.CancelledError


async def ended(task):
    """Wait until a cancelled task has ended. Raises the exception that ended it instead, if any."""
    try:
        await task
    except asyncio.CancelledError:
        pass


async def beside(agent, broker, scenario):
    """Run scenario(task) concurrently with an agent that connects to this broker; return the result of scenario().

    task: of the agent. Raises the exception that ended the agent, if any.
    """
    with Replaced(asyncio, open_connection=broker.open_connection):
        task = asyncio.create_task(agent.run())
        _running.append(task)
        try:
            return await scenario(task)
        finally:
            _running.remove(task)
            task.cancel()
            await ended(task)
            await asyncio.sleep(0)


DIRECTORY = temporary("journal")


def run(scenario, setup=None, cloud=None, keep=False, receive_limit=16384, update_interval=None, timeout=0.3):
    """Run scenario(agent, cloud) concurrently with an agent; setup(agent) registers handlers. Return the cloud.

    keep: start with the journal of the previous run, as after a reset, and keep it afterwards. timeout: of the link, in
    seconds. cloud.clock, cloud.task: see fast_time.Clock; of the agent. AssertionError if the agent has broken a rule
    of the service.
    """
    if not keep:
        remove(DIRECTORY)
    cloud = cloud or Cloud()

    async def main(clock):
        cloud.clock = clock
        link = Link(b"thing", "host", timeout=timeout, receive_limit=receive_limit)
        agent = Agent("thing", link=link, directory=DIRECTORY, update_interval=update_interval)
        if setup:
            setup(agent)

        async def begin(task):
            cloud.task = task
            await scenario(agent, cloud)

        await beside(agent, cloud.broker, begin)

    try:
        fast_time.run(main)
    finally:
        if not keep:
            remove(DIRECTORY)
    assert not cloud.wrong, cloud.wrong
    return cloud
