"""firmware/wifi.py: joining, the reasons of failures, and joining again after an outage."""

import asyncio

from board_parts import board_time, during, hardware, load, network, run

wifi = load("firmware.wifi")
HOME = {"wifi_ssid": "home", "wifi_password": "right"}


def outcome(ssid="home", password="right", timeout=5, prepare=None):
    """Join once; return the result as text, the seconds that it took, and the station."""

    async def scenario(clock):
        if prepare:
            prepare()
        try:
            station = await wifi.connect(ssid, password, timeout)
            return "joined", clock.seconds(), station
        except OSError as error:
            return str(error), clock.seconds(), network.WLAN()

    return run(scenario, wifi, settings=HOME)[0]


def replaced(name, function, scenario):
    """Run scenario() with another method of the radio."""
    real = getattr(network.WLAN, name)
    setattr(network.WLAN, name, function(real))
    try:
        return scenario()
    finally:
        setattr(network.WLAN, name, real)


def failing(error, times=1):
    """A method of the radio that fails at first."""
    left = [times]

    def replace(real):
        def method(station, *arguments):
            if left[0]:
                left[0] -= 1
                raise error
            return real(station, *arguments)

        return method

    return replace


def test_the_right_credentials_join():
    text, seconds, station = outcome()
    assert text == "joined" and station.isconnected()
    assert 0.25 <= seconds <= 0.3


def test_a_failure_names_the_network_the_reason_and_the_limit():
    # The radio shows 205 as 202, and the others only once it has stopped trying.
    reasons = network.PASSWORD_REASONS
    for reason, text in (
        (15, "the password is refused (status 15)"),
        (204, "the password is refused (status 204)"),
        (205, "the password is refused (status 202)"),
        (2, "the password may be wrong, or the signal weak (status 2)"),
    ):
        network.PASSWORD_REASONS = (reason,)
        try:
            assert outcome("home", "wrong", 3)[0] == "Wi-Fi home: %s, within 3 s" % text
        finally:
            network.PASSWORD_REASONS = reasons
    for ssid, password, timeout, expected in (
        ("home", "wrong", 3, "Wi-Fi home: the password is refused (status 202), within 3 s"),
        ("barn", "right", 1, "Wi-Fi barn: no such access point (status 201), within 1 s"),
    ):
        text, seconds, station = outcome(ssid, password, timeout)
        assert text == expected
        assert timeout <= seconds <= timeout + 0.1
        assert station._began is None, "it has stopped trying"


def test_an_access_point_that_is_off_is_waited_for_within_the_limit():
    def off():
        hardware.radio = False

    text, seconds, _ = outcome(timeout=30, prepare=off)
    assert text == "Wi-Fi home: no such access point (status 201), within 30 s"
    assert 30 <= seconds <= 30.1


def test_an_earlier_request_of_the_radio_is_replaced():
    def busy():
        station = network.WLAN()
        station.active(True)
        station.connect("barn", "old")

    assert outcome(prepare=busy)[0] == "joined"


def test_a_code_that_micropython_does_not_know_is_an_error_with_the_network():
    error = RuntimeError("Wifi Unknown Error 0x0101")
    text = replaced("connect", failing(error), outcome)[0]
    assert text == "Wi-Fi home: the radio failed: Wifi Unknown Error 0x0101"


def test_a_status_is_reported_as_text():
    for status, text in (
        (1001, "no answer (status 1001)"),
        (15, "the password is refused (status 15)"),
        (202, "the password is refused (status 202)"),
        (204, "the password is refused (status 204)"),
        (2, "the password may be wrong, or the signal weak (status 2)"),
        (200, "the signal is lost again and again (status 200)"),
        (201, "no such access point (status 201)"),
        (203, "the access point does not accept the board (status 203)"),
        (210, "no access point with compatible security (status 210)"),
        (211, "the access point's security is weaker than required (status 211)"),
        (212, "the signal is weaker than required (status 212)"),
    ):
        assert wifi.reason(status) == text


