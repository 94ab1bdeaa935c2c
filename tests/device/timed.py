"""Runs one agent in fast time, for the tests about time; on both interpreters."""

import asyncio

import fast_time
from cloud import DIRECTORY, Cloud, beside, remove
from ujobs.agent import Agent
from ujobs.link import Link

INTERVAL = 20  # seconds between two progress updates of `long`: a third of its step timeout of one minute
STEPS = 7
STEP = 10  # seconds


class Session:
    """began, ended, stopped: times of the handler of `long`, seconds. updates: (seconds, body) of each update."""

    def __init__(self, clock, cloud=None, timeout=10):
        self.clock = clock
        self.cloud = cloud or Cloud()
        self.began = []
        self.ended = []
        self.stopped = []
        self.updates = []
        link = Link(b"thing", "host", timeout=timeout, keepalive=timeout * 6)
        self.agent = Agent("thing", link=link, directory=DIRECTORY)
        self._handlers()
        self.cloud.broker.on_publish = self._published

    def _published(self, topic, payload):
        count = len(self.cloud.updates())
        self.cloud._published(topic, payload)
        self.updates += [(self.clock.seconds(), body) for body in self.cloud.updates()[count:]]

    def _handlers(self):
        @self.agent.on("long", step_timeout=1)
        async def long(job):
            self.began.append(self.clock.seconds())
            try:
                for done in range(STEPS):
                    await job.progress(done, STEPS)
                    await asyncio.sleep(STEP)
            except asyncio.CancelledError:
                self.stopped.append(self.clock.seconds())
                raise
            self.ended.append(self.clock.seconds())

        @self.agent.on("quick")
        def quick(job):
            return {"answer": "42"}

    def progress_updates(self):
        """The times of the updates in seconds."""
        return [when for when, body in self.updates if body["status"] == "IN_PROGRESS"]

    async def until(self, condition, seconds=1800):
        """Wait for the job; AssertionError if it takes longer than that."""
        started = self.clock.seconds()
        while not condition():
            assert self.clock.seconds() - started < seconds, (self.cloud.executions, self.cloud.requests)
            await asyncio.sleep(0.1)

    async def all_done(self):
        await self.until(lambda: self.cloud.done() and self.agent.journal.acknowledged)


def run(scenario, cloud=None, prepare=None, timeout=10):
    """Run scenario(session) concurrently with the agent, and return the session. prepare(session): called first.

    timeout: of the link; its keepalive is six times that, as with the defaults.
    """
    remove(DIRECTORY)

    async def main(clock):
        session = Session(clock, cloud, timeout)
        if prepare:
            prepare(session)
        try:
            await beside(session.agent, session.cloud.broker, lambda task: scenario(session))
        finally:
            remove(DIRECTORY)
        return session

    return fast_time.run(main)
