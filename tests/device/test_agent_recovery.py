"""The agent after resets, lost replies and full flash: no job is lost, and no result is reported twice."""

import asyncio

from agent_handlers import all_done, handlers, reset_while_running
from broker import until
from cloud import DIRECTORY, Cloud, idle, remove, run
from replaced import Replaced
from ujobs.journal import Journal


def test_lost_requests_and_replies_end_in_one_result():
    async def scenario(agent, cloud):
        await until(lambda: idle(agent))
        for number, (requests, replies) in enumerate(((1, 0), (0, 1), (2, 0), (0, 2))):
            cloud.lose_requests, cloud.lose_replies = requests, replies
            cloud.queue("start-%d" % number, {"operation": "quick"})
            await all_done(agent, cloud)
            await until(lambda: idle(agent))
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

    class Terse(Cloud):
        # Its rejections have a state without version.
        def _update(self, execution, body):
            reply = super()._update(execution, body)
            reply.get("executionState", {}).pop("versionNumber", None)
            return reply

    run(scenario)
    run(scenario, cloud=Terse())


def test_after_a_job_that_had_ended_already_the_next_one_is_asked_for_at_once():
    times = []

    def end():
        # Nothing tells the board: the message came before.
        cloud.end(cloud.executions[0])
        times.append(cloud.clock.seconds())

    async def while_it_works(job):
        end()
        await job.check_in()

    for handler in (lambda job: end(), while_it_works):

        def setup(agent, handler=handler):
            agent.on("ended")(handler)
            agent.on("next")(lambda job: times.append(cloud.clock.seconds()))

        cloud = Cloud()
        cloud.quiet = True
        cloud.queue("a", {"operation": "ended"})
        cloud.queue("b", {"operation": "next"})
        run(all_done, setup, cloud, timeout=5)
        assert cloud.statuses() == ["CANCELED", "SUCCEEDED"]
        assert times[-1] - times[-2] < 0.5, times


def test_a_version_changed_elsewhere_is_reconciled():
    async def scenario(agent, cloud):
        @agent.on("moved")
        def moved(job):
            cloud.executions[0]["versionNumber"] = 7

        cloud.queue("a", {"operation": "moved"})
        await all_done(agent, cloud)
        assert cloud.executions[0]["versionNumber"] == 8
        assert [body["expectedVersion"] for body in cloud.updates()] == [2, 7]

    run(scenario)


def test_a_result_is_kept_while_the_version_changes_again_and_again():
    for times, seconds in ((2, 1), (3, 60)):
        changing_versions(times, seconds)


def changing_versions(times, seconds):
    async def scenario(agent, cloud):
        answer = cloud._answer
        changes = [1] * times

        def changing(suffix, body):
            if body.get("status") == "SUCCEEDED" and changes:
                cloud.executions[0]["versionNumber"] += changes.pop()
            return answer(suffix, body)

        cloud._answer = changing
        cloud.queue("a", {"operation": "quick"})
        await until(cloud.done, seconds)
        assert agent.seen == ["a"] and not changes
        assert cloud.statuses() == ["SUCCEEDED"]
        assert cloud.executions[0]["statusDetails"] == {"answer": "None"}

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


def attempts(operation, resets):
    """Reset the board while the handler runs; return what each of its attempts has seen, and the execution."""
    seen = []
    execution = reset_while_running({"operation": operation}, resets, lambda agent: handlers(agent, seen), seen)
    return seen, execution


def test_rerun_makes_at_most_max_attempts():
    seen, execution = attempts("for-ever", 3)
    assert seen == [1, 2, 3]
    assert execution["status"] == "FAILED"
    assert "reset" in execution["statusDetails"]["reason"]


def test_a_handler_that_crashes_the_board_on_import_fails_its_job():
    cloud = Cloud()
    remove(DIRECTORY)
    execution = cloud.queue("a", {"operation": "deadly"})
    execution["status"] = "IN_PROGRESS"
    journal = Journal(DIRECTORY)
    journal.begin(execution, 50)

    def setup(agent):
        agent.use("reboot")
        agent._handlers["deadly"] = ("deadly",) + agent._handlers["reboot"][1:]

    async def scenario(agent, cloud):
        await all_done(agent, cloud)
        # A handler that cannot be imported would be REJECTED.
        assert cloud.statuses() == ["FAILED"]
        assert "attempt 50" in execution["statusDetails"]["reason"]

    run(scenario, setup, cloud, keep=True)
    remove(DIRECTORY)


