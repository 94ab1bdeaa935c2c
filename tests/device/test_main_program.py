"""main.py: each setting reaches its place, the parts run beside the agent, and no error leaves the board dead."""

import asyncio
import os
import sys

import ujobs.certificates as certificates
import ujobs.trial as trial
import ujson
from board_parts import Reset, hardware, load, network, run
from broker import raises
from cloud import DIRECTORY, Cloud, remove
from replaced import Replaced, with_modules
from restarts import ROOT, remove_all
from signature_vectors import P256
from test_certificates import CERT_DER, KEY_DER, Lenient
from ujobs.agent import Agent
from ujobs.provisioning import Claim

# Without a file of settings it only defines its functions.
main = load("main")
settings, health, wifi, clock, proving, supervision, watchdog, choices = (
    sys.modules["firmware." + name]
    for name in ("settings", "health", "wifi", "clock", "proving", "supervision", "watchdog", "choices")
)
MODULES = (main, settings, health, wifi, clock, proving, supervision, watchdog, choices)


class BoardAgent(Agent):
    """The agent, whose journal is in a folder of the test."""

    def __init__(self, **named):
        super().__init__(directory=DIRECTORY, **named)


main.Agent = BoardAgent


class Tls(Lenient):
    """A TLS library that accepts every certificate and key. read: all of them."""

    read = []

    @staticmethod
    def SSLContext(protocol):
        return Tls()

    def load_verify_locations(self, cadata):
        Tls.read.append(cadata)

    def load_cert_chain(self, cert, key):
        Tls.read.extend((cert, key))


FILES = {"ca": CERT_DER[:-1] + b"a", "cert": CERT_DER, "key": KEY_DER}


def config_of(**given):
    """All settings of a board, as settings.load() returns them."""
    values = {"thing": "thing", "host": "a.example", "port": 8884}
    for name in FILES:
        values[name] = ROOT + "/" + name
    values.update(given)
    with open(ROOT + "/settings.json", "w") as file:
        ujson.dump(values, file)
    return settings.load(ROOT + "/settings.json")


def on_board(scenario, what="", keep=False, leave=False, **fakes):
    """Run scenario(clock) after a boot that has begun this trial; return what run() of board_parts returns.

    keep: as after a reset, with the flash of the boot before. leave: the flash for the next boot. fakes: settings of
    the fakes.
    """
    if not keep:
        clear()
        os.mkdir(ROOT)
        for name, content in FILES.items():
            with open(ROOT + "/" + name, "wb") as file:
                file.write(content)
    trial.root = ROOT
    Tls.read = []
    real, certificates.tls = certificates.tls, Tls
    health.safe, health.starts, health._last = False, 0, b""
    if what:
        trial.begin(what)
    trial.boot()
    try:
        return run(scenario, *MODULES, settings=fakes)
    finally:
        global rolled_back
        rolled_back = trial.read("/trial-failed")
        trial.root = trial._counted = ""
        certificates.tls = real
        if not leave:
            clear()


rolled_back = ""  # why the trial of the last boot was rolled back


def clear():
    remove_all(ROOT)
    remove(DIRECTORY)


def test_a_part_that_cannot_be_imported_is_named():
    class Broken:
        """A package without any of its modules."""

    loaded = sys.modules.pop("main")
    try:
        with with_modules(firmware=Broken):
            assert "choices" in str(raises(ImportError, load, "main"))
    finally:
        sys.modules["main"] = loaded


def test_each_setting_of_the_connection_reaches_the_link():
    async def scenario(clock):
        agent = main.build(config_of(keepalive=90, update_interval=7, receive_limit=5000))
        link = agent.link
        return agent.thing, link.server, link.port, link.keepalive, link.receive_limit, agent._interval, list(Tls.read)

    found, lines = on_board(scenario)
    assert found == ("thing", "a.example", 8884, 90, 5000, 7, [FILES[name] for name in ("ca", "cert", "key")])
    assert lines == []


def test_several_hosts_take_turns_beginning_with_the_last_that_answered():
    async def scenario(clock):
        trial.write("/host.last", "b.example")
        agent = main.build(config_of(host=["a.example", "b.example"]))
        servers = [agent.link.server]
        asyncio.open_connection, real = refuse, asyncio.open_connection
        try:
            for _ in range(2):
                try:
                    await agent.link.connect()
                except OSError:
                    servers.append(agent.link.server)
        finally:
            asyncio.open_connection = real
        return servers

    async def refuse(*arguments, **named):
        raise OSError(111)

    assert on_board(scenario)[0] == ["b.example", "b.example", "a.example"]


