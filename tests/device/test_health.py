"""firmware/health.py: failed boots are counted with few writes to flash, and lead to safe mode."""

import asyncio
import os
import sys
import time

import ujobs.trial as trial
from replaced import Replaced, with_modules
from restarts import ROOT, remove_all


class RTC:
    """The clock, whose memory survives every reset except power-on."""

    content = b""

    def memory(self, data=None):
        if data is None:
            return RTC.content
        RTC.content = bytes(data)


class Machine:
    PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = range(1, 6)
    RTC = RTC
    cause = 1

    def reset_cause(self):
        return self.cause


machine = Machine()
sys.path.append(__file__.rsplit("/", 1)[0] + "/../../firmware")
with with_modules(machine=machine):
    import health

sys.path.pop()
STARTS, SAFE = health.starts, health.safe  # when the board is switched on


class Up:
    """A link that is always connected."""

    def __init__(self):
        self.up = asyncio.Event()
        self.up.set()


class Flash:
    """`os` for trial.py, which counts the changes."""

    def __init__(self):
        self.changes = 0

    def __getattr__(self, name):
        return getattr(os, name)

    def rename(self, old, new):
        self.changes += 1
        os.rename(old, new)

    def remove(self, name):
        os.remove(name)
        self.changes += 1


def on_board(scenario):
    """Call scenario(flash) on a board with empty flash after power-on."""
    flash = Flash()
    remove_all(ROOT)
    os.mkdir(ROOT)
    RTC.content = b""
    with Replaced(trial, os=flash, root=ROOT), Replaced(health, os=flash):
        scenario(flash)
    remove_all(ROOT)


def start(cause=Machine.HARD_RESET):
    """Reset the board; return whether it is then in safe mode."""
    machine.cause = cause
    health.safe = False
    health.starts = 0
    health._last = b""
    if cause == Machine.PWRON_RESET:
        RTC.content = b""
    trial.boot()
    return health.begin()


def last():
    """Let a connected minute pass at once."""

    async def minute():
        async def brief(seconds):
            await sleep(0)

        sleep = asyncio.sleep
        with Replaced(asyncio, sleep=brief):
            task = asyncio.create_task(health.run(Up()))
            for _ in range(200):
                await sleep(0)
            task.cancel()

    asyncio.run(minute())


def test_stable_boots_write_nothing_to_flash():
    def scenario(flash):
        for cause in (1, 2, 3, 2, 2, 1, 2):
            assert not start(cause)
            last()
        assert (flash.changes, health.starts) == (0, 2)

    on_board(scenario)


def test_ten_failed_boots_lead_to_safe_mode_until_an_update():
    def scenario(flash):
        assert [start(cause) for cause in [1] + [3] * 10] == [False] * 10 + [True]
        assert flash.changes == 10
        assert (health.facts()["mode"], health.facts()["starts"]) == ("safe", 11)
        # Neither a minute in safe mode nor another reset ends it, and neither writes.
        last()
        assert start() and start(1) and start(3)
        assert flash.changes == 10
        # An update ends it; if its boots fail as well, the new version gets ten boots of its own.
        trial.begin(trial.APP)
        assert not start()
        trial.confirm()
        assert [start() for _ in range(10)] == [False] * 9 + [True]

    on_board(scenario)


def test_a_stable_boot_resets_the_count():
    def scenario(flash):
        for _ in range(3):
            assert not any([start() for _ in range(9)])
            last()
        assert not any([start() for _ in range(10)])
        assert start()

    on_board(scenario)


def test_intentional_resets_do_not_count():
    def scenario(flash):
        start(1)
        for _ in range(30):
            health.planned({})
            assert not start()
            assert not start(Machine.DEEPSLEEP_RESET)
            assert not start(Machine.SOFT_RESET)
            health.planned({})
        assert flash.changes == 0

    on_board(scenario)


def test_a_reboot_job_can_leave_safe_mode():
    def scenario(flash):
        for _ in range(11):
            start()
        for document in ({}, {"leave_safe_mode": False}, {"leave_safe_mode": "yes"}):
            health.planned(document)
            assert start()
        health.planned({"leave_safe_mode": True})
        assert not start()

    on_board(scenario)


def test_power_cuts_between_failed_boots_count_too():
    def scenario(flash):
        start(1)
        start(3)
        assert [start(1) for _ in range(9)] == [False] * 8 + [True]

    on_board(scenario)


