"""main.py: each setting reaches its place, and the parts run beside the agent."""

import asyncio

import main_board
import ujobs.trial as trial
from board_parts import Reset, hardware, network
from cloud import Cloud
from main_board import ALL, FILES, App, Tls, clock, config_of, health, jobs, main, on_board, state_of_boot, work
from replaced import Replaced
from restarts import ROOT
from signature_vectors import P256
from ujobs.provisioning import Claim


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


def test_a_boot_that_is_connected_for_a_minute_lasts():
    for seconds, lasts in ((50, False), (70, True)):

        async def scenario(clock, seconds=seconds):
            health.begin()
            await work(config_of(), Cloud(), until=lambda: clock.seconds() > seconds)

        on_board(scenario)
        assert (state_of_boot() == b"+") is lasts, seconds


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
    async def ends(*arguments):
        return None

    async def scenario(time):
        config = config_of(ntp="ntp.example", wifi={"ssid": "home"}, watchdog=60)
        timeless = Replaced(main_board.proving, time_known=ends)
        unjoined = Replaced(main_board.wifi, keep_connected=ends)
        unfed = Replaced(main_board.watchdog.Watchdog, run=ends)
        with timeless, unjoined, unfed, Replaced(health, run=ends), Replaced(clock.Clock, run=ends):
            await work(config, Cloud(), until=lambda: time.seconds() > 5)

    lines = on_board(scenario, wifi_ssid="home")[1]
    for name in ("health", "Wi-Fi", "clock", "watchdog"):
        assert name + ": ended; started again" in lines, (name, lines)


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
