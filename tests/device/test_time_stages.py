"""An execution that the service or its owner ends at any stage: the handler stops, no result is reported, and the next
job runs."""

import ujobs.agent
from replaced import Replaced
from timed import INTERVAL, run

LOST = ("CANCELED", "TIMED_OUT", "REMOVED")


def work(status, moment, quiet, ended_before):
    """Run two jobs. The first one ends in the cloud before or after its request number `moment` is handled; quiet:
    without a message. Return the session, and whether there was such a request."""
    happened = []

    def prepare(session):
        cloud = session.cloud
        cloud.quiet = quiet
        answer = cloud._answer

        def answer_around(suffix, body):
            mine = suffix == "start-next" or suffix.startswith("long/")
            hit = mine and not happened and len(cloud.requests) - 1 == moment and cloud.executions
            if hit and ended_before:
                happened.append(end(cloud))
            reply = answer(suffix, body)
            if hit and not ended_before:
                happened.append(end(cloud))
            return reply

        cloud._answer = answer_around

    def end(cloud):
        execution = cloud.executions[0]
        if execution["status"] in ("QUEUED", "IN_PROGRESS"):
            cloud.end(execution, status)
            return True
        return False

    async def scenario(session):
        session.cloud.queue("long", {"operation": "long"})
        session.cloud.queue("quick", {"operation": "quick"})
        await session.all_done()

    return run(scenario, prepare=prepare), bool(happened and happened[0])


def test_ended_around_any_request():
    happened = 0
    for quiet in (False, True):
        for ended_before in (False, True):
            for moment in range(8):
                status = LOST[(moment + ended_before) % 3]
                session, ended = work(status, moment, quiet, ended_before)
                case = (status, quiet, ended_before, moment, session.cloud.requests)
                assert session.cloud.statuses() == [status if ended else "SUCCEEDED", "SUCCEEDED"], case
                assert len(session.began) <= 1, case
                # The handler was stopped, or had already ended.
                assert len(session.stopped) + len(session.ended) == len(session.began), case
                happened += ended
    assert happened > 16


def test_a_step_timer_that_expires_between_two_progress_updates():
    # The board gets no message: it learns of the timeout from its next progress update or its result.
    for tenths in list(range(1, 700, 47)) + [199, 200, 201, 399, 400, 401, 699]:

        async def scenario(session, tenths=tenths):
            session.cloud.quiet = True
            execution = session.cloud.queue("long", {"operation": "long"})
            await session.until(lambda: session.began)
            session.cloud.queue("quick", {"operation": "quick"})
            await session.until(lambda: session.clock.seconds() - session.began[0] >= tenths / 10)
            assert execution["status"] == "IN_PROGRESS"
            version = execution["versionNumber"]
            session.cloud.end(execution, "TIMED_OUT")
            ended = session.clock.seconds()
            await session.all_done()
            assert session.cloud.statuses() == ["TIMED_OUT", "SUCCEEDED"]
            assert execution["versionNumber"] == version + 1
            assert len(session.began) == 1
            gone = (session.stopped + session.ended)[0]
            assert gone - ended < INTERVAL + 1, (tenths, gone, ended)

        run(scenario)


class Longest:
    """A `random` that always chooses the longest pause."""

    getrandbits = staticmethod(lambda bits: 0)
    random = staticmethod(lambda: 1)


def test_a_throttled_request_waits_twice_as_long_each_time():
    asked = []

    def prepare(session):
        session.cloud.refuse = ["RequestThrottled", "InternalError"]
        answer = session.cloud.broker.on_publish

        def published(topic, payload):
            asked.append(session.clock.seconds())
            answer(topic, payload)

        session.cloud.broker.on_publish = published

    async def scenario(session):
        await session.until(lambda: len(asked) > 2)

    with Replaced(ujobs.agent, random=Longest):
        run(scenario, prepare=prepare)
    first, second, third = asked[:3]
    assert 2 <= second - first < 3, asked
    assert 4 <= third - second < 5, asked