def test_the_reason_is_not_that_of_the_network_before():
    async def scenario(clock):
        for ssid, password in (("home", "wrong"), ("barn", "")):
            try:
                await wifi.connect(ssid, password, 2)
            except OSError as error:
                text = str(error)
        return text

    reasons, network.PASSWORD_REASONS = network.PASSWORD_REASONS, (205,)
    try:
        text = run(scenario, wifi, settings=HOME)[0]
    finally:
        network.PASSWORD_REASONS = reasons
    assert text == "Wi-Fi barn: no such access point (status 201), within 2 s"


def test_a_connection_from_before_is_not_taken_for_the_new_one():
    async def scenario(clock):
        await wifi.connect("home", "right")  # as after a soft reset, which leaves the radio connected
        try:
            await wifi.connect("barn", "", 1)
        except OSError as error:
            return str(error)

    assert run(scenario, wifi, settings=HOME)[0] == "Wi-Fi barn: no such access point (status 201), within 1 s"


def test_networks_are_tried_in_turn_until_one_accepts_the_board():
    async def scenario(clock):
        joined = []
        await wifi.join([("barn", ""), ("home", "wrong"), ("home", "right")], joined.append)
        return joined, clock.seconds()

    (joined, seconds), lines = run(scenario, wifi, settings=HOME)
    assert joined == [("home", "right")]
    assert [line.split(" (")[0] for line in lines] == [
        "Wi-Fi barn: no such access point", "Wi-Fi home: the password is refused"]
    # Each one has 30 s, and a second passes before the next.
    assert 62 <= seconds <= 62.5


def test_a_radio_that_refuses_at_once_is_asked_once_a_second():
    async def scenario(clock):
        await wifi.join([("home", "right")], lambda network: None)
        return clock.seconds()

    def try_it():
        return run(scenario, wifi, settings=HOME)

    seconds, lines = replaced("connect", failing(OSError("Wifi Internal Error"), 3), try_it)
    assert lines == ["Wifi Internal Error"] * 3
    assert 3.4 <= seconds <= 3.5


def outage(seconds, networks=(("home", "right"),), prepare=None):
    """Lose the access point for so long; return the networks joined again, the seconds until then, and the lines."""

    async def scenario(clock):
        station = await wifi.connect("home", "right")
        joined = []
        # The radio shows a reason for a moment; look at such moments.
        await asyncio.sleep(0.15)

        async def wait():
            await asyncio.sleep(10)
            hardware.radio = False
            if prepare:
                prepare(station)
            began = clock.seconds()
            await asyncio.sleep(seconds)
            hardware.radio = True
            while not station.isconnected():
                await asyncio.sleep(0.1)
                assert clock.seconds() - began < 600
            back = clock.seconds() - began
            await asyncio.sleep(2)
            return joined, back

        return await during(wifi.keep_connected(list(networks), joined.append), wait)

    (joined, back), lines = run(scenario, wifi, settings=HOME)
    return joined, back, lines


def test_a_short_outage_is_left_to_the_radio():
    joined, back, lines = outage(25)
    assert joined == [] and back < 26
    assert lines == ["Wi-Fi: lost", "Wi-Fi: back"]


def test_the_end_of_an_outage_is_told_only_with_its_beginning():
    found = [outage(tenths / 10)[2] for tenths in range(1, 20)]
    assert all([lines in ([], ["Wi-Fi: lost", "Wi-Fi: back"]) for lines in found]), found
    assert found[-1]


def test_after_30_seconds_the_radio_is_restarted():
    switched = []

    def noted(real):
        def active(station, *value):
            switched.extend(value)
            return real(station, *value)

        return active

    joined, back, lines = replaced("active", noted, lambda: outage(40))
    assert joined == [("home", "right")] and back < 41
    assert lines == [
        "Wi-Fi: lost", "Wi-Fi: no such access point (status 201); the radio is restarted", "Wi-Fi: back"]
    assert switched == [True, False, True]