def test_rtc_memory_that_the_application_uses_is_not_changed():
    def scenario(flash):
        for content in (b"mine", b"ujobs and more"):
            RTC.content = content
            assert not any([start() for _ in range(20)])
            assert [start(3) for _ in range(10)] == [False] * 9 + [True]
            last()
            assert RTC.content == content
            assert health.facts()["starts"] is None and (STARTS, SAFE) == (0, False)
            health.planned({"leave_safe_mode": True})

    on_board(scenario)


def test_starts_are_counted_from_one_again_after_the_highest_number():
    def scenario(flash):
        RTC.content = b"ujobs+\xff\xfe"
        start()
        assert health.facts()["starts"] == 65535
        start()
        assert health.facts()["starts"] == 1

    on_board(scenario)


def test_a_port_without_rtc_memory_counts_watchdog_resets():
    class Without:
        pass

    class Few:
        WDT_RESET = 3

        def reset_cause(self):
            return 1

    def scenario(flash):
        with Replaced(Machine, RTC=Without):
            assert not any([start() for _ in range(20)])
            assert [start(3) for _ in range(10)] == [False] * 9 + [True]
        with Replaced(health, machine=Few()):
            assert start()

    on_board(scenario)


def fail(message):
    raise OSError(message)


def ended(message, secrets=()):
    try:
        fail(message)
    except OSError as error:
        health.keep(error, list(secrets))
    return health.facts()["traceback"]


def test_the_traceback_that_ended_the_program_is_kept():
    def scenario(flash):
        start(1)
        text = ended("sensor is gone")
        assert "sensor is gone" in text and "fail" in text and len(text) <= 400
        assert flash.changes == 1
        ended("sensor is gone")
        assert flash.changes == 1, "the same again is not written again"
        start()
        assert health.last_start() == ", start 2 since power-on, OSError: sensor is gone"
        # The next boot ended without a traceback, so the kept one is not its cause.
        start(3)
        assert health.last_start() == ", start 3 since power-on"
        assert "sensor is gone" in health.facts()["traceback"]

    on_board(scenario)


def test_a_kept_traceback_is_short_and_has_no_secrets():
    def scenario(flash):
        start(1)
        text = ended("no way to https://a.example/f?X-Amz-Signature=abcdef x? hunter22", ["hunter22", ""])
        assert "abcdef" not in text and "hunter22" not in text
        assert "https://a.example/f? x? ..." in text
        for end in (" ", "\n", "'", '"', ")"):
            for query in ("abcdef", "abcdefg"):
                text = ended("https://a.example/f?" + query + end + "and more")
                assert "abcdef" not in text and "f?" + end + "and more" in text, end
        text = ended("x" * 5000 + "the end")
        assert len(text) <= 400 and "the end" in text
        # A part of a secret must not appear either.
        assert "secret" not in ended("secret" * 50 + "y" * 398, ["secret" * 50])

    on_board(scenario)


def test_uptime_continues_when_the_ticks_wrap_around():
    class Time:
        now = time.ticks_ms()

        def ticks_ms(self):
            return self.now

        def ticks_diff(self, end, start):
            return time.ticks_diff(end, start)

    with Replaced(health, time=Time()):
        before = health.uptime()
        for _ in range(60):
            # A day is more than half the period of a board's ticks; the hour between two calls is not.
            Time.now = time.ticks_add(Time.now, 43200000)
            health.uptime()
        assert health.uptime() - before == 30 * 86400


def test_the_uptime_is_kept_while_nobody_asks_for_it():
    class Time:
        now = 0

        def ticks_ms(self):
            return self.now & (1 << 30) - 1

        def ticks_diff(self, end, start):
            return (end - start + (1 << 29)) % (1 << 30) - (1 << 29)

    async def days():
        async def brief(seconds):
            Time.now += int(seconds * 1000)
            await sleep(0)

        asyncio.sleep, sleep = brief, asyncio.sleep
        task = asyncio.create_task(health.run(Up()))
        try:
            # Three times the period of a board's ticks.
            while Time.now < 37 * 86400000:
                await sleep(0)
        finally:
            asyncio.sleep = sleep
            task.cancel()

    def scenario(flash):
        health.time = Time()
        health._ticks = 0
        before = health.uptime()
        try:
            asyncio.run(days())
            assert 36 * 86400 < health.uptime() - before < 38 * 86400
        finally:
            health.time = time

    on_board(scenario)


def test_a_flash_that_cannot_be_written_stops_nothing():
    def full(name, text):
        raise OSError(28)

    def scenario(flash):
        with Replaced(trial, write=full):
            assert not any([start() for _ in range(20)])
            ended("sensor")

    on_board(scenario)
