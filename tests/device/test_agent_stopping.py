"""Handlers that are stopped, refused updates, and floods of notifications, in fast time."""

import asyncio

import cloud
import ujobs.job
from agent_handlers import handlers
from broker import raises, until
from cloud import DIRECTORY, PREFIX, ended, idle
from replaced import Replaced
from ujobs.journal import Journal

LONG = 3 * 3600  # seconds


def run(scenario):
    return cloud.run(scenario, handlers, timeout=10)


def slow_to_stop(agent, seconds, time_limit=1440):
    @agent.on("slow", time_limit=time_limit)
    async def slow(job):
        agent.seen.append("slow begins")
        try:
            await asyncio.sleep(100000)
        finally:
            # Clean-up takes time, for example to park a motor.
            await asyncio.sleep(seconds)
            agent.seen.append("slow has ended")


def hoarding(seconds, time_limit):
    """Run a job that leaves no memory for so many seconds; return its execution, and how often it was begun."""
    short = []
    began = []
    missed = []
    found = []

    def scarce(event, seconds, real=ujobs.job.until):
        if short:
            missed.append(seconds)
            assert len(missed) < 1000, "nobody else gets a turn"
            raise MemoryError
        return real(event, seconds)

    def setup(agent):
        handlers(agent)

        @agent.on("hoard", on_restart="fail", time_limit=time_limit)
        async def hoard(job):
            began.append(job.attempt)
            await asyncio.sleep(1)
            short.append(True)
            try:
                await asyncio.sleep(seconds)
            finally:
                short.clear()

    async def scenario(agent, cloud):
        execution = cloud.queue("a", {"operation": "hoard"})
        await until(cloud.done, LONG)
        found.append(execution)

    with Replaced(ujobs.job, until=scarce):
        cloud.run(scenario, setup, timeout=10, update_interval=5)
    assert missed
    return found[0], began


def test_a_handler_that_holds_all_the_memory_goes_on_and_is_not_started_again():
    execution, began = hoarding(30, 1440)
    assert execution["status"] == "SUCCEEDED" and began == [1]


def test_a_handler_that_holds_all_the_memory_is_stopped_at_its_time_limit():
    execution, began = hoarding(3600, 1)
    assert execution["status"] == "FAILED" and began == [1]
    assert "time limit of 1 minutes" in execution["statusDetails"]["reason"]


def test_the_next_job_waits_until_a_cancelled_handler_has_stopped():
    async def scenario(agent, cloud):
        slow_to_stop(agent, 20)
        execution = cloud.queue("a", {"operation": "slow"})
        await until(lambda: agent.seen)
        cloud.queue("b", {"operation": "quick"})
        cloud.end(execution)
        await until(cloud.done, LONG)
        assert agent.seen == ["slow begins", "slow has ended", "b"]
        assert cloud.statuses() == ["CANCELED", "SUCCEEDED"]

    run(scenario)


def test_the_next_job_waits_until_a_cancelled_plain_handler_has_ended():
    async def scenario(agent, cloud):
        def tick(job):
            ujobs.job.time.sleep_ms(50)
            job.tick()

        @agent.on("park")
        def park(job):
            agent.seen.append("park begins")
            cloud.queue("b", {"operation": "quick"})
            cloud.end(cloud.executions[0])
            try:
                while True:
                    tick(job)
            finally:
                # It parks a motor.
                for _ in range(40):
                    raises(asyncio.CancelledError, tick, job)
                agent.seen.append("park has ended")

        cloud.queue("a", {"operation": "park"})
        await until(cloud.done, LONG)
        assert agent.seen == ["park begins", "park has ended", "b"]
        assert cloud.statuses() == ["CANCELED", "SUCCEEDED"]

    run(scenario)


def test_what_a_handler_returns_is_not_begun_once_its_job_is_cancelled():
    async def scenario(agent, cloud):
        @agent.on("prepare")
        def prepare(job):
            cloud.end(cloud.executions[0])
            try:
                while True:
                    ujobs.job.time.sleep_ms(50)
                    job.tick()
            except asyncio.CancelledError:
                pass
            made.append(work())
            return made[0]

        async def work():
            agent.seen.append("begun")

        made = []

        cloud.queue("a", {"operation": "prepare"})
        await until(lambda: agent.journal.acknowledged and cloud.done(), LONG)
        await until(lambda: idle(agent))
        made[0].close()
        assert agent.seen == []

    run(scenario)


def test_the_record_of_a_cancelled_job_is_closed_before_the_next_is_asked_for():
    closed = []

    async def scenario(agent, cloud):
        answer = cloud._answer

        def looking(suffix, body):
            if suffix == "start-next":
                closed.append(Journal(DIRECTORY).acknowledged)
            return answer(suffix, body)

        cloud._answer = looking
        slow_to_stop(agent, 1)
        execution = cloud.queue("a", {"operation": "slow"})
        await until(lambda: agent.seen)
        cloud.end(execution)
        await until(lambda: len(closed) == 2, 60)

    run(scenario)
    assert closed == [True, True]


