"""The agent's promises, against a Jobs service in memory that can lose, refuse and interfere."""

import asyncio
import sys
import time

from broker import raises, until
from cloud import DIRECTORY, Cloud, remove, run
from ujobs.agent import Agent
from ujobs.job import Reject
from ujobs.journal import Journal
from ujobs.link import Link


def handlers(agent):
    """Handlers that note in agent.seen what they did."""
    agent.seen = []

    @agent.on("quick")
    async def quick(job):
        agent.seen.append(job.job_id)
        return {"answer": str(job.document.get("n"))}

    @agent.on("nothing")
    def nothing(job):
        agent.seen.append(job.job_id)

    @agent.on("fail")
    async def fail(job):
        raise OSError("sensor\nis\tgone")

    @agent.on("reject")
    def reject(job):
        raise Reject("at most 100")

    @agent.on("long")
    async def long(job):
        agent.seen.append(job.job_id)
        for done in range(job.document["n"]):
            await job.progress(done, job.document["n"])
            await asyncio.sleep(0.05)

    @agent.on("plain")
    def plain(job):
        for done in range(job.document["n"]):
            job.tick(done, job.document["n"])
            time.sleep_ms(50)

    @agent.on("for-ever", on_restart="rerun")
    async def forever(job):
        agent.seen.append(job.attempt)
        while True:
            await job.progress()
            await asyncio.sleep(0.02)

    @agent.on("once", on_restart="fail")
    async def once(job):
        agent.seen.append(job.attempt)
        await asyncio.sleep(60)

    @agent.on("steps", on_restart="resume", max_attempts=5)
    async def steps(job):
        agent.seen.append(job.checkpoint)
        if job.attempt < 3:
            job.save({"step": job.attempt})
            await asyncio.sleep(60)
        return {"attempts": str(job.attempt)}


async def all_done(agent, cloud):
    await until(cloud.done)
    await until(lambda: agent.journal.acknowledged)


def test_a_quick_job_takes_two_requests():
    def setup(agent):
        handlers(agent)

    async def scenario(agent, cloud):
        await until(lambda: agent._waiting is False)
        asked = len(cloud.requests)
        cloud.queue("one", {"operation": "quick", "n": 5})
        await all_done(agent, cloud)
        await until(lambda: agent._waiting is False)
        assert [suffix for suffix, _ in cloud.requests[asked:]] == ["start-next", "one/update"]
        execution = cloud.executions[0]
        assert execution["status"] == "SUCCEEDED"
        assert execution["versionNumber"] == 3
        assert execution["statusDetails"] == {"answer": "5"}
        update = cloud.updates()[-1]
        assert (update["expectedVersion"], update["executionNumber"]) == (2, 1)

    run(scenario, setup)


def test_queued_jobs_run_in_order_one_at_a_time():
    async def scenario(agent, cloud):
        await all_done(agent, cloud)
        assert agent.seen == ["a", "b", "c"]
        assert cloud.statuses() == ["SUCCEEDED"] * 3

    cloud = Cloud()
    for name in "abc":
        cloud.queue(name, {"operation": "nothing"})
    run(scenario, handlers, cloud)


def test_failing_rejecting_and_unknown_jobs_say_why():
    async def scenario(agent, cloud):
        await all_done(agent, cloud)
        assert cloud.statuses() == ["FAILED", "REJECTED", "REJECTED", "REJECTED", "REJECTED", "SUCCEEDED"]
        reasons = [execution["statusDetails"].get("reason") for execution in cloud.executions[:5]]
        assert reasons[0].startswith("OSError: ") and "sensor is gone" in reasons[0], reasons[0]
        assert reasons[1] == "at most 100"
        assert "dance" in reasons[2]
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
            return {"blinks": 3}

        cloud.queue("a", {"operation": "wrong"})
        await all_done(agent, cloud)
        assert cloud.statuses() == ["FAILED"]
        assert "statusDetails['blinks']" in cloud.executions[0]["statusDetails"]["reason"]

    run(scenario)


