"""The order of writes to flash and messages, and the actions that must not happen twice."""

import asyncio
import random
import sys

import ujson
from agent_handlers import all_done, finish, handlers, hold_replies, reset_while_running
from broker import raises, until
from cloud import DIRECTORY, PREFIX, Cloud, idle, run
from replaced import Replaced, with_modules
from ujobs.journal import Journal


def test_a_function_called_by_a_job_is_not_called_again_after_a_reset():
    calls = []

    async def stuck():
        calls.append(1)
        await asyncio.sleep(60)

    def setup(agent):
        agent.use("call", functions={"stuck": stuck})

    execution = reset_while_running({"operation": "call", "function": "stuck"}, 1, setup, calls)
    assert calls == [1]
    assert execution["status"] == "FAILED"
    assert "attempt 1" in execution["statusDetails"]["reason"]


def test_a_finished_step_is_not_repeated_after_a_reset():
    first_calls, calls = [], []

    def first():
        first_calls.append(1)

    async def second():
        calls.append(1)
        await asyncio.sleep(0 if len(calls) > 1 else 60)

    def setup(agent):
        agent.use("steps", functions={"first": first, "second": second})

    steps = [{"action": {"type": "runHandler", "input": {"handler": name}}} for name in ("first", "second")]
    execution = reset_while_running({"version": "1.0", "steps": steps}, 1, setup, calls)
    assert (len(first_calls), len(calls)) == (1, 2)
    assert execution["status"] == "SUCCEEDED"


class Watchdog:
    PWRON_RESET, WDT_RESET = 1, 3

    @staticmethod
    def reset_cause():
        return 3


def test_the_reason_names_the_cause_of_the_reset():
    for last_start in ("", ", start 3 since power-on, OSError: sensor is gone"):
        seen = []

        def setup(agent, last_start=last_start, seen=seen):
            agent.use(last_start=last_start)

            @agent.on("hang", max_attempts=2)
            async def hang(job):
                seen.append(job.attempt)
                await asyncio.sleep(60)

        with with_modules(machine=Watchdog):
            execution = reset_while_running({"operation": "hang"}, 2, setup, seen)
        assert execution["status"] == "FAILED"
        reason = "the board was reset during attempt 2: WDT_RESET" + last_start
        assert execution["statusDetails"]["reason"] == reason
        assert "ujobs.handlers.reboot" not in sys.modules


def test_rerun_forgets_the_checkpoint():
    found = []

    def setup(agent):
        @agent.on("work", on_restart="rerun")
        async def work(job):
            found.append(job.checkpoint)
            job.save("half")
            await asyncio.sleep(60 if job.attempt == 1 else 0)

    execution = reset_while_running({"operation": "work"}, 1, setup, found)
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

    execution = reset_while_running({"operation": "work"}, 1, setup, found)
    assert found == [None, "half"]
    assert execution["status"] == "SUCCEEDED"


def test_a_checkpoint_that_cannot_be_written_is_an_error_for_the_handler():
    def full(name, data):
        raise OSError(28)

    def work(job):
        with Replaced(job.client.journal, _write=full):
            return {"error": str(raises(OSError, job.save, "half").args[0])}

    cloud = finish({"operation": "work"}, work=work)
    assert cloud.executions[0]["statusDetails"] == {"error": "28"}


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


def test_a_document_that_is_too_large_does_not_reject_another_job():
    # The job with the large document is cancelled before the board asks which one it was.
    class Cancelling(Cloud):
        def _answer(self, suffix, body):
            if suffix == "$next/get":
                self.end(self.executions[0])
            return super()._answer(suffix, body)

    cloud = Cancelling()
    cloud.queue("a", {"operation": "quick", "text": "x" * 3000})
    cloud.queue("b", {"operation": "quick"})
    run(lambda agent, cloud: until(cloud.done, 60), handlers, cloud, receive_limit=2000)
    assert cloud.statuses() == ["CANCELED", "SUCCEEDED"]


def test_a_reply_that_does_not_fit_into_memory_causes_no_delay():
    async def scenario(agent, cloud):
        cloud.queue("a", {"operation": "quick", "text": "x" * 3000})
        await until(cloud.done)
        assert cloud.clock.seconds() < 1, cloud.clock.seconds()
        assert [suffix for suffix, _ in cloud.requests] == ["start-next", "$next/get", "a/update"]

    run(scenario, receive_limit=2000, timeout=10)


def test_the_first_request_does_not_wait_for_suback():
    async def scenario(agent, cloud):
        await until(lambda: cloud.broker.count("publish") == 1)
        names = [name for name, _ in cloud.broker.packets]
        assert names[:3] == ["connect", "subscribe", "publish"]
        # The reply came before SUBACK, so the agent asks again after SUBACK: a notification may have been missed.
        cloud.quiet = True
        cloud.queue("a", {"operation": "quick"})
        await asyncio.sleep(0.1)
        assert cloud.statuses() == ["QUEUED"]
        cloud.broker.mute.clear()
        await all_done(agent, cloud)
        assert len(cloud.broker.wires) == 1

    cloud = Cloud()
    cloud.broker.mute.add("subscribe")
    run(scenario, handlers, cloud)


def test_a_request_answered_after_suback_is_not_repeated_and_no_packet_waits_for_another():
    async def scenario(agent, cloud):
        await until(lambda: idle(agent))
        await asyncio.sleep(0.1)
        assert [suffix for suffix, _ in cloud.requests] == ["start-next"]
        tcp, no_delay = 6, 1
        assert cloud.broker.wires[-1].options == [(tcp, no_delay, 1)]

    run(scenario, handlers)


def test_a_request_under_way_is_not_repeated_when_the_subscriptions_are_confirmed():
    async def scenario(agent, cloud):
        await until(lambda: held)
        await asyncio.sleep(0.1)
        cloud.broker.send = send
        send(*held[0])
        await until(lambda: idle(agent))
        assert [suffix for suffix, _ in cloud.requests] == ["start-next"]

    cloud, held = Cloud(), []
    send = cloud.broker.send
    cloud.broker.send = hold_replies(send, held)
    run(scenario, handlers, cloud)


def test_replies_that_come_twice_or_late_cause_no_requests():
    def repeat(topic, payload, qos=0):
        for _ in range(1 + topic.endswith(b"/accepted")):
            send(topic, payload, qos)

    def setup(agent):
        @agent.on("wait")
        async def wait(job):
            await asyncio.sleep(30)

    async def scenario(agent, cloud):
        cloud.queue("a", {"operation": "wait"})
        await until(cloud.done, 60)
        await until(lambda: idle(agent))
        send(PREFIX + b"start-next/accepted", ujson.dumps({"clientToken": "before", "execution": "x" * 99}).encode())
        await asyncio.sleep(10)
        assert [suffix for suffix, _ in cloud.requests] == ["start-next", "a/update"]

    cloud = Cloud()
    send, cloud.broker.send = cloud.broker.send, repeat
    run(scenario, setup, cloud, timeout=10)


def test_a_request_under_way_when_the_link_breaks_is_sent_again_on_the_next_one():
    async def scenario(agent, cloud):
        await until(lambda: idle(agent))
        # Much longer than it takes to connect again.
        agent.link.timeout = 600
        cloud.lose_replies = 1
        asked = asyncio.create_task(agent.request("get"))
        await until(lambda: not cloud.lose_replies)
        cloud.broker.wires[-1].end()
        await asyncio.wait_for(asked, 60)

    run(scenario, handlers)