def test_a_handler_is_cancelled_with_its_agent():
    async def scenario(agent, cloud):
        slow_to_stop(agent, 20)
        cloud.queue("a", {"operation": "slow"})
        await until(lambda: agent.seen)
        agents[-1].cancel()
        await until(lambda: len(agent.seen) == 2, 60)
        assert cloud.statuses() == ["IN_PROGRESS"]
        # And so is its connection, for good.
        await until(lambda: not agent.link.up.is_set())
        await asyncio.sleep(60)
        assert [wire.closed for wire in cloud.broker.wires] == [True]

    agents = cloud._running
    run(scenario)


def test_an_agent_that_is_run_again_waits_for_the_handler_of_before():
    async def scenario(agent, cloud):
        slow_to_stop(agent, 20)
        cloud.queue("a", {"operation": "slow"})
        await until(lambda: agent.seen)
        first = agents.pop()
        first.cancel()
        await ended(first)
        agents.append(asyncio.create_task(agent.run()))
        try:
            await until(lambda: len(agent.seen) == 3, 60)
        finally:
            agents[-1].cancel()
            await ended(agents[-1])
            agents[-1] = first
        assert agent.seen[:3] == ["slow begins", "slow has ended", "slow begins"]

    agents = cloud._running
    run(scenario)


def test_a_task_that_a_handler_leaves_behind_does_not_touch_the_next_job():
    said = []

    async def scenario(agent, cloud):
        async def stray(job):
            try:
                await until(lambda: agent.journal.job_id == "b")
                for call in (job.check_in, job.progress, lambda: job.save({"of": "a"})):
                    try:
                        result = call()
                        if result:
                            await result
                        said.append("done")
                    except asyncio.CancelledError:
                        said.append("stopped")
            finally:
                said.append("ended")

        @agent.on("leaves")
        async def leaves(job):
            job.noted("of", "a")
            asyncio.create_task(stray(job))  # noqa: RUF006

        @agent.on("next", on_restart="resume")
        async def following(job):
            await until(lambda: said[-1:] == ["ended"])
            return {"checkpoint": str(job.checkpoint)}

        cloud.queue("a", {"operation": "leaves"})
        cloud.queue("b", {"operation": "next"})
        await until(cloud.done, LONG)
        assert said == ["stopped", "stopped", "stopped", "ended"]
        assert cloud.executions[1]["statusDetails"] == {"checkpoint": "None"}
        assert not [body for body in cloud.updates() if body["status"] == "IN_PROGRESS"]

    run(scenario)


def test_the_next_job_waits_until_a_handler_over_its_time_limit_has_stopped():
    async def scenario(agent, cloud):
        slow_to_stop(agent, 20, 90)
        cloud.queue("a", {"operation": "slow"})
        cloud.queue("b", {"operation": "quick"})
        await until(cloud.done, LONG)
        assert agent.seen == ["slow begins", "slow has ended", "b"]
        assert cloud.statuses() == ["FAILED", "SUCCEEDED"]
        assert cloud.reasons()[0] == "TimeoutError: over its time limit of 90 minutes"
        assert 90 * 60 <= cloud.clock.seconds() < 92 * 60
        renewed = cloud.renewals()
        assert len(renewed) >= 90 // 10, "until then its step timer was renewed"

    run(scenario)


def test_a_handler_over_its_time_limit_is_told_so_again_when_it_checks_in():
    async def scenario(agent, cloud):
        @agent.on("late", time_limit=10)
        async def late(job):
            try:
                await asyncio.sleep(LONG)
            finally:
                # The service still wants the job.
                await job.check_in()
                agent.seen.append("a step that cannot be undone")

        cloud.queue("a", {"operation": "late"})
        await until(cloud.done, LONG)
        assert not agent.seen
        assert cloud.reasons() == ["TimeoutError: over its time limit of 10 minutes"]

    run(scenario)


def test_a_handler_within_its_time_limit_is_not_stopped():
    async def scenario(agent, cloud):
        @agent.on("slow", time_limit=90)
        async def slow(job):
            await asyncio.sleep(89 * 60)

        cloud.queue("a", {"operation": "slow"})
        await until(cloud.done, LONG)
        assert cloud.statuses() == ["SUCCEEDED"]

    run(scenario)


def test_a_handler_that_does_not_stop_ends_the_agent_and_only_its_own_job():
    async def scenario(agent, cloud):
        @agent.on("stubborn", time_limit=10)
        async def stubborn(job):
            while True:
                try:
                    await asyncio.sleep(10)
                except asyncio.CancelledError:
                    agent.seen.append("no")
                if "over" in agent.seen:
                    return

        cloud.queue("a", {"operation": "stubborn"})
        cloud.queue("b", {"operation": "quick"})
        await until(cloud.task.done, LONG)
        assert agent.seen == ["no"]
        # The program restarts the board. Then the agent reports this result, and runs the next job.
        journal = Journal(DIRECTORY)
        assert (journal.job_id, journal.status, journal.acknowledged) == ("a", "FAILED", False)
        assert "10 minutes" in journal.details["reason"]
        agent.seen.append("over")
        await asyncio.sleep(11)

    assert "job a does not stop" in str(raises(RuntimeError, run, scenario))


