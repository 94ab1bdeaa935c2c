"""Refusals of updates that are larger than the receive limit, because of the status details that they repeat."""

from agent_handlers import all_done, handlers
from broker import until
from cloud import Cloud, run

LONG = {"log": "x" * 1000, "more": "y" * 1000}


def test_a_result_that_is_refused_with_too_many_details_does_not_stop_the_queue():
    async def scenario(agent, cloud):
        execution = cloud.queue("a", {"operation": "long", "n": 100})
        cloud.queue("b", {"operation": "quick"})
        await until(lambda: agent.seen)
        # Whoever cancels an execution may give status details.
        execution["statusDetails"] = LONG
        cloud.end(execution)
        await all_done(agent, cloud)
        assert cloud.statuses() == ["CANCELED", "SUCCEEDED"]

    run(scenario, handlers, receive_limit=2000)


def test_a_result_whose_reply_was_lost_is_reconciled_although_the_refusal_is_too_large():
    def setup(agent):
        handlers(agent)

        @agent.on("talk")
        async def talk(job):
            cloud.lose_replies = 1
            return LONG

    cloud = Cloud()
    cloud.queue("a", {"operation": "talk"})
    cloud.queue("b", {"operation": "quick"})
    run(all_done, setup, cloud, receive_limit=2000)
    assert cloud.statuses() == ["SUCCEEDED", "SUCCEEDED"]
    assert cloud.executions[0]["statusDetails"] == LONG
    (asked,) = [body for suffix, body in cloud.requests if suffix == "a/get"]
    assert (asked["executionNumber"], asked["includeJobDocument"]) == (1, False)


def test_a_result_is_sent_again_with_the_version_after_although_neither_refusal_nor_execution_fit():
    def setup(agent):
        @agent.on("talk")
        async def talk(job):
            for key, value in LONG.items():
                job.noted(key, value)
            await job.check_in()
            cloud.executions[0]["versionNumber"] += 1
            return {"answer": "42"}

    cloud = Cloud()
    cloud.queue("a", {"operation": "talk"})
    run(all_done, setup, cloud, receive_limit=2000)
    assert cloud.statuses() == ["SUCCEEDED"]
    assert cloud.executions[0]["statusDetails"]["answer"] == "42"


def test_a_refusal_with_a_long_text_costs_no_pause():
    async def scenario(agent, cloud):
        answer = cloud._answer

        def wordy(suffix, body):
            found = answer(suffix, body)
            return dict(found, message="x" * 3000) if "code" in found else found

        @agent.on("moved")
        def moved(job):
            cloud._answer = wordy
            cloud.executions[0]["versionNumber"] = 7

        cloud.queue("a", {"operation": "moved"})
        await until(cloud.done, 1)
        assert [body["expectedVersion"] for body in cloud.updates()] == [2, 7]

    run(scenario, receive_limit=2000)


def test_a_progress_update_whose_reply_was_lost_and_whose_refusal_is_too_large_is_sent_again():
    def setup(agent):
        handlers(agent)

        @agent.on("talk")
        async def talk(job):
            job.noted("log", LONG["log"])
            job.noted("more", LONG["more"])
            job.client.seen.append(job.job_id)
            cloud.lose_replies = 1
            await job.check_in()
            await job.check_in()

    async def scenario(agent, cloud):
        cloud.queue("a", {"operation": "talk"})
        cloud.queue("b", {"operation": "quick"})
        await all_done(agent, cloud)
        assert cloud.statuses() == ["SUCCEEDED", "SUCCEEDED"]

    cloud = Cloud()
    run(scenario, setup, cloud, receive_limit=2000)
