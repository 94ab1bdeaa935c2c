"""The application of the boards that compare two clouds (MicroPython).

It does not depend on time: handlers send progress updates explicitly, and wait for messages only. It prints its steps
as "app: ..."."""

import asyncio
import json

from ujobs import Reject

_STEP_TIMEOUT = 5  # minutes: long enough that the agent sends no progress update of its own during a scenario


def setup(agent):
    """Register the handlers; main.py calls this once."""
    work = _Work(agent)
    agent.on("quick", step_timeout=_STEP_TIMEOUT)(work.quick)
    agent.on("broken", step_timeout=_STEP_TIMEOUT)(work.broken)
    agent.on("refuse", step_timeout=_STEP_TIMEOUT)(work.refuse)
    agent.on("long", step_timeout=_STEP_TIMEOUT)(work.long)
    agent.on("hold", step_timeout=_STEP_TIMEOUT)(work.hold)
    agent.on("count", step_timeout=_STEP_TIMEOUT, on_restart="resume")(work.count)


class _Work:
    def __init__(self, agent):
        self._journal = agent.journal
        self._agent = agent
        self._acknowledge = agent.journal.acknowledge
        agent.journal.acknowledge = self._acknowledged

    def _acknowledged(self):
        self._acknowledge()
        print("app: the journal is clear of", self._journal.job_id)

    async def _progress_update(self, job):
        # Send one now, and repeat it until it is accepted.
        version = self._journal.version
        self._agent._wake.set()
        while self._journal.version == version:
            await asyncio.sleep(0.01)

    async def quick(self, job):
        """{"say": text}: prints the text."""
        print("app: says", job.document["say"])
        return {"said": job.document["say"]}

    def broken(self, job):
        """Fails."""
        raise OSError("no sensor answers on the bus")

    def refuse(self, job):
        """Will not."""
        raise Reject("not on a Sunday")

    async def long(self, job):
        """{"steps": n}: a progress update with the progress after each."""
        steps = job.document["steps"]
        for done in range(1, steps + 1):
            print("app: step", done)
            await job.progress(done, steps, "step " + str(done))
            await self._progress_update(job)
        return {"steps": str(steps)}

    async def hold(self, job):
        """{"until": n}: waits for a `notify` that lists n pending jobs, then sends a progress update."""
        enough = asyncio.Event()

        def notified(topic, payload):
            if topic != wanted:
                self._agent._received(topic, payload)
            elif sum(map(len, json.loads(payload)["jobs"].values())) >= job.document["until"]:
                enough.set()

        link = self._agent.link
        wanted = f"$aws/things/{self._agent.thing}/jobs/notify".encode()
        route = (wanted, notified)
        # Called before the agent's own function.
        link.routes.insert(0, route)
        await link.subscribe(wanted, 1)
        print("app: holds")
        try:
            await enough.wait()
            await self._progress_update(job)
        finally:
            link.routes.remove(route)
            await link.unsubscribe(wanted)
            print("app: lets go")
        return {"waited_for": str(job.document["until"])}

    async def count(self, job):
        """{"to": n}: counts each number once; with {"wait_at": k} the first attempt stops there."""
        start = job.checkpoint or 0
        for number in range(start + 1, job.document["to"] + 1):
            job.save(number)
            print("app: counts", number)
            if job.attempt == 1 and number == job.document["wait_at"]:
                await asyncio.Event().wait()
            await self._progress_update(job)
        return {"resumed_after": str(start), "attempt": str(job.attempt)}
