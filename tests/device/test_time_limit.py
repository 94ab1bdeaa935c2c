"""A handler that never ends, in fast time: it is stopped, its job is FAILED, and the next job runs."""

import asyncio

import fast_time
from cloud import DIRECTORY, Cloud, beside, remove
from ujobs.agent import Agent
from ujobs.link import Link


def run(scenario):
    async def main(clock):
        cloud = Cloud()
        agent = Agent("thing", link=Link(b"thing", "host"), directory=DIRECTORY)
        await beside(agent, cloud.broker, lambda task: scenario(agent, cloud, clock))

    remove(DIRECTORY)
    fast_time.run(main)
    remove(DIRECTORY)


def test_a_handler_that_waits_forever_is_stopped_at_its_time_limit():
    async def scenario(agent, cloud, clock):
        @agent.on("stuck", step_timeout=5, time_limit=90)
        async def stuck(job):
            await asyncio.Event().wait()

        @agent.on("quick")
        async def quick(job):
            pass

        cloud.queue("a", {"operation": "stuck"})
        cloud.queue("b", {"operation": "quick"})
        while not cloud.done():
            await asyncio.sleep(1)
        assert cloud.statuses() == ["FAILED", "SUCCEEDED"]
        assert cloud.executions[0]["statusDetails"]["reason"].startswith("TimeoutError")
        assert 90 * 60 <= clock.seconds() < 92 * 60
        kept = [body for body in cloud.updates() if body["status"] == "IN_PROGRESS"]
        assert len(kept) >= 90 // 5, "until then its step timer was renewed"

    run(scenario)


def test_a_handler_within_its_time_limit_is_not_stopped():
    async def scenario(agent, cloud, clock):
        @agent.on("slow", time_limit=90)
        async def slow(job):
            await asyncio.sleep(89 * 60)
            return {"answer": "42"}

        cloud.queue("a", {"operation": "slow"})
        while not cloud.done():
            await asyncio.sleep(1)
        assert cloud.statuses() == ["SUCCEEDED"]
        assert cloud.executions[0]["statusDetails"]["answer"] == "42"

    run(scenario)