def test_a_board_without_a_name_claims_one_unless_something_is_in_its_trial():
    claim = {"template": "line", "cert": ROOT + "/cert", "key": ROOT + "/key"}

    async def scenario(clock):
        own = {"cert": ROOT + "/new-cert", "key": ROOT + "/new-key", "claim": claim, "host": ["a.example", "b.example"]}
        config = config_of(thing="", **own)
        built = main.build(config) if main.claims(config) else None
        named = main.claims(config_of(**own))
        return built and (type(built), built._link.server), named, main.claims(config_of())

    assert on_board(scenario)[0] == ((Claim, "a.example"), False, False)
    assert on_board(scenario, trial.SETTINGS)[0] == (None, False, False)


def test_settings_in_their_trial_are_checked_before_the_agent_is_built():
    async def scenario(clock):
        return str(raises(OSError, main.build, config_of(signing_key="/none.der")))

    assert "/none.der" in on_board(scenario, trial.SETTINGS)[0]


class App:
    """An application with one handler. calls: of setup()."""

    error = None
    calls = 0

    @classmethod
    def setup(cls, agent):
        cls.calls += 1
        if cls.error:
            raise cls.error

        @agent.on("hello")
        def hello(job):
            return {"answer": "hello"}

        @agent.on("die", on_restart="fail")
        async def die(job):
            hardware.tell("reset")
            await asyncio.sleep(1000)


async def work(config, cloud, until=None, seconds=3600):
    """Run the program until these jobs have ended, or until until() is true. Returns the agent."""
    agent = main.build(config)
    agent.link.ssl = None  # the broker in memory does without
    asyncio.open_connection, real = cloud.broker.open_connection, asyncio.open_connection
    sys.modules["app_under_test"] = App
    task = asyncio.create_task(main.main(config, agent))
    try:
        for _ in range(seconds):
            await asyncio.sleep(1)
            if "reset" in hardware.messages:
                raise Reset
            if task.done():
                await task
                raise AssertionError("the program ended")
            if until() if until else cloud.done() and agent.journal.acknowledged:
                return agent
        raise AssertionError(cloud.executions)
    finally:
        del sys.modules["app_under_test"]
        asyncio.open_connection = real
        task.cancel()
        await asyncio.sleep(0)


def jobs(cloud):
    """The status and the details of each execution, by job id."""
    return {one["jobId"]: (one["status"], one.get("statusDetails", {})) for one in cloud.executions}


ALL = {
    "wifi": {"ssid": "home", "password": "long-enough"}, "ntp": "ntp.example", "watchdog": 30, "app": "app_under_test",
    "handlers": ["report", "settings", "files", "reboot"],
}


def test_all_parts_work_together():
    cloud = Cloud()
    cloud.queue("report", {"operation": "report"})
    cloud.queue("hello", {"operation": "hello"})
    cloud.queue("colour", {"operation": "settings", "set": {"colour": "red"}})
    cloud.queue("outside", {"operation": "files", "list": "/elsewhere/x"})
    cloud.queue("inside", {"operation": "files", "list": "/some-data"})

    async def scenario(clock):
        health.begin()
        await work(config_of(roots=["/some-data"], **ALL), cloud)
        return list(hardware.messages)

    messages, lines = on_board(scenario, wifi_ssid="home", wifi_password="long-enough")
    found = jobs(cloud)
    status, details = found["report"]
    assert status == "SUCCEEDED"
    assert (details["rssi"], details["clock"], details["mode"], details["starts"]) == ("-50", "right", "normal", "1")
    assert found["hello"] == ("SUCCEEDED", {"answer": "hello"})
    assert found["colour"] == ("REJECTED", {"reason": "there is no setting colour"})
    assert "outside roots" in found["outside"][1]["reason"]
    assert "outside roots" not in found["inside"][1].get("reason", "")
    assert "watchdog 30000" in messages and "feed" in messages
    assert trial.read("/wifi.last") == ""
    assert [line for line in lines if not line.startswith("ujobs:")] == []


