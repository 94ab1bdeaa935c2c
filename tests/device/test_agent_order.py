"""The order of writes to flash and messages, and the actions that must not happen twice."""

import asyncio
import random
import sys

import fast_time
from agent_handlers import all_done, handlers
from broker import raises, until
from cloud import DIRECTORY, PREFIX, Cloud, idle, remove, run
from ujobs.agent import Agent
from ujobs.journal import Journal
from ujobs.link import Link


def resets(setup, started, times, document):
    """Reset the board `times` times, each time after started(agent); then let the job end. Return its execution."""
    cloud = Cloud()
    remove(DIRECTORY)
    cloud.queue("a", document)

    async def interrupted(agent, cloud):
        await until(lambda: started(agent))

    for _ in range(times):
        run(interrupted, setup, cloud, keep=True)
    run(all_done, setup, cloud, keep=True)
    remove(DIRECTORY)
    return cloud.executions[0]


def test_a_function_called_by_a_job_is_not_called_again_after_a_reset():
    calls = []

    async def stuck():
        calls.append(1)
        await asyncio.sleep(60)

    def setup(agent):
        agent.use("call", functions={"stuck": stuck})

    execution = resets(setup, lambda agent: calls, 1, {"operation": "call", "function": "stuck"})
    assert calls == [1]
    assert execution["status"] == "FAILED"
    assert "attempt 1" in execution["statusDetails"]["reason"]


def test_a_finished_step_is_not_repeated_after_a_reset():
    calls = []

    def first():
        calls.append("first")

    async def second():
        calls.append("second")
        await asyncio.sleep(0 if calls.count("second") > 1 else 60)

    def setup(agent):
        agent.use("steps", functions={"first": first, "second": second})

    steps = [{"action": {"type": "runHandler", "input": {"handler": name}}} for name in ("first", "second")]
    execution = resets(setup, lambda agent: "second" in calls, 1, {"version": "1.0", "steps": steps})
    assert calls == ["first", "second", "second"]
    assert execution["status"] == "SUCCEEDED"


class Watchdog:
    PWRON_RESET, WDT_RESET = 1, 3

    @staticmethod
    def reset_cause():
        return 3


def test_the_reason_names_the_cause_of_the_reset():
    seen = []

    def setup(agent):
        @agent.on("hang", max_attempts=2)
        async def hang(job):
            seen.append(job.attempt)
            await asyncio.sleep(60)

    def started(agent):
        return agent._job and seen[-1:] == [agent.journal.attempt]

    sys.modules["machine"] = Watchdog
    try:
        execution = resets(setup, started, 2, {"operation": "hang"})
    finally:
        del sys.modules["machine"]
    assert execution["status"] == "FAILED"
    assert execution["statusDetails"]["reason"] == "the board was reset during attempt 2: WDT_RESET"
    assert "ujobs.handlers.reboot" not in sys.modules


def test_rerun_forgets_the_checkpoint():
    found = []

    def setup(agent):
        @agent.on("work", on_restart="rerun")
        async def work(job):
            found.append(job.checkpoint)
            job.save("half")
            await asyncio.sleep(60 if job.attempt == 1 else 0)

    execution = resets(setup, lambda agent: found, 1, {"operation": "work"})
    assert found == [None, None]
    assert execution["status"] == "SUCCEEDED"


def test_a_checkpoint_survives_a_damaged_record():
    found = []

    def setup(agent):
        @agent.on("work", on_restart="resume")
        async def work(job):
            found.append(job.checkpoint)
            if not job.checkpoint:
                job.save("half")
                with open(DIRECTORY + "/record", "wb") as file:
                    file.write(b"J1 what the flash makes of it")
                await asyncio.sleep(60)

    execution = resets(setup, lambda agent: found, 1, {"operation": "work"})
    assert found == [None, "half"]
    assert execution["status"] == "SUCCEEDED"