def test_step_timer_is_reset_while_an_async_handler_runs():
    async def scenario(agent, cloud):
        cloud.queue("a", {"operation": "long", "n": 8})
        await all_done(agent, cloud)
        kept = [body for body in cloud.updates() if body["status"] == "IN_PROGRESS"]
        assert len(kept) >= 2, kept
        assert all(body["stepTimeoutInMinutes"] == 10 for body in kept)
        assert kept[-1]["statusDetails"]["progress"].endswith("/8")
        assert [body["expectedVersion"] for body in cloud.updates()] == list(range(2, len(cloud.updates()) + 2))
        assert cloud.executions[0]["statusDetails"]["progress"] == "8/8"

    run(scenario, handlers, update_interval=0.1)


def test_step_timer_is_reset_by_tick_in_a_plain_handler():
    async def scenario(agent, cloud):
        cloud.queue("a", {"operation": "plain", "n": 8})
        await all_done(agent, cloud)
        kept = [body for body in cloud.updates() if body["status"] == "IN_PROGRESS"]
        assert len(kept) >= 2, kept
        assert cloud.statuses() == ["SUCCEEDED"]
        await agent.client.get_pending()

    run(scenario, handlers, update_interval=0.1)


def test_a_plain_handler_gets_its_link_back_in_tick():
    async def scenario(agent, cloud):
        cloud.queue("a", {"operation": "plain", "n": 60})
        await until(lambda: len(cloud.updates()) >= 1)
        cloud.broker.wires[-1].end()
        await until(lambda: len(cloud.broker.wires) == 2)
        await until(lambda: len(cloud.updates()) >= 3 or cloud.done())
        assert cloud.updates()[2]["status"] == "IN_PROGRESS"
        await all_done(agent, cloud)
        assert cloud.statuses() == ["SUCCEEDED"]

    run(scenario, handlers, update_interval=0.1)


def test_cancellation_stops_an_async_handler_at_the_notification():
    async def scenario(agent, cloud):
        execution = cloud.queue("a", {"operation": "for-ever"})
        await until(lambda: agent.seen)
        cloud.end(execution)
        cloud.queue("b", {"operation": "quick"})
        await until(cloud.done)
        assert cloud.statuses() == ["CANCELED", "SUCCEEDED"]

    run(scenario, handlers)


def test_cancellation_without_notification_is_seen_by_the_next_keep_alive():
    async def scenario(agent, cloud):
        cloud.quiet = True
        await until(lambda: agent._waiting is not False or agent.link.up.is_set())
        cloud.quiet = False
        execution = cloud.queue("a", {"operation": "for-ever"})
        await until(lambda: agent.seen)
        cloud.quiet = True
        cloud.end(execution, "TIMED_OUT")
        await until(lambda: agent.journal.acknowledged)
        assert cloud.statuses() == ["TIMED_OUT"]

    run(scenario, handlers, update_interval=0.1)


def test_cancellation_stops_a_plain_handler_in_tick():
    async def scenario(agent, cloud):
        execution = cloud.queue("a", {"operation": "plain", "n": 1000})
        await until(lambda: len(cloud.updates()) >= 1)
        cloud.end(execution)
        await until(lambda: agent.journal.acknowledged)
        assert cloud.statuses() == ["CANCELED"]

    run(scenario, handlers, update_interval=0.1)


def test_a_deleted_job_stops_its_handler():
    async def scenario(agent, cloud):
        cloud.queue("a", {"operation": "for-ever"})
        await until(lambda: agent.seen)
        cloud.executions.clear()
        cloud._notify()
        await until(lambda: agent.journal.acknowledged)

    run(scenario, handlers)


