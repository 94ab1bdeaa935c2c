"""The agent with a Jobs service in memory: jobs arrive, run, and end."""

import asyncio
import sys

from agent_handlers import all_done, handlers
from broker import raises, until
from cloud import DIRECTORY, PREFIX, Cloud, idle, remove, run
from ujobs.agent import Agent
from ujobs.journal import Journal
from ujobs.link import Link


def test_a_quick_job_takes_two_requests():
    async def scenario(agent, cloud):
        await until(lambda: idle(agent))
        asked = len(cloud.requests)
        cloud.queue("one", {"operation": "quick", "n": 5})
        await all_done(agent, cloud)
        await until(lambda: idle(agent))
        assert [suffix for suffix, _ in cloud.requests[asked:]] == ["start-next", "one/update"]
        execution = cloud.executions[0]
        assert execution["status"] == "SUCCEEDED"
        assert execution["versionNumber"] == 3
        assert execution["statusDetails"] == {"answer": "5"}
        update = cloud.updates()[-1]
        assert (update["expectedVersion"], update["executionNumber"]) == (2, 1)

    run(scenario, handlers)


def test_an_old_notification_that_nothing_is_pending_does_not_hide_a_job():
    async def scenario(agent, cloud):
        await until(lambda: idle(agent))
        cloud.queue("one", {"operation": "quick"})
        cloud.broker.send(PREFIX + b"notify-next", b'{"timestamp": 1}', 1)
        await all_done(agent, cloud)

    run(scenario, handlers)


def test_queued_jobs_run_in_order_one_at_a_time():
    async def scenario(agent, cloud):
        await all_done(agent, cloud)
        assert agent.seen == ["a", "b", "c"]
        assert cloud.statuses() == ["SUCCEEDED"] * 3

    cloud = Cloud()
    for name in "abc":
        cloud.queue(name, {"operation": "nothing"})
    run(scenario, handlers, cloud)


def test_documents_of_aws_need_no_operation():
    async def scenario(agent, cloud):
        for name in ("steps", "firmware"):
            agent.on(name)(lambda job, name=name: {"handler": name})
        cloud.queue("a", {"version": "1.0", "steps": []})
        cloud.queue("b", {"afr_ota": {}})
        await all_done(agent, cloud)
        assert [one["statusDetails"] for one in cloud.executions] == [{"handler": "steps"}, {"handler": "firmware"}]

    run(scenario)


def test_failed_rejected_and_unknown_jobs_report_a_reason():
    async def scenario(agent, cloud):
        await all_done(agent, cloud)
        assert cloud.statuses() == ["FAILED", "REJECTED", "REJECTED", "REJECTED", "REJECTED", "SUCCEEDED"]
        reasons = [execution["statusDetails"].get("reason") for execution in cloud.executions[:5]]
        assert reasons[0].startswith("OSError: ") and "sensor is gone" in reasons[0], reasons[0]
        assert reasons[1] == "at most 100"
        assert reasons[2] == "operation not in handlers: 'dance'", reasons[2]
        assert reasons[3] == reasons[4] == "the job document has no operation"

    cloud = Cloud()
    cloud.queue("a", {"operation": "fail"})
    cloud.queue("b", {"operation": "reject"})
    cloud.queue("c", {"operation": "dance"})
    cloud.queue("d", {"no": "operation"})
    cloud.queue("e", ["not", "an", "object"])
    cloud.queue("f", {"operation": "quick"})
    run(scenario, handlers, cloud)


def test_a_result_that_the_service_would_refuse_fails_the_job_with_the_limit():
    async def scenario(agent, cloud):
        @agent.on("wrong")
        def wrong(job):
            return {"blinks": [3]}

        cloud.queue("a", {"operation": "wrong"})
        await all_done(agent, cloud)
        assert cloud.statuses() == ["FAILED"]
        assert "text, numbers and booleans" in cloud.executions[0]["statusDetails"]["reason"]

    run(scenario)


def test_details_that_cannot_be_sent_do_not_block_other_jobs():
    async def scenario(agent, cloud):
        @agent.on("wrong")
        def wrong(job):
            job.noted("no such key", "x")
            raise OSError("sensor gone")

        cloud.queue("a", {"operation": "wrong"})
        cloud.queue("b", {"operation": "quick"})
        await all_done(agent, cloud)
        assert cloud.statuses() == ["FAILED", "SUCCEEDED"]
        assert "statusDetails key" in cloud.executions[0]["statusDetails"]["reason"]

    run(scenario, handlers)


def test_a_document_over_the_receive_limit_is_rejected_with_the_reason():
    async def scenario(agent, cloud):
        cloud.queue("a", {"operation": "quick", "text": "x" * 3000})
        cloud.queue("b", {"operation": "quick"})
        await all_done(agent, cloud)
        assert cloud.statuses() == ["REJECTED", "SUCCEEDED"]
        assert "receive_limit" in cloud.executions[0]["statusDetails"]["reason"]

    run(scenario, handlers, receive_limit=2000)


