"""Handlers that are stopped, updates that are refused, and floods of notifications, in fast time."""

import asyncio

import fast_time
from cloud import DIRECTORY, PREFIX, Cloud, beside, idle, remove
from ujobs.agent import Agent
from ujobs.journal import Journal
from ujobs.link import Link


def run(scenario):
    """Run scenario(agent, cloud, clock, running) concurrently with the agent."""

    async def main(clock):
        cloud = Cloud()
        agent = Agent("thing", link=Link(b"thing", "host"), directory=DIRECTORY)
        agent.seen = []

        @agent.on("quick")
        def quick(job):
            agent.seen.append("quick")

        await beside(agent, cloud.broker, lambda task: scenario(agent, cloud, clock, task))

    remove(DIRECTORY)
    fast_time.run(main)
    remove(DIRECTORY)


async def until(condition, clock, seconds=3 * 3600):
    started = clock.seconds()
    while not condition():
        assert clock.seconds() - started < seconds
        await asyncio.sleep(0.1)


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


def test_the_next_job_waits_until_a_cancelled_handler_has_stopped():
    async def scenario(agent, cloud, clock, running):
        slow_to_stop(agent, 20)
        execution = cloud.queue("a", {"operation": "slow"})
        await until(lambda: agent.seen, clock)
        cloud.queue("b", {"operation": "quick"})
        cloud.end(execution)
        await until(cloud.done, clock)
        assert agent.seen == ["slow begins", "slow has ended", "quick"]
        assert cloud.statuses() == ["CANCELED", "SUCCEEDED"]

    run(scenario)


def test_the_next_job_waits_until_a_handler_over_its_time_limit_has_stopped():
    async def scenario(agent, cloud, clock, running):
        slow_to_stop(agent, 20, 90)
        cloud.queue("a", {"operation": "slow"})
        cloud.queue("b", {"operation": "quick"})
        await until(cloud.done, clock)
        assert agent.seen == ["slow begins", "slow has ended", "quick"]
        assert cloud.statuses() == ["FAILED", "SUCCEEDED"]
        reason = cloud.executions[0]["statusDetails"]["reason"]
        assert reason == "TimeoutError: not done within its time limit of 90 minutes"

    run(scenario)


def test_a_handler_that_does_not_stop_ends_the_agent_and_only_its_own_job():
    async def scenario(agent, cloud, clock, running):
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
        await until(running.done, clock)
        assert agent.seen == ["no"]
        # The program restarts the board. Then the agent reports this result, and runs the next job.
        journal = Journal(DIRECTORY)
        assert (journal.job_id, journal.status, journal.acknowledged) == ("a", "FAILED", False)
        assert "10 minutes" in journal.details["reason"]
        agent.seen.append("over")
        await asyncio.sleep(11)

    try:
        run(scenario)
    except RuntimeError as error:
        assert "job a does not stop" in str(error)
    else:
        raise AssertionError("run() has ended without a word")


def test_the_next_job_does_not_wait_when_one_is_cancelled_as_it_ends():
    async def scenario(agent, cloud, clock, running):
        @agent.on("ends")
        def ends(job):
            # The notification about the next job arrives before the result is sent; none follows.
            cloud.end(cloud.executions[0])

        cloud.queue("a", {"operation": "ends"})
        cloud.queue("b", {"operation": "quick"})
        await until(cloud.done, clock)
        assert cloud.statuses() == ["CANCELED", "SUCCEEDED"]
        assert clock.seconds() < 5, clock.seconds()

    run(scenario)


def test_many_notifications_cause_one_update_a_second():
    async def scenario(agent, cloud, clock, running):
        @agent.on("wait")
        async def wait(job):
            agent.seen.append("wait")
            await asyncio.sleep(20)

        cloud.queue("a", {"operation": "wait"})
        await until(lambda: agent.seen, clock)
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
    async def scenario(agent, cloud, clock, running):
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
        await until(cloud.done, clock)
        assert not refusals
        assert cloud.executions[0]["statusDetails"] == {"answer": "42"}
        assert [body["statusDetails"] for body in cloud.updates()] == [{"answer": "42"}] * len(cloud.updates())

    run(scenario)


def test_a_refused_result_is_retried_with_growing_pauses():
    async def scenario(agent, cloud, clock, running):
        times = []
        reply = cloud._answer

        def refuse(suffix, body):
            if suffix.endswith("/update"):
                times.append(clock.seconds())
                if len(times) < 8:
                    return {"code": "NeverHeardOf", "message": "?"}
            return reply(suffix, body)

        cloud._answer = refuse
        cloud.queue("a", {"operation": "quick"})
        await until(cloud.done, clock)
        pauses = [late - early for early, late in zip(times, times[1:])]
        assert 9 < pauses[0] < 12 and max(pauses) < 200, pauses
        assert all(late > early - 0.1 for early, late in zip(pauses, pauses[1:])), pauses

    run(scenario)


def test_a_result_without_state_or_token_in_its_refusal_is_kept():
    async def scenario(agent, cloud, clock, running):
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
        await until(cloud.done, clock)
        assert len(refused) == 3
        assert cloud.statuses() == ["SUCCEEDED"]

    run(scenario)


def test_results_are_converted_to_valid_status_details():
    async def scenario(agent, cloud, clock, running):
        @agent.on("measure")
        def measure(job):
            found = {"count": 3, "temperature": 21.5, "open": False, "error": None, "text": "two\nlines"}
            return dict(found, long="x" * 2000)

        cloud.queue("a", {"operation": "measure"})
        await until(cloud.done, clock)
        assert cloud.statuses() == ["SUCCEEDED"]
        assert cloud.executions[0]["statusDetails"] == {
            "count": "3", "temperature": "21.5", "open": "false", "text": "two lines", "long": "x" * 1024}

    run(scenario)


def test_a_job_announced_while_a_result_is_retried_does_not_wait():
    async def scenario(agent, cloud, clock, running):
        await until(lambda: idle(agent), clock)
        reply = cloud._reply

        def lose(topic, payload):
            # Refuse everything that the agent sends before it pauses.
            if len(cloud.updates()) not in (1, 2, 3):
                reply(topic, payload)

        cloud._reply = lose
        cloud.queue("a", {"operation": "quick"})
        cloud.quiet = True
        await until(lambda: len(cloud.updates()) == 3, clock)
        cloud.queue("b", {"operation": "quick"})
        cloud.broker.send(PREFIX + b"notify-next", b'{"timestamp": 2, "execution": {"jobId": "b"}}')
        await until(lambda: len(cloud.updates()) >= 4, clock)
        # The notification was sent earlier, but arrives later.
        cloud.broker.send(PREFIX + b"notify-next", b'{"timestamp": 1}')
        await until(cloud.done, clock, 300)

    run(scenario)