def test_lost_requests_and_replies_end_in_one_result():
    async def scenario(agent, cloud):
        await until(lambda: agent._waiting is False)
        for number, (requests, replies) in enumerate(((1, 0), (0, 1), (2, 0), (0, 2))):
            cloud.lose_requests, cloud.lose_replies = requests, replies
            cloud.queue("start-%d" % number, {"operation": "quick"})
            await all_done(agent, cloud)
            await until(lambda: agent._waiting is False)
        assert cloud.statuses() == ["SUCCEEDED"] * 4
        assert len(agent.seen) == 4

    run(scenario, handlers)


def test_lost_reply_to_the_terminal_update_is_reconciled():
    async def scenario(agent, cloud):
        @agent.on("lossy")
        def lossy(job):
            cloud.lose_replies = 1

        cloud.queue("a", {"operation": "lossy"})
        await all_done(agent, cloud)
        assert cloud.statuses() == ["SUCCEEDED"]
        assert cloud.executions[0]["versionNumber"] == 3
        assert len(cloud.updates()) == 2

    run(scenario)


def test_version_changed_elsewhere_is_adopted():
    async def scenario(agent, cloud):
        @agent.on("moved")
        def moved(job):
            cloud.executions[0]["versionNumber"] = 7

        cloud.queue("a", {"operation": "moved"})
        await all_done(agent, cloud)
        assert cloud.executions[0]["versionNumber"] == 8
        assert [body["expectedVersion"] for body in cloud.updates()] == [2, 7]

    run(scenario)


def test_throttling_and_internal_errors_are_tried_again():
    async def scenario(agent, cloud):
        cloud.refuse = ["RequestThrottled", "InternalError"]
        cloud.queue("a", {"operation": "quick"})
        await all_done(agent, cloud)
        assert cloud.statuses() == ["SUCCEEDED"]

    run(scenario, handlers)


def test_a_result_survives_a_reset_and_is_sent_once():
    def cut(agent):
        handlers(agent)

        @agent.on("cut")
        def last(job):
            agent.seen.append("ran")
            agent.cloud.lose_requests = 1000
            return {"answer": "42"}

    cloud = Cloud()
    remove(DIRECTORY)

    async def first(agent, cloud):
        agent.cloud = cloud
        await until(lambda: len(cloud.updates()) >= 1)

    async def second(agent, cloud):
        cloud.lose_requests = 0
        await all_done(agent, cloud)
        assert agent.seen == []
        assert cloud.statuses() == ["SUCCEEDED"]
        assert cloud.executions[0]["statusDetails"] == {"answer": "42"}

    cloud.queue("a", {"operation": "cut"})
    run(first, cut, cloud, keep=True)
    run(second, cut, cloud, keep=True)
    remove(DIRECTORY)


def reset_while_running(operation, resets):
    """Reset the board while the handler runs, so many times, then let it finish. Return what the handlers saw."""
    cloud = Cloud()
    remove(DIRECTORY)
    cloud.queue("a", {"operation": operation})
    seen = []

    async def interrupted(agent, cloud):
        await until(lambda: agent.seen)
        seen.extend(agent.seen)

    async def finishing(agent, cloud):
        await all_done(agent, cloud)
        seen.extend(agent.seen)

    for _ in range(resets):
        run(interrupted, handlers, cloud, keep=True)
    run(finishing, handlers, cloud, keep=True)
    remove(DIRECTORY)
    return seen, cloud.executions[0]


def test_rerun_starts_again_until_max_attempts():
    seen, execution = reset_while_running("for-ever", 3)
    assert seen == [1, 2, 3]
    assert execution["status"] == "FAILED"
    assert "reset" in execution["statusDetails"]["reason"]


def test_fail_on_restart_does_not_run_again():
    seen, execution = reset_while_running("once", 1)
    assert seen == [1]
    assert execution["status"] == "FAILED"


def test_resume_finds_its_checkpoint():
    seen, execution = reset_while_running("steps", 2)
    assert seen == [None, {"step": 1}, {"step": 2}]
    assert execution["status"] == "SUCCEEDED"
    assert execution["statusDetails"] == {"attempts": "3"}