def test_a_handler_with_fail_on_restart_is_not_rerun():
    seen, execution = attempts("once", 1)
    assert seen == [1]
    assert execution["status"] == "FAILED"


def test_a_resumed_handler_gets_its_checkpoint():
    seen, execution = attempts("steps", 2)
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


def test_a_job_cut_short_goes_on_before_those_in_the_queue():
    cloud = Cloud()
    remove(DIRECTORY)
    cloud.queue("a", {"operation": "steps"})
    cloud.queue("b", {"operation": "quick"})

    async def first(agent, cloud):
        await until(lambda: agent.seen)

    async def second(agent, cloud):
        agent.gate = gate
        await until(lambda: agent.seen)

    async def third(agent, cloud):
        agent.gate = gate
        await all_done(agent, cloud)
        assert agent.seen == [{"step": 2}, "b"]

    def gate(job):
        # Of a job that is in progress it is not asked.
        assert job.job_id == "b"

    for scenario in (first, second, third):
        run(scenario, handlers, cloud, keep=True)
    assert cloud.statuses() == ["SUCCEEDED"] * 2
    remove(DIRECTORY)


def test_a_finished_execution_that_is_handed_out_again_is_not_rerun():
    async def scenario(agent, cloud):
        execution = cloud.queue("a", {"operation": "quick"})
        await all_done(agent, cloud)
        await until(lambda: idle(agent))
        # The service has lost the result, for example after a restore from a backup.
        execution["status"] = "IN_PROGRESS"
        cloud._front = None
        agent._link_changed(True)
        await until(cloud.done)
        assert agent.seen == ["a"]
        assert cloud.statuses() == ["SUCCEEDED"]

    run(scenario, handlers)


def test_a_job_created_again_with_the_same_id_is_run():
    async def scenario(agent, cloud):
        cloud.queue("a", {"operation": "quick"})
        await all_done(agent, cloud)
        cloud.executions.clear()
        cloud.queue("a", {"operation": "quick"}, queued_at=2000)
        await all_done(agent, cloud)
        assert agent.seen == ["a", "a"]

    run(scenario, handlers)


def test_a_flash_that_cannot_be_written_fails_the_job_and_the_agent_continues():
    def full(name, data):
        raise OSError(28)

    async def scenario(agent, cloud):
        with Replaced(agent.journal, _write=full):
            cloud.queue("a", {"operation": "quick"})
            cloud.queue("too-large", {"operation": "quick", "text": "x" * 3000})
            await until(cloud.done)
        assert agent.seen == []
        assert cloud.statuses() == ["FAILED", "FAILED"]
        assert "journal" in cloud.reasons()[0]

    run(scenario, handlers, receive_limit=2000)


def test_a_start_for_which_there_is_no_memory_is_no_attempt():
    seen = []

    def work(job):
        seen.append(job.attempt)

    def setup(agent):
        agent.on("work", on_restart="fail", max_attempts=1)(work)

    for written in (False, True):

        async def scenario(agent, cloud, written=written):
            write = agent.journal._write
            errors = [MemoryError(), MemoryError()]

            def writing(name, data):
                if written:
                    write(name, data)
                if errors:
                    raise errors.pop()
                write(name, data)

            with Replaced(agent.journal, _write=writing):
                cloud.queue("a", {"operation": "work"})
                await until(cloud.done, 60)
            assert not errors
            assert cloud.statuses() == ["SUCCEEDED"]
            assert seen.pop() == 1
            assert not seen

        run(scenario, setup)


def test_a_result_for_which_there_is_no_memory_is_reported_all_the_same():
    async def waits(job):
        await asyncio.sleep(1)

    def plain(job):
        pass

    for handler in (waits, plain):

        async def scenario(agent, cloud):
            record = agent.journal._record
            errors = [MemoryError()]

            def recording():
                if errors and agent.journal.status == "SUCCEEDED":
                    raise errors.pop()
                return record()

            agent.journal._record = recording
            cloud.queue("a", {"operation": "work"})
            cloud.queue("b", {"operation": "quick"})
            await all_done(agent, cloud)
            assert not errors
            assert cloud.statuses() == ["SUCCEEDED", "SUCCEEDED"]

        def setup(agent, handler=handler):
            handlers(agent)
            agent.on("work")(handler)

        run(scenario, setup)


def test_the_job_is_in_the_journal_before_the_handler_starts():
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
