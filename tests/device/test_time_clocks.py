"""Clocks during a job: the ticks wrap around, the wall clock jumps, replies are late."""

import asyncio

from cloud import Cloud
from timed import INTERVAL, STEP, STEPS, run

PERIOD = 1 << 30  # milliseconds, of ticks_ms
DURATION = STEPS * STEP


def check(session):
    """Check that the job ran once, that its progress updates were on time, and that the link stayed connected."""
    assert session.cloud.statuses() == ["SUCCEEDED", "SUCCEEDED"]
    assert len(session.began) == len(session.ended) == 1
    assert len(session.cloud.broker.wires) == 1
    times = [session.began[0]] + session.progress_updates() + [session.ended[0]]
    pauses = [late - early for early, late in zip(times, times[1:])]
    assert max(pauses) < INTERVAL + 1 and min(pauses[:-1]) > INTERVAL - 1, times


async def work(session):
    session.cloud.queue("long", {"operation": "long"})
    session.cloud.queue("quick", {"operation": "quick"})
    await session.all_done()


def test_ticks_that_wrap_around_at_any_moment_of_a_job():
    def wrap_around(after):
        def prepare(session):
            session.clock.first_ticks = PERIOD - after - 1

        return prepare

    # In steps that are not a multiple of any interval, and by the millisecond around a progress update.
    moments = list(range(0, DURATION * 1000, 3700)) + list(range(19994, 20010, 2))
    for after in moments:
        check(run(work, prepare=wrap_around(after)))


def test_ticks_that_wrap_around_while_nothing_happens():
    async def scenario(session):
        session.clock.first_ticks = PERIOD - 600000
        await asyncio.sleep(1200)
        await work(session)

    check(run(scenario))


def test_ticks_that_wrap_around_during_the_longest_job():
    async def scenario(session):
        session.clock.first_ticks = PERIOD - 3 * 86400000

        @session.agent.on("very-long", step_timeout=10080, time_limit=7200)
        async def very_long(job):
            await asyncio.sleep(117.5 * 3600)

        session.cloud.queue("very-long", {"operation": "very-long"})
        while not session.cloud.done() and session.clock.seconds() < 120 * 3600:
            await asyncio.sleep(600)
            # Thousands of small records would fragment the heap.
            session.cloud.broker.packets.clear()
        assert session.cloud.statuses() == ["SUCCEEDED"]
        times = session.progress_updates()
        pauses = [late - early for early, late in zip(times, times[1:])]
        # At least once an hour, however long the step timeout.
        assert len(times) == 117 and max(pauses) < 3602 and min(pauses) > 3598
        assert len(session.cloud.broker.wires) == 1

    # The keep-alive of 20 minutes causes fewer pings.
    run(scenario, timeout=200)


def test_the_time_of_day_may_jump():
    def jump(session):
        # From 2000 to now, as by NTP, and back, as by a wrong server.
        def seconds():
            return (946684800, 1800000000, 1000000000)[int(session.clock.seconds() // 25) % 3]

        session.clock.time = seconds
        session.clock.gmtime = session.clock.localtime = lambda *moment: (seconds() // 31557600 + 1970,) + (1,) * 7

    check(run(work, prepare=jump))


class SlowCloud(Cloud):
    """A cloud with late replies. delays: of the next replies, seconds."""

    def __init__(self, delays):
        super().__init__()
        self.delays = list(delays)
        self._send = self.broker.send
        self.broker.send = self._send_later
        self._tasks = []

    def _send_later(self, topic, payload, qos=0):
        if topic.endswith(b"d") and self.delays:
            self._tasks.append(asyncio.create_task(self._after(self.delays.pop(0), topic, payload, qos)))
        else:
            self._send(topic, payload, qos)

    async def _after(self, seconds, topic, payload, qos):
        await asyncio.sleep(seconds)
        self._send(topic, payload, qos)


def test_late_replies():
    # The link waits 10 seconds for a reply, and a request is sent three times.
    for delay in (5, 9.9, 10.1, 20, 29.9, 30.1, 45, 61):
        for replies in (1, 2, 7):
            session = run(work, SlowCloud([0] + [delay] * replies))
            assert session.cloud.statuses() == ["SUCCEEDED", "SUCCEEDED"], (delay, replies)
            assert len(session.began) == len(session.ended) == 1, (delay, replies)
            results = [body for _, body in session.updates if body["status"] != "IN_PROGRESS"]
            assert {body["status"] for body in results} == {"SUCCEEDED"}
            # The step timer of one minute did not expire, because a request arrived in time to renew it.
            times = [session.began[0]] + session.progress_updates() + [session.ended[0]]
            assert max(late - early for early, late in zip(times, times[1:])) < 60, (delay, replies, times)


def test_a_late_reply_to_start_next_does_not_start_a_second_job():
    for delay in (9.9, 10.1, 25, 35, 61):
        session = run(work, SlowCloud([delay] * 3))
        assert session.cloud.statuses() == ["SUCCEEDED", "SUCCEEDED"], delay
        assert len(session.began) == 1, delay
