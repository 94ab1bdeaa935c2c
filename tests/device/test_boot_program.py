"""boot.py: which version of the application starts, and that no error stops the board from starting one."""

import os
import sys

import ujobs.trial as trial
from board_parts import hardware, load, machine, run
from restarts import ROOT, remove_all

health = load("firmware.health")
left = failed = ""  # content of /trial and /trial-failed after the last boot


def boot(*files, before=None):
    """Boot once with these files (pairs of path and text); return the folder put first in sys.path ("" for none), what
    is in its trial, and whether the boot was counted. before(): called first."""
    remove_all(ROOT)
    os.mkdir(ROOT)
    for name, text in files:
        with open(ROOT + name, "w") as file:
            file.write(text)
    trial.root = ROOT
    health.safe = False
    path = list(sys.path)

    async def scenario(clock):
        global left, failed
        if before:
            before()
        load("boot")
        left, failed = trial.read("/trial"), trial.read("/trial-failed")
        first = sys.path[0] if sys.path != path else ""
        return first, trial.current(), hardware.settings["rtc_memory"] != ""

    try:
        return run(scenario, health)[0]
    finally:
        sys.path[:] = path
        sys.modules.pop("boot", None)
        trial.root = trial._counted = ""
        health.safe = False
        remove_all(ROOT)


def test_the_confirmed_version_starts():
    assert boot() == ("/app", "", True)
    assert boot(("/app-slot", "/app-b")) == ("/app-b", "", True)


def test_a_version_in_its_trial_starts_three_times():
    for boots in range(3):
        assert boot(("/trial", "%d app /app-b" % boots)) == ("/app-b", "app", True)
    assert boot(("/trial", "3 app /app-b")) == ("/app", "", True)


def soft_reset():
    hardware.settings["cause"] = machine.SOFT_RESET


def test_a_version_in_its_trial_that_restarts_itself_by_soft_resets_is_rolled_back():
    for boots in range(3):
        assert boot(("/trial", "%d app /app-b" % boots), before=soft_reset) == ("/app-b", "app", True)
        assert left == "%d app /app-b" % (boots + 1)
    assert boot(("/trial", "3 app /app-b"), before=soft_reset) == ("/app", "", True)


def test_the_reason_of_a_rollback_says_how_the_last_boot_ended():
    def began_as(cause, memory):
        def begin():
            hardware.settings.update(cause=cause, rtc_memory=(b"ujobs" + memory + b"\0\1").hex())

        return begin

    for cause, memory, why in (
        (machine.WDT_RESET, b"-", "reset by the watchdog"), (machine.HARD_RESET, b"!", "OSError: no sensor"),
        (machine.HARD_RESET, b"-", "a reset"), (machine.PWRON_RESET, b"", "a reset"),
    ):
        files = ("/trial", "3 app /app-b"), ("/traceback.txt", "Traceback:\nOSError: no sensor\n")
        boot(*files, before=began_as(cause, memory))
        assert failed == "not confirmed in 3 boots: " + why
    boot(("/trial-failed", failed), before=began_as(machine.WDT_RESET, b"-"))
    assert failed == "not confirmed in 3 boots: a reset"


def test_in_safe_mode_no_application_starts():
    assert boot(("/starts.count", "10"))[0] == ""
    assert boot(("/starts.count", "8"))[0] == "/app"


def fails(*arguments):
    raise OSError(5)


def test_an_error_does_not_stop_the_confirmed_version():
    for module, name in ((trial, "boot"), (health, "begin")):
        real = getattr(module, name)
        try:
            folder = boot(before=lambda: setattr(module, name, fails))[0]
        finally:
            setattr(module, name, real)
        assert folder == "/app"


def test_a_version_in_its_trial_starts_when_the_boots_cannot_be_counted():
    real = health.begin
    try:
        found = boot(("/trial", "0 app /app-b"), before=lambda: setattr(health, "begin", fails))
    finally:
        health.begin = real
    assert found[:2] == ("/app-b", "app")