def test_a_checkpoint_that_cannot_be_written_is_an_error_for_the_handler():
    def setup(agent):
        @agent.on("work")
        def work(job):
            write = agent.journal._write

            def full(name, data):
                raise OSError(28)

            agent.journal._write = full
            error = raises(OSError, job.save, "half")
            agent.journal._write = write
            return {"error": str(error.args[0])}

    async def scenario(agent, cloud):
        cloud.queue("a", {"operation": "work"})
        await all_done(agent, cloud)
        assert cloud.executions[0]["statusDetails"] == {"error": "28"}

    run(scenario, setup)


def test_each_accepted_update_is_in_flash():
    def setup(agent):
        @agent.on("watched")
        async def watched(job):
            versions = []
            while len(set(versions)) < 3:
                versions.append(Journal(DIRECTORY).version)
                await asyncio.sleep(0.02)
            return {"versions": str(sorted(set(versions)))}

    async def scenario(agent, cloud):
        cloud.queue("a", {"operation": "watched"})
        await all_done(agent, cloud)
        assert cloud.executions[0]["statusDetails"]["versions"] == "[2, 3, 4]"
        assert Journal(DIRECTORY).status == "SUCCEEDED"

    run(scenario, setup, update_interval=0.1)


def test_start_next_requests_the_longest_step_timeout():
    def setup(agent):
        for operation, minutes in (("short", 5), ("long", 300), ("middle", 20)):
            agent.on(operation, step_timeout=minutes)(lambda job: None)

    async def scenario(agent, cloud):
        await until(lambda: idle(agent))
        assert cloud.requests[0][1]["stepTimeoutInMinutes"] == 300

    run(scenario, setup)


def test_a_reply_from_before_a_reset_is_ignored():
    tokens = []

    async def scenario(agent, cloud):
        await until(lambda: idle(agent))
        tokens.append(cloud.requests[0][1]["clientToken"])

    for seed in (1, 2):
        # Without different seeds, the same random numbers would come after each reset.
        random.seed(seed)
        run(scenario)
    assert tokens[0] != tokens[1]


def test_a_reply_that_does_not_fit_into_memory_causes_no_delay():
    async def main(clock):
        cloud = Cloud()
        asyncio.open_connection, real = cloud.broker.open_connection, asyncio.open_connection
        agent = Agent("thing", link=Link(b"thing", "host", receive_limit=2000), directory=DIRECTORY)
        cloud.queue("a", {"operation": "quick", "text": "x" * 3000})
        task = asyncio.create_task(agent.run())
        try:
            while not cloud.done():
                await asyncio.sleep(0.1)
            assert clock.seconds() < 1, clock.seconds()
        finally:
            asyncio.open_connection = real
            task.cancel()
            await asyncio.sleep(0)
            remove(DIRECTORY)

    fast_time.run(main)


def test_modules_of_handlers_are_unloaded():
    async def scenario(agent, cloud):
        agent.use("call", functions={"hello": lambda: "hello"})
        before = set(sys.modules)
        cloud.queue("a", {"operation": "call", "function": "hello"})
        await all_done(agent, cloud)
        await until(lambda: idle(agent))
        assert cloud.executions[0]["statusDetails"] == {"result": "hello"}
        assert not [name for name in set(sys.modules) - before if name.startswith("ujobs.")]

    run(scenario, handlers)


def test_a_foreign_reply_on_the_right_topic_is_ignored():
    async def scenario(agent, cloud):
        await until(lambda: idle(agent))
        answer = cloud.broker.on_publish

        def disturbed(topic, payload):
            cloud.broker.send(topic + b"/accepted", b'{"clientToken": "0", "timestamp": 1}')
            answer(topic, payload)

        cloud.broker.on_publish = disturbed
        cloud.queue("a", {"operation": "quick"})
        await all_done(agent, cloud)
        assert [suffix for suffix, _ in cloud.requests].count("a/update") == 1
        assert PREFIX + b"a/update" in [topic for topic, _ in cloud.broker.published]

    run(scenario, handlers)