def test_a_wired_board_without_clock_or_application_works_too():
    cloud = Cloud()
    cloud.queue("report", {"operation": "report"})

    async def scenario(clock):
        await work(config_of(handlers=["report"]), cloud)
        return list(hardware.messages), network.WLAN._station

    (messages, station), _ = on_board(scenario)
    status, details = jobs(cloud)["report"]
    assert status == "SUCCEEDED" and details["mode"] == "normal"
    assert "rssi" not in details and "clock" not in details
    assert messages == [], "no watchdog, whose memory of the clock is the application's"
    assert station is None


def test_a_certificate_refused_for_its_dates_sets_the_clock_again():
    asked = []

    async def ask(host):
        asked.append(host)
        return 1780315200

    def refused():
        if len(asked) == 1 and agents:
            agents[0].link.failure = "OSError: certificate validity"
        return len(asked) == 2

    agents = []

    def build(config, real=main.build):
        agents.append(real(config))
        return agents[0]

    async def scenario(clock):
        with Replaced(main, build=build):
            await work(config_of(ntp="ntp.example"), Cloud(), refused, 60)

    with Replaced(clock, ask=ask):
        on_board(scenario)
    assert asked == ["ntp.example"] * 2


def test_jobs_need_the_signature_that_the_settings_require():
    cloud = Cloud()
    source = {"path": "/data/x", "url": "https://a/x", "sha256": "00" * 32}
    cloud.queue("unsigned", {"operation": "files", "fetch": [source]})

    async def scenario(clock):
        with open(ROOT + "/signer", "wb") as file:
            file.write(P256)
        await work(config_of(handlers=["files"], signing_key=ROOT + "/signer"), cloud)

    on_board(scenario)
    status, details = jobs(cloud)["unsigned"]
    assert status == "REJECTED" and "signature" in details["reason"], details


def test_a_reboot_job_restarts_the_board_and_the_boot_counts_as_planned():
    cloud = Cloud()
    cloud.queue("restart", {"operation": "reboot"})

    async def scenario(clock):
        health.begin()
        await work(config_of(handlers=["reboot"]), cloud)

    assert on_board(scenario)[0] is Reset
    assert state_of_boot() == b"+", "as after a boot that lasts"


def test_the_reason_of_an_interrupted_job_tells_how_the_boot_ended():
    cloud = Cloud()
    cloud.queue("deadly", {"operation": "die"})

    async def dies(clock):
        health.begin()
        await work(config_of(app="app_under_test"), cloud)

    async def boots_again(clock):
        health.begin()
        await work(config_of(app="app_under_test"), cloud)

    assert on_board(dies, leave=True)[0] is Reset
    on_board(boots_again, keep=True, rtc_memory=hardware.settings["rtc_memory"])
    status, details = jobs(cloud)["deadly"]
    assert status == "FAILED" and details["reason"].endswith(", start 2 since power-on"), details


def test_an_application_that_fails_is_left_out():
    cloud = Cloud()
    cloud.queue("report", {"operation": "report"})

    async def scenario(clock):
        try:
            await work(config_of(handlers=["report"], app="app_under_test"), cloud)
        finally:
            App.error = None

    for App.error in (OSError("no sensor"), SystemExit("no sensor")):
        line = "app: not started: %s: no sensor" % type(App.error).__name__
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


def ends_trial_with(what, app="app_under_test"):
    async def scenario(clock):
        App.error = OSError("no sensor")
        sys.modules["app_under_test"] = App
        try:
            main.add_application(None, app)
            return trial.current()
        finally:
            App.error = None
            del sys.modules["app_under_test"]

    return on_board(scenario, what)[0], rolled_back


def test_an_application_that_fails_ends_its_own_trial_but_not_that_of_firmware():
    for what in (trial.APP, trial.SETTINGS):
        result, reason = ends_trial_with(what)
        assert result is Reset
        assert reason.startswith("the application did not start: OSError")
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
    assert "trial: no proof within 200 s; restarting" in lines


def test_an_application_may_have_to_confirm_its_trial_itself():
    async def scenario(clock):
        await work(config_of(trial=200, confirm=True), Cloud(), until=lambda: not trial.current())

    result, lines = on_board(scenario, trial.APP)
    assert result is Reset
    assert "trial: no proof within 200 s; restarting" in lines

    async def confirming(clock):
        config = config_of(trial=200, confirm=True, app="app_under_test")
        await work(config, Cloud(), until=lambda: not trial.current(), seconds=60)

    with Replaced(App, setup=lambda agent: agent.confirm()):
        assert on_board(confirming, trial.APP)[0] is not Reset