def test_networks_take_turns_during_an_outage_beginning_with_the_one_in_use():
    networks = [("home", "right"), ("barn", "old")]
    joined, back, lines = outage(70, networks)
    assert joined == [("home", "right")]
    failures = [line for line in lines if line.startswith("Wi-Fi: Wi-Fi")]
    assert [line.split(":")[1] for line in failures] == [" Wi-Fi home", " Wi-Fi barn"]


def test_the_next_outage_begins_with_the_network_that_was_joined_last():
    order = []
    connect = wifi.connect

    async def noted(ssid, password):
        order.append(ssid)
        return await connect(ssid, password)

    async def scenario(clock):
        station = await connect("home", "right")

        async def wait():
            for seconds in (75, 45):
                hardware.radio = False
                await asyncio.sleep(seconds)
                hardware.radio = True
                while not station.isconnected():
                    await asyncio.sleep(0.1)
                await asyncio.sleep(3)
            return order

        wifi.connect = noted
        try:
            networks = [("barn", ""), ("home", "right"), ("shed", "")]
            return await during(wifi.keep_connected(networks, lambda network: None), wait)
        finally:
            wifi.connect = connect

    assert run(scenario, wifi, settings=HOME)[0] == ["barn", "home", "home"]


def test_a_radio_that_cannot_be_restarted_is_restarted_again():
    for error in (OSError("Wifi Internal Error"), RuntimeError("Wifi Unknown Error 0x0101")):
        switch = failing(error)

        def prepare(station):
            network.WLAN.active = switch(active)

        active = network.WLAN.active
        try:
            joined, back, lines = outage(40, prepare=prepare)
        finally:
            network.WLAN.active = active
        assert joined == [("home", "right")]
        assert "Wi-Fi: " + str(error) in lines


def test_a_radio_that_fails_for_a_minute_restarts_the_board():
    async def joining(clock):
        await wifi.join([("home", "right")], lambda network: None)

    async def kept(clock):
        station = await wifi.connect("home", "right")
        hardware.radio = False

        async def wait():
            await asyncio.sleep(120)
            return station

        return await during(wifi.keep_connected([("home", "right")], lambda network: None), wait)

    error = RuntimeError("Wifi Unknown Error 0x0101")
    for scenario, times, restarted in ((joining, 59, False), (joining, 60, True), (kept, 59, False), (kept, 60, True)):
        connect = network.WLAN.connect
        # The first call of kept() succeeds.
        left = [times + 1 if scenario is kept else times]

        def fails(station, *arguments, left=left, first=scenario is kept, connect=connect):
            left[0] -= 1
            if first and left[0] == times or left[0] < 0:
                return connect(station, *arguments)
            raise error

        network.WLAN.connect = fails
        try:
            result, lines = run(scenario, wifi, settings=HOME)
        finally:
            network.WLAN.connect = connect
            wifi._errors = 0
        assert ("reset" in hardware.messages) is restarted, (scenario, times)
        assert ("Wi-Fi: radio unusable; restarting" in lines) is restarted


def test_an_outage_of_days_ends_like_a_short_one():
    async def scenario(clock):
        station = await wifi.connect("home", "right")

        async def wait():
            hardware.radio = False
            await asyncio.sleep(40)
            while station._began is not None:
                await asyncio.sleep(0.1)
            # Between two attempts. Six days and a half later: ticks_diff() is negative.
            ticks_ms = board_time.ticks_ms
            board_time.ticks_ms = lambda: board_time.ticks_add(ticks_ms(), 561600000)
            hardware.radio = True
            await asyncio.sleep(65)
            return station.isconnected()

        return await during(wifi.keep_connected([("home", "right")], lambda network: None), wait)

    assert run(scenario, wifi, settings=HOME)[0] is True


def test_the_signal_strength_is_known_while_connected():
    async def scenario(clock):
        before = wifi.rssi()
        station = await wifi.connect("home", "right")
        connected = wifi.rssi()
        station.disconnect()
        return before, connected, wifi.rssi()

    assert run(scenario, wifi, settings=HOME)[0] == (None, -50, None)
    for error in (RuntimeError("Wifi Unknown Error"), ValueError("unknown status param")):
        assert replaced("status", failing(error), wifi.rssi) is None
