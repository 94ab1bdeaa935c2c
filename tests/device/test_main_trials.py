"""main.py and an application that fails: it is left out, or ends its own trial; and how a trial ends."""

import asyncio
import sys

import main_board
import ujobs.trial as trial
from board_parts import Reset, hardware
from broker import raises
from cloud import Cloud
from main_board import App, config_of, health, jobs, main, on_board, work
from replaced import Replaced
from ujobs.link import explain


def test_settings_in_their_trial_are_checked_before_the_agent_is_built():
    async def scenario(clock):
        return str(raises(OSError, main.build, config_of(signing_key="/none.der")))

    assert "/none.der" in on_board(scenario, trial.SETTINGS)[0]


class Untold(Exception):
    def __str__(self):
        raise OSError("no text")

    __repr__ = __str__


def test_an_application_that_fails_is_left_out():
    cloud = Cloud()
    cloud.queue("report", {"operation": "report"})

    async def scenario(clock):
        try:
            await work(config_of(handlers=["report"], app="app_under_test"), cloud)
        finally:
            App.error = None

    for App.error in (OSError("no sensor"), SystemExit("no sensor"), asyncio.CancelledError("no sensor"), Untold()):
        line = "app: not started: " + type(App.error).__name__
        if not isinstance(App.error, Untold):
            line += ": no sensor"
        assert line in on_board(scenario)[1]
        assert jobs(cloud)["report"][0] == "SUCCEEDED"


def test_an_application_whose_setup_is_async_is_left_out():
    class Application:
        async def setup(self, agent):
            pass

    async def scenario(clock):
        sys.modules["app_under_test"] = Application()
        try:
            main.add_application(None, "app_under_test")
        finally:
            del sys.modules["app_under_test"]

    assert "app: not started: TypeError: setup must be a plain def, not async def" in on_board(scenario)[1]


def ends_trial_with(what, app="app_under_test", error=None):
    async def scenario(clock):
        App.error = error or OSError("no sensor")
        sys.modules["app_under_test"] = App
        try:
            main.add_application(None, app)
            return trial.current()
        finally:
            App.error = None
            del sys.modules["app_under_test"]

    return on_board(scenario, what)[0], main_board.rolled_back


def test_an_application_that_fails_ends_its_own_trial_but_not_that_of_firmware():
    for what in (trial.APP, trial.SETTINGS):
        result, reason = ends_trial_with(what)
        assert result is Reset
        assert reason.startswith("the application did not start: OSError")
    for error in (Untold(), asyncio.CancelledError()):
        result, reason = ends_trial_with(trial.APP, error=error)
        assert result is Reset
        assert reason.startswith("the application did not start: " + type(error).__name__)
    assert ends_trial_with(trial.FIRMWARE) == (trial.FIRMWARE, "")
    assert ends_trial_with("") == ("", "")
    assert ends_trial_with(trial.APP, "no_such_application")[0] is Reset


def test_in_safe_mode_the_application_is_not_started():
    cloud = Cloud()
    cloud.queue("report", {"operation": "report"})

    async def scenario(clock):
        health.safe = True
        App.calls = 0
        try:
            await work(config_of(handlers=["report"], app="app_under_test"), cloud)
        finally:
            health.safe = False

    on_board(scenario)
    assert App.calls == 0
    assert jobs(cloud)["report"][1]["mode"] == "safe"


def test_a_trial_has_a_watchdog_and_ends_with_the_connection():
    async def scenario(clock):
        await work(config_of(), Cloud(), until=lambda: not trial.current(), seconds=60)
        return hardware.messages[0]

    for what in (trial.APP, trial.SETTINGS):
        assert on_board(scenario, what)[0] == "watchdog 120000"


def test_a_trial_without_a_connection_ends_with_a_reset_in_time():
    cloud = Cloud()

    async def scenario(clock):
        cloud.broker.refuse = [OSError(111)] * 1000
        times.append(clock)
        await work(config_of(trial=200), cloud, until=lambda: False)

    times = []
    result, lines = on_board(scenario, trial.APP)
    assert result is Reset and 200 <= times[0].seconds() < 202
    assert "trial: no proof within 200 s: no connection: %s; restarting" % explain(OSError(111)) in lines


def test_an_application_may_have_to_confirm_its_trial_itself():
    async def scenario(clock):
        await work(config_of(trial=200, confirm=True), Cloud(), until=lambda: not trial.current())

    result, lines = on_board(scenario, trial.APP)
    assert result is Reset
    assert "trial: no proof within 200 s: agent.confirm() was not called; restarting" in lines

    async def confirming(clock):
        config = config_of(trial=200, confirm=True, app="app_under_test")
        await work(config, Cloud(), until=lambda: not trial.current(), seconds=60)

    with Replaced(App, setup=lambda agent: agent.confirm()):
        assert on_board(confirming, trial.APP)[0] is not Reset


def test_the_last_boot_of_a_trial_says_what_was_missing():
    cloud = Cloud()
    cloud.broker.refuse = [OSError(111)] * 1000

    def reason(what, boots, **given):
        async def scenario(clock):
            trial.write("/trial", trial.read("/trial").replace("1", boots, 1))
            await work(config_of(trial=100, **given), cloud, until=lambda: False)

        assert on_board(scenario, what, wifi_ssid="home", ntp="silent")[0] is Reset
        return main_board.rolled_back

    refused = explain(OSError(111))  # MicroPython's has another text
    assert reason(trial.APP, "2") == ""
    assert reason(trial.APP, "3") == "not confirmed in 3 boots: no connection: " + refused
    assert reason(trial.APP, "3", wifi={"ssid": "barn"}) == "not confirmed in 3 boots: no Wi-Fi"
    assert reason(trial.SETTINGS, "3", ntp="a.example") == "not confirmed in 3 boots: no time from the server in ntp"
    # The bootloader does not start new firmware a second time.
    assert reason(trial.FIRMWARE, "1") == "not confirmed: no connection: " + refused


def test_new_settings_or_application_without_confirm_say_so():
    async def scenario(clock):
        trial.write("/trial", "3 app /app-b")
        await work(config_of(trial=100, confirm=True), Cloud(), until=lambda: False)

    assert on_board(scenario, trial.APP)[0] is Reset
    assert main_board.rolled_back == "not confirmed in 3 boots: agent.confirm() was not called"
