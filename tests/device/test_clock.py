"""firmware/clock.py: which replies of a time server count, when it is asked, and how the board's clock is set."""

import asyncio

from board_parts import board_socket, board_time, during, hardware, load, machine, run
from broker import raises

clock = load("firmware.clock")
_1900_TO_1970 = 2208988800
DAY = 86400


def reply(seconds, first=0x24, stratum=2):
    """A reply with this time, in seconds since 1970."""
    count = (seconds + _1900_TO_1970) & 0xFFFFFFFF
    return bytes([first, stratum]) + bytes(38) + count.to_bytes(4, "big") + bytes(4)


def seconds_of(year):
    """The first second of a year, since 1970."""
    return ((year - 1970) * 365 + (year - 1969) // 4) * DAY


def read(*arguments, **named):
    """Call clock.read() with a reply on a board."""

    async def scenario(time):
        return clock.read(reply(*arguments, **named))

    return run(scenario, clock)[0]


def refusal(*arguments, **named):
    async def scenario(time):
        return str(raises(ValueError, clock.read, reply(*arguments, **named)))

    return run(scenario, clock)[0]


def test_a_reply_is_read_in_either_era_of_ntp():
    for year in (2026, 2036, 2037, 2045):
        assert read(seconds_of(year)) == seconds_of(year)
    # NTP's count wraps around on 2036-02-07.
    wrap = (1 << 32) - _1900_TO_1970
    for seconds in (wrap - 1, wrap, wrap + 1):
        assert read(seconds) == seconds
    assert read(seconds_of(2046) - 1) == seconds_of(2046) - 1


def test_the_epoch_of_micropython_may_be_1970_as_well():
    class Since1970:
        gmtime = staticmethod(lambda seconds=0: board_time.gmtime(seconds - 946684800))

    async def scenario(time):
        clock.time = Since1970
        clock._set(seconds_of(2026))
        return clock.read(reply(seconds_of(2026))), machine.RTC().datetime()[:7]

    # 2026-01-01 is a Thursday.
    assert run(scenario, clock)[0] == (seconds_of(2026), (2026, 1, 1, 3, 0, 0, 0))


def test_a_reply_that_cannot_be_right_is_refused_with_the_reason():
    now = seconds_of(2027)
    assert refusal(now, first=0x23) == "not the answer of a server"
    assert refusal(now, first=0x25) == "not the answer of a server"
    assert refusal(now, stratum=16) == refusal(now, first=0xE4) == "the server does not know the time itself"
    assert refusal(seconds_of(2026) - 1) == "the year 2025 cannot be"
    assert refusal(seconds_of(2046)) == "the year 2046 cannot be"
    # A leap second that is announced, and the last stratum of a server that knows the time.
    assert read(now, first=0x64) == read(now, first=0xA4) == read(now, stratum=15) == read(now, stratum=1) == now


def test_the_refusal_of_a_server_shows_its_code():
    answer = b"\xe4\x00" + bytes(10) + b"RATE" + bytes(32)
    assert str(raises(ValueError, clock.read, answer)) == "the server refuses: RATE"
    answer = b"\xe4\x00" + bytes(10) + b"X \x7f\x00" + bytes(32)
    assert str(raises(ValueError, clock.read, answer)) == "the server refuses: X"


def asked(kind, prepare=None):
    """Ask the time server once; return the time or the error as text, and the seconds that it took."""

    async def scenario(time):
        try:
            if prepare:
                prepare()
            return await clock.ask("ntp.example"), time.seconds()
        except (OSError, ValueError) as error:
            return str(error), time.seconds()

    return run(scenario, clock, settings={"ntp": kind})[0]


def test_a_time_server_is_asked():
    assert asked("right") == (1780315200, 0)


def test_a_reply_to_another_request_is_waited_out():
    for kind in ("silent", "zeros", "foreign"):
        text, seconds = asked(kind)
        assert text == "no answer within 2 s"
        assert 2 <= seconds <= 2.1


def test_replies_to_nobody_are_skipped_until_the_right_one():
    class Crowded(board_socket.time_server.Datagrams):
        def sendto(self, data, address):
            assert len(data) == 48 and data[0] & 7 == 3, "the request of a client"
            sent.append(bytes(data))
            self._waiting += [bytes(48), b"\x24" * 47]
            return super().sendto(data, address)

    sent = []
    real, board_socket.socket = board_socket.socket, lambda family, kind: Crowded("right")
    try:
        assert asked("right")[0] == asked("right")[0] == 1780315200
    finally:
        board_socket.socket = real
    assert sent[0][40:] != sent[1][40:], "nobody can guess what a reply must repeat"


def test_the_socket_is_closed_and_a_name_without_network_is_an_error():
    class Closing(board_socket.time_server.Datagrams):
        def close(self):
            closed.append(1)

    closed = []
    real, board_socket.socket = board_socket.socket, lambda family, kind: Closing("silent")
    try:
        asked("silent")
    finally:
        board_socket.socket = real
    assert closed == [1]

    def offline():
        hardware.radio = False

    assert "-202" in asked("right", offline)[0]


def keep(kind, seconds, scenario=None, settings=None):
    """Run a Clock for so long on a board whose time server is of this kind; return its lines."""
    options = {"ntp": kind}
    options.update(settings or {})

    async def work(time):
        timekeeper = clock.Clock("ntp.example")

        async def wait():
            await asyncio.sleep(seconds)
            return await scenario(timekeeper) if scenario else None

        return await during(timekeeper.run(), wait)

    return run(work, clock, settings=options)


def test_the_clock_is_set_at_once():
    async def look(timekeeper):
        assert timekeeper.answered.is_set() and clock.plausible()
        return machine.RTC().datetime(), hardware.settings["clock_offset"]

    found, lines = keep("right", 1, look)
    # 2026-06-01 is a Monday.
    assert found == ((2026, 6, 1, 0, 12, 0, 1, 0), 0)
    assert lines == []


def test_without_the_time_the_pauses_grow_to_a_minute():
    async def look(timekeeper):
        return timekeeper.answered.is_set(), clock.plausible()

    for kind, reason in (("silent", "no answer within 2 s"), ("kiss", "the server refuses: RATE"),
                         ("year", "the year 2056 cannot be")):
        found, lines = keep(kind, 280, look)
        assert found == (False, False)
        pauses = [1, 2, 4, 8, 16, 32, 64, 64]
        assert len(lines) == 10, (kind, lines)
        assert lines[:8] == [
            "clock: no time from ntp.example: %s. Next try in %d s" % (reason, pause) for pause in pauses]


def counted(scenario, link=None):
    """Run scenario(times, clock) beside a Clock, where `times` has the seconds of each setting of the clock."""
    times = []

    async def work(time):
        set_clock = clock._set

        def noted(seconds):
            times.append(time.seconds())
            set_clock(seconds)

        clock._set = noted
        try:
            return await during(clock.Clock("ntp.example", link).run(), lambda: scenario(times, time))
        finally:
            clock._set = set_clock

    return run(work, clock)


def test_the_clock_is_set_once_a_day_and_the_first_pause_after_an_answer_is_short_again():
    async def scenario(times, time):
        for kind, seconds in (("silent", 20), ("right", 20), ("silent", DAY), ("right", 100)):
            hardware.settings["ntp"] = kind
            await asyncio.sleep(seconds)
        return times

    times, lines = counted(scenario)
    pauses = [int(line.split(" ")[-2]) for line in lines]
    assert pauses[:4] == [1, 2, 4, 8]
    assert pauses[4:7] == [1, 2, 4]
    first, second = times
    assert DAY < second - first < DAY + 100


def test_a_day_passes_between_two_settings_of_the_clock():
    async def scenario(times, time):
        await asyncio.sleep(2 * DAY + 100)
        return times

    first, second, third = counted(scenario)[0]
    assert DAY <= second - first <= DAY + 2 and DAY <= third - second <= DAY + 2


class Link:
    failure = ""


def test_the_clock_is_set_when_tls_refuses_a_date():
    link = Link()

    async def scenario(times, time):
        for failure in ("OSError: gone", "ValueError: The certificate validity has expired"):
            await asyncio.sleep(100)
            link.failure = failure
        # The same failure, still there, is no reason to ask again.
        await asyncio.sleep(100)
        link.failure = "ValueError: The certificate validity starts in the future"
        await asyncio.sleep(100)
        return times

    times, _ = counted(scenario, link)
    assert [int(seconds) for seconds in times] in ([0, 200, 300], [0, 201, 301])


def test_a_plausible_clock_waits_five_seconds_for_an_answer_and_another_one_for_ever():
    async def ready(timekeeper):
        waiting = asyncio.create_task(timekeeper.ready())
        await asyncio.sleep(4.8)
        early = waiting.done()
        await asyncio.sleep(0.4)
        late = waiting.done()
        hardware.settings["ntp"] = "right"
        await asyncio.sleep(70)
        answered = waiting.done()
        waiting.cancel()
        return early, late, answered

    async def work(time):
        timekeeper = clock.Clock("ntp.example")
        return await during(timekeeper.run(), lambda: ready(timekeeper))

    assert run(work, clock, settings={"ntp": "silent", "clock_offset": 0})[0] == (False, True, True)
    assert run(work, clock, settings={"ntp": "silent"})[0] == (False, False, True)
    assert run(work, clock, settings={"clock_offset": 0})[0] == (True, True, True)


def test_the_years_of_a_plausible_clock():
    async def scenario(time):
        found = []
        for year in (2000, 2025, 2026, 2045, 2046):
            machine.RTC().datetime((year, 6, 1, 0, 0, 0, 0, 0))
            found.append(clock.plausible())
        return found

    assert run(scenario, clock)[0] == [False, False, True, True, False]


def test_the_difference_of_the_clock_is_reported():
    async def scenario(time):
        found = []
        for offset, kind in ((0, "right"), (5, "right"), (-3, "right"), (0, "silent"), (0, "kiss")):
            hardware.settings["clock_offset"] = offset
            hardware.settings["ntp"] = kind
            found.append(await clock.Clock("ntp.example").off())
        return found

    assert run(scenario, clock)[0] == [
        "right", "+5 s", "-3 s", "no time from ntp.example: no answer within 2 s",
        "no time from ntp.example: the server refuses: RATE"]
