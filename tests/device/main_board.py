"""main.py on a board with fakes of its hardware, and a Jobs service in memory."""

import asyncio
import os
import sys

import ujobs.certificates as certificates
import ujobs.trial as trial
import ujson
from board_parts import Reset, hardware, load, run
from cloud import DIRECTORY, remove
from restarts import ROOT, remove_all
from test_certificates import CERT_DER, KEY_DER, Lenient
from ujobs.agent import Agent

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


def state_of_boot():
    """How the boot ended so far, as firmware/health.py keeps it in the memory of the clock."""
    return bytes.fromhex(hardware.settings["rtc_memory"])[5:6]