def test_a_boot_that_is_connected_for_a_minute_lasts():
    cloud = Cloud()

    async def scenario(clock):
        health.begin()
        await work(config_of(), cloud, until=lambda: clock.seconds() > 70)

    on_board(scenario)
    assert state_of_boot() == b"+"


def test_wi_fi_is_kept_and_the_network_that_was_joined_is_recorded():
    async def scenario(clock):
        networks = [{"ssid": "barn"}, {"ssid": "home", "password": "long-enough"}]

        def lost():
            hardware.radio = not 100 < clock.seconds() < 140
            return clock.seconds() > 150

        await work(config_of(wifi=networks), Cloud(), until=lost)
        return trial.read("/wifi.last")

    name, lines = on_board(scenario, wifi_ssid="home", wifi_password="long-enough")
    assert name == "home"
    assert "Wi-Fi: lost" in lines and "Wi-Fi: back" in lines
    assert any(["the radio is restarted" in line for line in lines])


def test_tasks_that_end_are_started_again():
    async def scenario(clock):
        async def ends(*arguments):
            return None

        real, health.run = health.run, ends
        try:
            await work(config_of(), Cloud(), until=lambda: clock.seconds() > 5)
        finally:
            health.run = real

    lines = on_board(scenario)[1]
    assert "health: ended; started again" in lines


def test_a_claim_that_is_granted_restarts_the_board_as_a_thing():
    class Granted:
        async def run(self):
            return "kiln-9"

    async def scenario(clock):
        health.begin()
        await main.main(config_of(app="app_under_test", ntp="ntp.example"), Granted())

    App.calls = 0
    assert on_board(scenario)[0] is Reset
    assert state_of_boot() == b"+"
    assert App.calls == 0


def state_of_boot():
    """How the boot ended so far, as firmware/health.py keeps it in the memory of the clock."""
    return bytes.fromhex(hardware.settings["rtc_memory"])[5:6]


def started(load_settings, program=None, what=""):
    """Run main.start() with these settings; return how it ended, the seconds, and the lines."""
    times = []

    async def scenario(clock):
        times.append(clock)
        real = settings.load, main.main
        settings.load = load_settings
        if program:
            main.main = program
        try:
            main.start()
            return "REPL"
        finally:
            settings.load, main.main = real

    end, lines = on_board(scenario, what)
    return end, times[0].seconds(), lines


def fails_with(error):
    def fail(*arguments):
        raise error

    return fail


def test_settings_that_cannot_be_used_print_one_line_and_end_in_the_repl():
    for error in (OSError(5), ValueError("settings: thing is missing")):
        end, _, lines = started(fails_with(error))
        assert (end, lines) == ("REPL", ["not started: " + str(error)])
        assert started(fails_with(error), what=trial.SETTINGS)[0] is Reset
        assert rolled_back == "not started: " + str(error)


def test_any_other_error_before_the_agent_runs_restarts_the_board():
    assert started(fails_with(RuntimeError("out of luck")))[:2] == (Reset, 5)
    assert started(fails_with(RuntimeError("out of luck")), what=trial.APP)[0] is Reset
    assert rolled_back.startswith("not started: RuntimeError")


def test_an_error_of_the_program_is_kept_without_secrets_and_restarts_the_board():
    kept = []
    load = settings.load

    async def program(config, agent):
        raise OSError("cannot reach hunter22")

    async def cancelled(config, agent):
        raise asyncio.CancelledError

    async def ended(config, agent):
        sys.exit("no sensor")

    def usual():
        settings.load = load
        return config_of(wifi={"ssid": "home", "password": "hunter22"})

    def noted(error, secrets):
        kept.append((type(error), secrets))

    real, health.keep = health.keep, noted
    try:
        assert started(usual, program)[:2] == (Reset, 5)
        assert started(usual, cancelled)[0] is Reset
        # A soft reset, which it would be otherwise, does not count as a boot that did not last.
        assert started(usual, ended)[0] is Reset
        health.keep = fails_with(MemoryError())
        assert started(usual, program)[:2] == (Reset, 5), "even if it cannot be kept"
    finally:
        health.keep = real
    assert kept == [(OSError, ["hunter22"]), (asyncio.CancelledError, ["hunter22"]), (SystemExit, ["hunter22"])]
