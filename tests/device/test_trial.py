"""Trials: an update is permanent only once confirmed, and a power cut at any step leaves the old or the new version."""

import asyncio
import os

import ujobs.trial as trial
from broker import raises
from cloud import remove
from replaced import Replaced, with_modules
from temporary import temporary

ROOT = temporary("trial")


class Cut(Exception):
    pass


class Flash:
    """Replaces `os`: the power is cut at the nth change."""

    def __init__(self, changes):
        self.changes = changes

    def _change(self):
        self.changes -= 1
        if self.changes < 0:
            raise Cut

    def rename(self, old, new):
        self._change()
        os.rename(old, new)

    def remove(self, name):
        os.stat(name)
        self._change()
        os.remove(name)


def fresh():
    remove(ROOT)
    os.mkdir(ROOT)
    trial.root = ROOT
    put("/settings.json", "old")


def on_flash(test):
    """A test with a flash of its own, which it leaves empty."""

    def run():
        fresh()
        try:
            test()
        finally:
            remove(ROOT)
            trial.boot()  # the module remembers the trial of a boot
            trial.root = ""

    return run


def put(name, text):
    with open(ROOT + name, "w") as file:
        file.write(text)


def get(name):
    with open(ROOT + name) as file:
        return file.read()


def new_settings():
    put("/settings.old", get("/settings.json"))
    trial.begin(trial.SETTINGS)
    put("/settings.json", "new")


def cut_everywhere(prepare, step, check):
    """Cut the power at each change that step() makes; call check(after) after the next boot."""
    changes = 0
    while True:
        fresh()
        prepare()
        with Replaced(trial, os=Flash(changes)):
            try:
                step()
                done = True
            except Cut:
                done = False
        check(trial.boot())
        if done:
            return changes
        changes += 1


@on_flash
def test_a_board_without_trials_starts_app():
    assert trial.boot() == "/app"
    assert (trial.current(), trial.read("/trial-failed")) == ("", "")
    trial.confirm()
    trial.fail("nothing to fail")
    assert (trial.boot(), trial.read("/trial-failed")) == ("/app", "")


@on_flash
def test_a_confirmed_application_starts_at_every_boot():
    for expected in ("/app-b", "/app", "/app-b"):
        assert trial.other_slot() == expected
        trial.begin(trial.APP)
        assert trial.current() == ""
        assert trial.boot() == expected
        assert trial.current() == trial.APP
        trial.confirm()
        assert trial.current() == ""
        assert [trial.boot() for _ in range(5)] == [expected] * 5
        assert trial.read("/trial-failed") == ""


@on_flash
def test_an_application_that_is_never_confirmed_is_rolled_back():
    trial.begin(trial.APP)
    assert [trial.boot() for _ in range(5)] == ["/app-b", "/app-b", "/app-b", "/app", "/app"]
    assert "3 boots" in trial.read("/trial-failed")
    trial.begin(trial.APP)
    assert trial.read("/trial-failed") == ""


@on_flash
def test_an_application_that_fails_is_rolled_back_at_once():
    trial.begin(trial.APP)
    assert trial.boot() == "/app-b"
    trial.fail("ImportError: no module named sensor")
    assert trial.boot() == "/app"
    assert trial.read("/trial-failed") == "ImportError: no module named sensor"


@on_flash
def test_settings_that_are_never_confirmed_are_rolled_back():
    new_settings()
    for _ in range(3):
        assert trial.boot() == "/app"
        assert get("/settings.json") == "new"
    trial.boot()
    assert get("/settings.json") == "old"
    assert trial.read("/trial-failed")


@on_flash
def test_confirmed_settings_are_kept():
    new_settings()
    trial.boot()
    trial.confirm()
    for _ in range(5):
        trial.boot()
    assert get("/settings.json") == "new"
    assert sorted(os.listdir(ROOT)) == ["app-slot", "settings.json"]


@on_flash
def test_a_trial_not_counted_by_this_boot_is_discarded():
    for what in (trial.APP, trial.FIRMWARE, trial.SETTINGS):
        fresh()
        trial.begin(what)
        trial.confirm()
        assert (trial.current(), trial.slot()) == ("", "/app")
        # The next update discards it, so no later reset activates it.
        trial.forget()
        assert trial.boot() == "/app"
        assert (trial.current(), trial.read("/trial-failed")) == ("", "")


@on_flash
def test_a_trial_in_this_boot_is_not_forgotten():
    trial.begin(trial.APP)
    trial.boot()
    trial.forget()
    assert trial.current() == trial.APP
    assert trial.boot() == "/app-b"


@on_flash
def test_a_boot_that_cannot_be_counted_rolls_back():
    class Full:
        def __getattr__(self, name):
            return getattr(os, name)

        def rename(self, old, new):
            if not new.endswith("/settings.json"):
                raise OSError(28)
            os.rename(old, new)

    fresh()
    new_settings()
    trial.boot()
    with Replaced(trial, os=Full()):
        assert trial.boot() == "/app"
    assert trial.current() == ""
    assert get("/settings.json") == "old"


class Job:
    """The parts of a job and its agent, without a gate, that trials use."""

    gate = None

    @property
    def client(self):
        return self

    async def check_in(self):
        pass


@on_flash
def test_an_update_that_cannot_be_installed_leaves_no_trial():
    with with_modules(machine=trial):  # any value: no reset follows
        raises(OSError, lambda: asyncio.run(trial.restart(Job(), trial.SETTINGS)))
    assert os.listdir(ROOT) == ["settings.json"]
    assert trial.boot() == "/app"
    assert trial.current() == ""


@on_flash
def test_a_damaged_record_is_not_a_trial():
    for text in ("", "1", "app", "1 app", "x y z", "1 other /app-b", "\0" * 30):
        put("/trial", text)
        assert trial.current() == ""
        assert trial.boot() == "/app"
    put("/app-slot", "/etc")
    assert trial.boot() == "/app"


@on_flash
def test_power_cuts_while_confirming():
    def check(slot):
        # The new slot is either in its trial or confirmed; the old one is never used again.
        assert slot == "/app-b"
        trial.confirm()
        assert (trial.boot(), trial.slot(), trial.current()) == ("/app-b", "/app-b", "")
        assert trial.read("/trial") == ""

    def prepare():
        trial.begin(trial.APP)
        trial.boot()

    assert cut_everywhere(prepare, trial.confirm, check) >= 2


@on_flash
def test_a_power_cut_while_confirming_in_the_last_boot():
    def prepare():
        trial.begin(trial.APP)
        for _ in range(3):
            trial.boot()

    def check(slot):
        # Without a confirmation it is rolled back. Afterwards, the running version and its reported state must agree.
        assert slot == trial.slot()
        assert bool(trial.read("/trial-failed")) == (slot == "/app")

    assert cut_everywhere(prepare, trial.confirm, check) >= 2


@on_flash
def test_power_cuts_while_failing():
    def check(slot):
        if trial.current():
            trial.fail("again")
        assert (trial.boot(), get("/settings.json")) == ("/app", "old")
        assert trial.read("/trial-failed")

    def prepare():
        new_settings()
        trial.boot()

    assert cut_everywhere(prepare, lambda: trial.fail("no link"), check) >= 3


@on_flash
def test_power_cuts_while_booting():
    def check(slot):
        assert slot == "/app-b"

    assert cut_everywhere(lambda: trial.begin(trial.APP), trial.boot, check) == 1