def test_a_job_that_ended_while_the_board_was_off_is_dropped():
    cloud = Cloud()
    remove(DIRECTORY)
    execution = cloud.queue("a", {"operation": "for-ever"})

    async def first(agent, cloud):
        await until(lambda: agent.seen)

    async def second(agent, cloud):
        cloud.queue("b", {"operation": "quick"})
        await all_done(agent, cloud)
        assert agent.seen == ["b"]

    run(first, handlers, cloud, keep=True)
    cloud.end(execution, "TIMED_OUT")
    run(second, handlers, cloud, keep=True)
    assert cloud.statuses() == ["TIMED_OUT", "SUCCEEDED"]
    remove(DIRECTORY)


def test_an_execution_handed_out_again_after_its_result_is_not_run_again():
    async def scenario(agent, cloud):
        execution = cloud.queue("a", {"operation": "quick"})
        await all_done(agent, cloud)
        await until(lambda: agent._waiting is False)
        # A service restored from a backup, say: it has forgotten the result.
        execution["status"] = "IN_PROGRESS"
        cloud._front = None
        agent._link_changed(True)
        await until(cloud.done)
        assert agent.seen == ["a"]
        assert cloud.statuses() == ["SUCCEEDED"]

    run(scenario, handlers)


def test_a_job_made_anew_with_the_same_id_is_run():
    async def scenario(agent, cloud):
        cloud.queue("a", {"operation": "quick"})
        await all_done(agent, cloud)
        cloud.executions.clear()
        cloud.queue("a", {"operation": "quick"}, queued_at=2000)
        await all_done(agent, cloud)
        assert agent.seen == ["a", "a"]

    run(scenario, handlers)


def test_a_document_over_the_receive_limit_is_rejected_with_the_reason():
    async def scenario(agent, cloud):
        cloud.queue("a", {"operation": "quick", "text": "x" * 3000})
        cloud.queue("b", {"operation": "quick"})
        await all_done(agent, cloud)
        assert cloud.statuses() == ["REJECTED", "SUCCEEDED"]
        assert "receive_limit" in cloud.executions[0]["statusDetails"]["reason"]

    run(scenario, handlers, receive_limit=2000)


def test_a_flash_that_takes_nothing_fails_the_job_and_the_agent_goes_on():
    async def scenario(agent, cloud):
        def full(name, data):
            raise OSError(28)

        agent.journal._write, real = full, agent.journal._write
        cloud.queue("a", {"operation": "quick"})
        await until(cloud.done)
        assert agent.seen == []
        assert cloud.statuses() == ["FAILED"]
        assert "journal" in cloud.executions[0]["statusDetails"]["reason"]
        agent.journal._write = real

    run(scenario, handlers)


def test_whatever_arrives_the_agent_goes_on():
    async def scenario(agent, cloud):
        await until(lambda: agent._waiting is False)
        start = b"$aws/things/thing/jobs/"
        for suffix in (b"notify-next", b"notify", b"start-next/accepted", b"a/update/rejected", b"x/y/z", b""):
            for payload in (b"", b"{", b"[]", b"null", b'{"execution": 5}', b'{"execution": {"jobId": 5}}', b"\xff"):
                cloud.broker.send(start + suffix, payload)
        cloud.broker.send(b"$aws/things/other/jobs/notify-next", b"{}")
        cloud.queue("a", {"operation": "quick"})
        await all_done(agent, cloud)
        assert len(cloud.broker.wires) == 1

    run(scenario, handlers)


def test_reconnecting_asks_again():
    async def scenario(agent, cloud):
        await until(lambda: agent._waiting is False)
        cloud.quiet = True
        cloud.broker.wires[-1].end()
        cloud.queue("a", {"operation": "quick"})
        await all_done(agent, cloud)

    run(scenario, handlers)


