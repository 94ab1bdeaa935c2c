"""The agent while a handler runs: step timer, progress, and jobs that the service ends."""

import asyncio

from agent_handlers import all_done, finish, handlers, hold_replies
from broker import until
from cloud import Cloud, run


def test_step_timer_is_reset_while_an_async_handler_runs():
    async def scenario(agent, cloud):
        cloud.queue("a", {"operation": "long", "n": 8})
        await all_done(agent, cloud)
        kept = cloud.renewals()
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
        kept = cloud.renewals()
        assert len(kept) >= 2, kept
        assert cloud.statuses() == ["SUCCEEDED"]
        await agent.request("get")

    run(scenario, handlers, update_interval=0.1)


def test_a_failed_progress_update_is_retried():
    async def scenario(agent, cloud):
        request, failures = agent.request, [MemoryError(), ValueError("no such key"), OSError(5)]

        async def failing(operation, **fields):
            if failures and fields.get("status") == "IN_PROGRESS":
                raise failures.pop()
            return await request(operation, **fields)

        agent.request = failing
        cloud.queue("a", {"operation": "plain", "n": 16})
        await all_done(agent, cloud)
        assert "IN_PROGRESS" in [body["status"] for body in cloud.updates()]
        assert cloud.statuses() == ["SUCCEEDED"]

    run(scenario, handlers, update_interval=0.1)


def test_a_partly_used_step_timer_is_renewed_at_once():
    async def scenario(agent, cloud):
        # An earlier start-next, whose reply was lost, started the timer; a third of the handler's 10 minutes is too
        # late.
        cloud.queue("a", {"operation": "for-ever"})["approximateSecondsBeforeTimedOut"] = 90
        await until(lambda: agent.seen)
        await until(cloud.updates)
        assert cloud.updates()[0]["stepTimeoutInMinutes"] == 10

    cloud = Cloud()
    cloud.quiet = True
    run(scenario, handlers, cloud)


def test_tick_reconnects_in_a_plain_handler():
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


def test_cancellation_stops_a_plain_handler_in_tick():
    async def scenario(agent, cloud):
        execution = cloud.queue("a", {"operation": "plain", "n": 1000})
        await until(lambda: len(cloud.updates()) >= 1)
        cloud.end(execution)
        await until(lambda: agent.journal.acknowledged)
        assert cloud.statuses() == ["CANCELED"]

    run(scenario, handlers, update_interval=0.1)


def test_progress_lets_other_tasks_run():
    turns = []

    async def others():
        while True:
            turns.append(1)
            await asyncio.sleep(0)

    async def busy(job):
        task = asyncio.create_task(others())
        for done in range(10):
            await job.progress(done, 10)
        task.cancel()

    assert finish({"operation": "busy"}, busy=busy).statuses() == ["SUCCEEDED"]
    assert len(turns) >= 9


def test_a_handler_that_ignores_its_cancellation_gets_it_again_with_its_progress():
    stopped = []

    def setup(agent):
        @agent.on("stubborn")
        async def stubborn(job):
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                stopped.append("asleep")
            try:
                await job.progress()
            except asyncio.CancelledError:
                stopped.append("in progress()")
                raise

    async def scenario(agent, cloud):
        execution = cloud.queue("a", {"operation": "stubborn"})
        await until(lambda: agent.journal.status == "IN_PROGRESS")
        cloud.end(execution)
        await until(lambda: len(stopped) == 2)

    run(scenario, setup)
    assert stopped == ["asleep", "in progress()"]


def test_a_deleted_job_stops_its_handler():
    async def scenario(agent, cloud):
        cloud.queue("a", {"operation": "for-ever"})
        await until(lambda: agent.seen)
        cloud.executions.clear()
        cloud._notify()
        await until(lambda: agent.journal.acknowledged)

    run(scenario, handlers)


def test_a_notification_during_a_progress_update_causes_another_update():
    async def scenario(agent, cloud):
        execution = cloud.queue("a", {"operation": "for-ever"})
        await until(lambda: agent.seen)
        send, held = cloud.broker.send, []
        cloud.broker.send = hold_replies(send, held)
        agent._wake.set()
        await until(lambda: held)
        # The update is accepted, but its reply arrives after the notification of the cancellation.
        cloud.end(execution)
        await until(agent._wake.is_set)
        cloud.broker.send = send
        send(*held[0])
        await until(lambda: agent.journal.acknowledged, 3)

    run(scenario, handlers)