def test_invalid_messages_do_not_stop_the_agent():
    async def scenario(agent, cloud):
        await until(lambda: idle(agent))
        start = b"$aws/things/thing/jobs/"
        for suffix in (b"notify-next", b"notify", b"start-next/accepted", b"a/update/rejected", b"x/y/z", b""):
            for payload in (b"", b"{", b"[]", b"null", b'{"execution": 5}', b'{"execution": {"jobId": 5}}', b"\xff"):
                cloud.broker.send(start + suffix, payload)
        cloud.broker.send(b"$aws/things/other/jobs/notify-next", b"{}")
        cloud.queue("a", {"operation": "quick"})
        await all_done(agent, cloud)
        assert len(cloud.broker.wires) == 1

    run(scenario, handlers)


def test_wrong_arguments_are_refused_by_name():
    agent = Agent("thing", link=Link(b"thing", "host"), directory=DIRECTORY)
    assert "ca" in str(raises(ValueError, Agent, "thing", "host"))
    assert "thingName" in str(raises(ValueError, Agent, "a/b", link=agent.link, directory=DIRECTORY))
    assert "step_timeout" in str(raises(ValueError, agent.on, "x", step_timeout=0))
    assert "on_restart" in str(raises(ValueError, agent.on, "x", on_restart="never"))
    assert "max_attempts" in str(raises(ValueError, agent.on, "x", max_attempts=0))
    assert "time_limit" in str(raises(ValueError, agent.on, "x", time_limit=7201))
    assert "dance" in str(raises(ValueError, agent.use, "dance"))
    remove(DIRECTORY)


def test_a_built_in_handler_that_is_not_installed_rejects_the_job():
    async def scenario(agent, cloud):
        agent.use("reboot")
        agent._handlers["missing"] = ("missing",) + agent._handlers["reboot"][1:]
        cloud.queue("a", {"operation": "missing"})
        cloud.queue("b", {"operation": "quick"})
        await all_done(agent, cloud)
        assert cloud.statuses() == ["REJECTED", "SUCCEEDED"]
        assert "missing" in cloud.executions[0]["statusDetails"]["reason"]

    run(scenario, handlers)


class Broken:
    """A module with a name and no content."""


def test_a_built_in_handler_that_cannot_be_imported_fails_the_job():
    async def scenario(agent, cloud):
        agent.use("call")
        cloud.queue("a", {"operation": "call"})
        cloud.queue("b", {"operation": "quick"})
        await all_done(agent, cloud)
        assert cloud.statuses() == ["FAILED", "SUCCEEDED"]
        assert "run" in cloud.executions[0]["statusDetails"]["reason"]

    sys.modules["ujobs.handlers.call"] = Broken()
    try:
        run(scenario, handlers)
    finally:
        del sys.modules["ujobs.handlers.call"]


def test_an_uncaught_cancellation_fails_only_its_own_job():
    def setup(agent):
        handlers(agent)

        async def waiting():
            await asyncio.sleep(60)

        @agent.on("leak")
        async def leak(job):
            helper = asyncio.create_task(waiting())
            await asyncio.sleep(0)
            helper.cancel()
            await helper

    async def scenario(agent, cloud):
        await all_done(agent, cloud)
        assert cloud.statuses() == ["FAILED", "SUCCEEDED"]
        assert "CancelledError" in cloud.executions[0]["statusDetails"]["reason"]

    cloud = Cloud()
    cloud.queue("one", {"operation": "leak"})
    cloud.queue("two", {"operation": "nothing"})
    run(scenario, setup, cloud)


def test_returned_details_override_noted_ones():
    def setup(agent):
        @agent.on("much")
        async def much(job):
            await job.progress(1, 2, "half")
            return {"key%d" % n: "x" for n in range(10)}

    async def scenario(agent, cloud):
        await all_done(agent, cloud)
        assert cloud.statuses() == ["SUCCEEDED"]
        assert len(cloud.executions[0]["statusDetails"]) == 10

    cloud = Cloud()
    cloud.queue("one", {"operation": "much"})
    run(scenario, setup, cloud)


def test_a_result_is_in_flash_before_a_pending_progress_update_is_answered():
    sent = []

    def setup(agent):
        @agent.on("hurried")
        async def hurried(job):
            agent.link.timeout = 30
            agent._wake.set()
            await until(lambda: sent)
            return {"answer": "42"}

    async def scenario(agent, cloud):
        cloud.broker.on_publish, answer = lambda topic, payload: (
            sent.append(payload) if b"IN_PROGRESS" in payload else answer(topic, payload)
        ), cloud.broker.on_publish
        cloud.queue("one", {"operation": "hurried"})
        await until(lambda: agent.journal.status == "SUCCEEDED")
        assert Journal(DIRECTORY).status == "SUCCEEDED"
        assert cloud.statuses() == ["IN_PROGRESS"]
        agent.link.timeout = 0.3

    run(scenario, setup)
