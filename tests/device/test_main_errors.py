"""main.py and errors: no error leaves the board dead, and none shows a secret."""

import asyncio
import sys

import board_parts
import main_board
import ujobs.trial as trial
from board_parts import Reset, load
from broker import raises
from main_board import config_of, health, main, on_board, settings
from replaced import Replaced, with_modules


def test_a_part_that_cannot_be_imported_is_named():
    class Broken:
        """A package without any of its modules."""

    loaded = sys.modules.pop("main")
    try:
        with with_modules(firmware=Broken):
            assert "choices" in str(raises(ImportError, load, "main"))
    finally:
        sys.modules["main"] = loaded


def test_a_part_that_cannot_be_imported_during_a_trial_restarts_the_board():
    slept = []

    class Broken:
        """A package without any of its modules."""

    class Os:
        @staticmethod
        def listdir(folder):
            return ["trial"] if folder == "/" else []

    class Time:
        sleep = slept.append

    class Machine:
        @staticmethod
        def reset():
            raise Reset

    loaded = sys.modules.pop("main")
    try:
        with Replaced(board_parts, machine=Machine), with_modules(firmware=Broken, os=Os, time=Time):
            raises(Reset, load, "main")
    finally:
        sys.modules["main"] = loaded
    # In which Ctrl-C reaches the REPL.
    assert slept == [5]


def test_no_file_of_the_application_hides_a_module_and_garbage_is_collected_early():
    thresholds = []
    paths = []

    class Gc:
        """What main.py calls when the path is shortened."""

        threshold = thresholds.append
        mem_alloc = lambda: 40000  # noqa: E731

        @staticmethod
        def mem_free():
            paths.append(list(sys.path))
            return 60000

    path = list(sys.path)
    loaded = sys.modules.pop("main")
    sys.path[:] = ["/app", "/app-b"] + path
    try:
        with with_modules(gc=Gc):
            load("main")
        assert sys.path == ["/app", "/app-b"] + path
    finally:
        sys.path[:] = path
        sys.modules["main"] = loaded
    assert (paths, thresholds) == ([path], [12500])


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
        assert main_board.rolled_back == "not started: " + str(error)


def test_any_other_error_before_the_agent_runs_restarts_the_board():
    kept = []
    with Replaced(health, keep=lambda error, secrets: kept.append(str(error))):
        assert started(fails_with(RuntimeError("out of luck")))[:2] == (Reset, 5)
    assert kept == ["out of luck"]
    assert started(fails_with(RuntimeError("out of luck")), what=trial.APP)[0] is Reset
    assert main_board.rolled_back.startswith("not started: RuntimeError")


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
