"""firmware/supervision.py and firmware/watchdog.py: tasks that end are started again, and a stuck loop is noticed."""

import asyncio

from board_parts import during, hardware, load, run
from broker import raises

supervision = load("firmware.supervision")
watchdog = load("firmware.watchdog")


def test_a_task_that_ends_is_started_again_after_a_second():
    async def scenario(clock):
        starts = []

        async def work():
            starts.append(clock.seconds())
            if len(starts) == 1:
                raise OSError(5)
            if len(starts) > 2:
                await asyncio.sleep(1000)

        async def wait():
            await asyncio.sleep(10)
            return [int(seconds) for seconds in starts]

        return await during(supervision.keep_running("clock", work), wait)

    starts, lines = run(scenario, supervision)
    assert starts == [0, 1, 2]
    assert [line.split(":")[0] for line in lines] == ["clock", "clock"]
    assert "OSError" in lines[0] and lines[0].endswith("; started again")
    assert lines[1] == "clock: ended; started again"


def test_the_watchdog_is_fed_four_times_within_its_timeout():
    async def scenario(clock):
        feeding = watchdog.Watchdog(8)

        async def wait():
            await asyncio.sleep(7.9)
            return list(hardware.messages)

        return await during(feeding.run(), wait)

    assert run(scenario, watchdog)[0] == ["watchdog 8000"] + ["feed"] * 4


def test_a_watchdog_under_a_second_is_refused():
    async def scenario(clock):
        watchdog.Watchdog(1)
        return str(raises(ValueError, watchdog.Watchdog, 0.9)), hardware.messages

    assert run(scenario, watchdog)[0] == ("watchdog: at least 1 second", ["watchdog 1000"])