def test_the_next_job_does_not_wait_when_one_is_cancelled_as_it_ends():
    async def scenario(agent, cloud):
        @agent.on("ends")
        def ends(job):
            # The notification about the next job arrives before the result is sent; none follows.
            cloud.end(cloud.executions[0])

        cloud.queue("a", {"operation": "ends"})
        cloud.queue("b", {"operation": "quick"})
        await until(cloud.done)
        assert cloud.statuses() == ["CANCELED", "SUCCEEDED"]
        assert cloud.clock.seconds() < 5, cloud.clock.seconds()

    run(scenario)


def test_many_notifications_cause_one_update_a_second():
    async def scenario(agent, cloud):
        @agent.on("wait")
        async def wait(job):
            agent.seen.append("wait")
            await asyncio.sleep(20)

        cloud.queue("a", {"operation": "wait"})
        await until(lambda: agent.seen)
        while not cloud.done():
            cloud.broker.send(PREFIX + b"notify-next", b'{"timestamp": 1}')
            await asyncio.sleep(0.01)
        # One update per second, and the result.
        assert 10 <= len(cloud.updates()) <= 22, len(cloud.updates())
        assert cloud.statuses() == ["SUCCEEDED"]

    run(scenario)


REFUSALS = (
    {"code": "NeverHeardOf", "message": "?"}, {"code": "InvalidRequest", "message": "no"}, {},
    {"code": "RequestThrottled", "message": "slow down"}, {"code": "InternalError"}, {"code": "VersionMismatch"},
    {"code": "InvalidStateTransition", "executionState": {"status": "IN_PROGRESS", "versionNumber": 2}},
)


def test_status_details_survive_every_refusal_that_does_not_end_the_execution():
    async def scenario(agent, cloud):
        @agent.on("answer")
        def answer(job):
            return {"answer": "42"}

        refusals = [dict(one) for one in REFUSALS for _ in range(4)]
        reply = cloud._answer

        def refuse(suffix, body):
            if suffix.endswith("/update") and refusals:
                return dict(refusals.pop(), code=refusals[-1].get("code", "") if refusals else "X")
            return reply(suffix, body)

        cloud._answer = refuse
        cloud.queue("a", {"operation": "answer"})
        await until(cloud.done, LONG)
        assert not refusals
        assert cloud.executions[0]["statusDetails"] == {"answer": "42"}
        assert [body["statusDetails"] for body in cloud.updates()] == [{"answer": "42"}] * len(cloud.updates())

    run(scenario)


def test_a_refused_result_is_retried_with_growing_pauses():
    async def scenario(agent, cloud):
        times = []
        reply = cloud._answer

        def refuse(suffix, body):
            if suffix.endswith("/update"):
                times.append(cloud.clock.seconds())
                if len(times) < 8:
                    return {"code": "NeverHeardOf", "message": "?"}
            return reply(suffix, body)

        cloud._answer = refuse
        cloud.queue("a", {"operation": "quick"})
        await until(cloud.done, LONG)
        pauses = [late - early for early, late in zip(times, times[1:])]
        assert [int(pause) for pause in pauses] == [10, 20, 40, 80, 160, 160, 160], pauses

    run(scenario)


def test_a_result_without_state_or_token_in_its_refusal_is_kept():
    async def scenario(agent, cloud):
        answer = cloud.broker.on_publish
        refused = []

        def refuse(topic, payload):
            if topic.endswith(b"/update") and len(refused) < 3:
                refused.append(payload)
                cloud.broker.send(topic + b"/rejected", b'{"code": "InvalidJson", "message": "what?"}')
            else:
                answer(topic, payload)

        cloud.broker.on_publish = refuse
        cloud.queue("a", {"operation": "quick"})
        await until(cloud.done, LONG)
        assert len(refused) == 3
        assert cloud.statuses() == ["SUCCEEDED"]

    run(scenario)


def test_a_job_announced_while_a_result_is_retried_does_not_wait():
    async def scenario(agent, cloud):
        await until(lambda: idle(agent))
        reply = cloud._reply

        def lose(topic, payload):
            # Refuse everything that the agent sends before it pauses.
            if len(cloud.updates()) not in (1, 2, 3):
                reply(topic, payload)

        cloud._reply = lose
        cloud.queue("a", {"operation": "quick"})
        cloud.quiet = True
        await until(lambda: len(cloud.updates()) == 3, LONG)
        cloud.queue("b", {"operation": "quick"})
        cloud.broker.send(PREFIX + b"notify-next", b'{"timestamp": 2, "execution": {"jobId": "b"}}')
        await until(lambda: len(cloud.updates()) >= 4, LONG)
        # The notification was sent earlier, but arrives later.
        cloud.broker.send(PREFIX + b"notify-next", b'{"timestamp": 1}')
        await until(cloud.done, 300)

    run(scenario)
