"""The `report` job: facts about the board, within the limits of status details."""

import asyncio
import gc
import sys

from replaced import with_modules
from restarts import with_board
from ujobs.checks import details_of
from ujobs.handlers import report as handler
from ujobs.restore import reset_cause


def report(board):
    assert board.finish() == "SUCCEEDED", board.reason()
    return board.execution["statusDetails"]


def test_facts_that_every_board_reports():
    def scenario(board):
        board.put("/app.version", b"1.4.0")
        details = report(board)
        assert details["reset_cause"] == "HARD_RESET"
        assert details["versions"].startswith("application 1.4.0, ujobs ")
        assert sys.implementation.name in details["versions"]
        free, largest = [int(part.split(" ")[0]) for part in details["heap"].split(", ")]
        assert 1000 < largest <= free
        assert int(details["flash"].split(" ")[0]) > 1000
        assert len(details) == 4

    with_board(scenario, {"operation": "report"}, lambda agent: agent.use("report"))


def test_a_cause_without_a_name_is_a_number_and_a_host_has_none():
    class Unknown:
        WDT_RESET = 3

        def reset_cause(self):
            return 77

    with with_modules(machine=Unknown()):
        assert reset_cause() == "77"
    with with_modules(machine=object()):
        assert reset_cause() == "cause unknown"


def test_facts_that_the_board_adds():
    async def clock():
        return "+2 s"

    facts = {"rssi": -50, "starts": None, "traceback": 'File "app.py"\n  OSError: "x"\n' * 100, "mode": "normal"}

    def scenario(board):
        details = report(board)
        assert details["clock"] == "+2 s"
        assert details["rssi"] == "-50"
        assert "starts" not in details
        assert len(details["traceback"]) <= 1024 and "\n" not in details["traceback"]
        assert details_of(details) == details
        assert "unknown" in details["versions"]

    with_board(scenario, {"operation": "report"}, lambda agent: agent.use("report", facts=lambda: facts, clock=clock))


def test_the_memory_that_was_measured_is_free_again():
    used = getattr(gc, "mem_alloc", int)  # only MicroPython knows
    before = used()
    asyncio.run(handler.run(None, {}))
    assert used() - before < 20000
