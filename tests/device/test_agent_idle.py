"""An agent with until_idle, as on a board that sleeps: it returns when no job is left."""

import asyncio
import os
import sys

import fast_time
import ujobs.agent
from agent_handlers import all_done, handlers
from broker import raises, until
from cloud import DIRECTORY, PREFIX, Cloud, idle, remove, run
from replaced import Replaced
from ujobs.agent import Agent
from ujobs.journal import Journal
from ujobs.link import Link


def wake(cloud, cut_short=None):
    """A board wakes up with its flash unchanged. It sleeps again when its agent has returned, or when cut_short(agent)
    has. Return the calls of the handlers."""

    async def main(clock):
        agent = Agent("thing", link=Link(b"thing", "host", timeout=0.3), directory=DIRECTORY)
        handlers(agent)
        with Replaced(asyncio, open_connection=cloud.broker.open_connection):
            running = asyncio.create_task(agent.run(until_idle=True))
            try:
                if cut_short:
                    await cut_short(agent)
                    running.cancel()
                await asyncio.wait_for(running, 20)
            except asyncio.CancelledError:
                assert cut_short
            finally:
                await asyncio.sleep(0)
        return agent.seen

    return fast_time.run(main)


async def handler_started(agent):
    await until(lambda: agent.seen)


def slept(scenario):
    """Run scenario(cloud) with an empty flash."""
    remove(DIRECTORY)
    try:
        scenario(Cloud())
    finally:
        remove(DIRECTORY)


def test_without_a_job_it_asks_once_and_disconnects():
    def scenario(cloud):
        assert wake(cloud) == []
        assert [suffix for suffix, _ in cloud.requests] == ["start-next"]
        assert cloud.broker.packets[-1][0] == "disconnect"
        assert [wire.closed for wire in cloud.broker.wires] == [True]
        # Nothing was written to flash.
        raises(OSError, os.listdir, DIRECTORY)

    slept(scenario)


def test_all_queued_jobs_run_before_it_returns_and_it_needs_no_notifications():
    def scenario(cloud):
        for job_id, operation in (("a", "quick"), ("b", "reject"), ("c", "quick")):
            cloud.queue(job_id, {"operation": operation})
        assert wake(cloud) == ["a", "c"]
        assert cloud.statuses() == ["SUCCEEDED", "REJECTED", "SUCCEEDED"]
        asked = [suffix for suffix, _ in cloud.requests]
        assert asked == ["start-next", "a/update", "start-next", "b/update", "start-next", "c/update", "start-next"]
        assert cloud.broker.filters == [PREFIX + name for name in (b"start-next/+", b"+/get/+", b"+/update/+")]
        assert wake(cloud) == []

    slept(scenario)


def test_an_unanswered_request_does_not_count_as_idle():
    def scenario(cloud):
        cloud.queue("a", {"operation": "quick"})
        cloud.lose_requests = 4
        with Replaced(ujobs.agent, _RETRY=0.01):
            assert wake(cloud) == ["a"]
        assert cloud.statuses() == ["SUCCEEDED"]

    slept(scenario)


def test_a_result_that_could_not_be_sent_is_sent_after_the_next_sleep():
    def scenario(cloud):
        async def no_report_gets_through(agent):
            await until(lambda: agent.seen)
            cloud.lose_requests = 1000
            await until(lambda: agent.journal.status == "SUCCEEDED" and len(cloud.updates()) > 1)

        cloud.queue("a", {"operation": "long", "n": 4})
        assert wake(cloud, no_report_gets_through) == ["a"]
        assert cloud.statuses() == ["IN_PROGRESS"]
        cloud.lose_requests = 0
        assert wake(cloud) == []
        assert cloud.statuses() == ["SUCCEEDED"]
        assert cloud.executions[0]["statusDetails"] == {"progress": "4/4"}

    slept(scenario)


def test_a_handler_interrupted_by_sleep_resumes_afterwards():
    def scenario(cloud):
        cloud.queue("a", {"operation": "steps"})
        assert wake(cloud, handler_started) == [None]
        assert wake(cloud, handler_started) == [{"step": 1}]
        assert wake(cloud) == [{"step": 2}]
        assert cloud.statuses() == ["SUCCEEDED"]

    slept(scenario)


def test_after_a_job_that_ended_during_sleep_it_asks_once():
    def scenario(cloud):
        execution = cloud.queue("a", {"operation": "steps"})
        wake(cloud, handler_started)
        cloud.end(execution, "CANCELED")
        for _ in range(2):
            cloud.requests.clear()
            assert wake(cloud) == []
            assert [suffix for suffix, _ in cloud.requests] == ["start-next"]
        assert Journal(DIRECTORY).acknowledged

    slept(scenario)


def test_an_idle_agent_has_not_loaded_the_modules_for_jobs():
    needed = ("ujobs.job", "ujobs.checks", "ujobs.handlers", "ujobs.handlers.call", "ujobs.handlers.steps")
    before = {name: sys.modules.pop(name) for name in needed if name in sys.modules}

    def loaded():
        return " ".join([name for name in needed if name in sys.modules])

    def setup(agent):
        agent.on("look")(lambda job: {"result": loaded()})
        agent.use("call", functions={"look": loaded})

    async def scenario(agent, cloud):
        for document in ({"operation": "look"}, {"operation": "look"}, {"operation": "call", "function": "look"}):
            cloud.queue("job-%d" % len(cloud.executions), document)
            await all_done(agent, cloud)
            await until(lambda: idle(agent) and not loaded())

    try:
        found = [execution["statusDetails"]["result"] for execution in run(scenario, setup).executions]
        own = "ujobs.job ujobs.checks"
        assert found == [own, own, own + " ujobs.handlers ujobs.handlers.call"]
    finally:
        sys.modules.update(before)
