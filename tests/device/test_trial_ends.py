"""firmware/proving.py: a trial ends with a connection in time, and otherwise with a reset."""

import asyncio
import os
import sys

import ujobs.trial as trial
from board_parts import Reset, hardware, load, run
from restarts import ROOT, remove_all
from signature_vectors import P256

proving = load("firmware.proving")


class Agent:
    """An agent whose link is up after some seconds. connects_after: None for never."""

    def __init__(self, connects_after):
        self.link = self
        self.failure = ""
        self.up = asyncio.Event()
        self.after = connects_after

    async def connect(self):
        if self.after is not None:
            await asyncio.sleep(self.after)
            self.up.set()


def on_trial(what, scenario, files=None):
    """Run scenario(clock) on a board whose boot has begun this trial ("" for none)."""
    remove_all(ROOT)
    os.mkdir(ROOT)
    trial.root = ROOT
    for name, content in (files or {}).items():
        with open(ROOT + name, "w") as file:
            file.write(content)
    try:
        if what:
            trial.begin(what)
        trial.boot()
        return run(scenario, proving)
    finally:
        trial.root = ""
        trial._counted = ""
        remove_all(ROOT)


def proof(connects_after, by_application=False, what=trial.APP, confirms_after=None):
    """Prove a version within 60 s; return the result, the seconds until then, and whether the trial is over."""

    async def scenario(clock):
        agent = Agent(connects_after)
        tasks = [asyncio.create_task(agent.connect())]
        if confirms_after is not None:
            tasks.append(asyncio.create_task(confirm_after(confirms_after)))
        try:
            await proving.prove(agent, by_application, 60)
            result = "ended"
        except Reset:
            result = "reset"
        for task in tasks:
            task.cancel()
        return result, clock.seconds(), trial.current()

    return on_trial(what, scenario)


async def confirm_after(seconds):
    await asyncio.sleep(seconds)
    trial.confirm()


def test_a_connection_in_time_confirms_the_version():
    (result, seconds, current), lines = proof(10)
    assert (result, current, lines) == ("ended", "", [])
    assert 10 <= seconds < 11


def test_without_a_connection_in_time_the_board_restarts():
    for after in (None, 61):
        (result, seconds, current), lines = proof(after)
        assert (result, current) == ("reset", trial.APP)
        assert lines == ["trial: no proof within 60 s: no connection; restarting"]
        assert 60 <= seconds < 61


def test_the_application_may_be_the_one_that_confirms():
    (result, seconds, current), _ = proof(10, by_application=True, confirms_after=30)
    assert (result, current) == ("ended", "")
    assert 30 <= seconds < 31
    (result, seconds, current), lines = proof(10, by_application=True)
    assert (result, current) == ("reset", trial.APP)
    assert lines == ["trial: no proof within 60 s: agent.confirm() was not called; restarting"]


def test_a_trial_that_cannot_be_ended_restarts_the_board():
    def full():
        raise OSError(28)

    real, trial.confirm = trial.confirm, full
    try:
        (result, _, current), lines = proof(10)
    finally:
        trial.confirm = real
    assert (result, current) == ("reset", trial.APP)
    (line,) = lines
    assert line.startswith("trial: not confirmed: OSError") and line.endswith("; restarting")


def given_up(what):
    async def scenario(clock):
        try:
            proving.give_up("no luck")
            return "goes on", "", []
        except Reset:
            return "reset", trial.read("/trial-failed"), hardware.messages

    return on_trial(what, scenario)


def test_giving_up_rolls_back_a_trial_and_nothing_else():
    assert given_up(trial.APP) == (("reset", "no luck", ["reset"]), ["trial: no luck"])
    assert given_up("") == (("goes on", "", []), [])


def checked(what, signing_key=None):
    async def scenario(clock):
        try:
            proving.check({"signing_key": signing_key})
            return ""
        except (OSError, ValueError) as error:
            return str(error)

    return on_trial(what, scenario)[0]


def test_an_unusable_signing_key_ends_the_trial_of_settings():
    assert "/none.der" in checked(trial.SETTINGS, "/none.der")
    assert checked(trial.SETTINGS, P256) == checked(trial.SETTINGS) == ""
    # What an earlier version has accepted is not the application's fault.
    assert checked(trial.APP, "/none.der") == checked("", "/none.der") == ""


def test_an_application_that_hides_a_module_of_the_next_update_ends_its_trial():
    class Hiding:
        """A module of the application by the same name as the board's."""

    assert checked(trial.APP) == ""
    real = sys.modules.get("hashlib")
    sys.modules["hashlib"] = Hiding
    try:
        assert checked(trial.APP).startswith("the next update would fail: hashlib: AttributeError")
        # Nothing else brings modules.
        assert checked(trial.SETTINGS) == checked("") == ""
    finally:
        del sys.modules["hashlib"]
        if real:
            sys.modules["hashlib"] = real


def test_a_trial_of_settings_needs_an_answer_of_the_time_server():
    class Clock:
        def __init__(self):
            self.answered = asyncio.Event()
            self.asked = 0

        async def ready(self):
            self.asked += 1

    async def scenario(clock):
        timekeeper = Clock()
        waiting = asyncio.create_task(proving.time_known(timekeeper))
        await asyncio.sleep(100)
        before = waiting.done()
        timekeeper.answered.set()
        await asyncio.sleep(1)
        return before, waiting.done(), timekeeper.asked

    assert on_trial(trial.SETTINGS, scenario, {"/settings.json": "{}"})[0] == (False, True, 0)
    assert on_trial(trial.APP, scenario)[0] == (True, True, 1)
    assert on_trial("", scenario)[0] == (True, True, 1)