def test_wrong_arguments_are_refused_by_name():
    agent = Agent("thing", link=Link(b"thing", "host"), directory=DIRECTORY)
    assert "ca" in str(raises(ValueError, Agent, "thing", "host"))
    assert "thingName" in str(raises(ValueError, Agent, "a/b", link=agent.link, directory=DIRECTORY))
    assert "step_timeout" in str(raises(ValueError, agent.on, "x", step_timeout=0))
    assert "on_restart" in str(raises(ValueError, agent.on, "x", on_restart="never"))
    assert "max_attempts" in str(raises(ValueError, agent.on, "x", max_attempts=0))
    assert "dance" in str(raises(ValueError, agent.use, "dance"))
    remove(DIRECTORY)


def test_the_journal_names_the_job_before_the_handler_runs():
    async def scenario(agent, cloud):
        @agent.on("look")
        def look(job):
            found = Journal(DIRECTORY)
            return {"found": "%s %d %s" % (found.job_id, found.version, found.status)}

        cloud.queue("a", {"operation": "look"})
        await all_done(agent, cloud)
        assert cloud.executions[0]["statusDetails"] == {"found": "a 2 IN_PROGRESS"}
        after = Journal(DIRECTORY)
        assert after.acknowledged
        assert after.status == "SUCCEEDED"

    run(scenario)


def test_a_hint_during_a_keep_alive_calls_for_another():
    async def scenario(agent, cloud):
        execution = cloud.queue("a", {"operation": "for-ever"})
        await until(lambda: agent.seen)
        send, held = cloud.broker.send, []
        cloud.broker.send = hold_replies(send, held)
        agent._job.hurry()
        await until(lambda: held)
        # Accepted, but the answer is on its way still when the cancellation is announced.
        cloud.end(execution)
        await until(lambda: agent._job._hurry.is_set())
        cloud.broker.send = send
        send(*held[0])
        await until(lambda: agent.journal.acknowledged, 3)

    run(scenario, handlers)


class FakeMachine:
    PWRON_RESET, HARD_RESET = 1, 2

    def __init__(self):
        self.resets = 0

    def reset(self):
        self.resets += 1

    def reset_cause(self):
        return self.HARD_RESET


def test_the_built_in_reboot_succeeds_only_after_the_reset():
    sys.modules["machine"] = machine = FakeMachine()
    cloud = Cloud()
    remove(DIRECTORY)
    cloud.queue("a", {"operation": "reboot"})

    def setup(agent):
        agent.use("reboot")

        def reset():
            machine.resets += 1
            # What a reset does to the program: nothing after it runs.
            raise asyncio.CancelledError

        machine.reset = reset

    async def before(agent, cloud):
        await until(lambda: machine.resets)
        assert cloud.statuses() == ["IN_PROGRESS"]

    async def after(agent, cloud):
        await all_done(agent, cloud)
        assert machine.resets == 1
        assert cloud.executions[0]["statusDetails"] == {"reset_cause": "HARD_RESET"}
        assert "ujobs.handlers.reboot" not in sys.modules

    try:
        run(before, setup, cloud, keep=True)
        run(after, setup, cloud, keep=True)
    finally:
        del sys.modules["machine"]
        remove(DIRECTORY)


def test_a_built_in_handler_that_is_not_installed_rejects_the_job():
    async def scenario(agent, cloud):
        agent._handlers["files"] = "files"
        cloud.queue("a", {"operation": "files"})
        cloud.queue("b", {"operation": "quick"})
        await all_done(agent, cloud)
        assert cloud.statuses() == ["REJECTED", "SUCCEEDED"]
        assert "files" in cloud.executions[0]["statusDetails"]["reason"]

    run(scenario, handlers)


def hold_replies(send, held):
    def hold(topic, payload, qos=0):
        if topic.endswith(b"/accepted"):
            held.append((topic, payload, qos))
        else:
            send(topic, payload, qos)

    return hold
