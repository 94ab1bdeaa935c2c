"""The `report` job: facts about the board, within the limits of status details."""

import sys

from broker import until
from cloud import Cloud, run
from replaced import with_modules
from restarts import with_board
from ujobs.checks import details_of


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


def test_the_reason_of_a_job_ended_by_a_reset_reports_the_health_of_the_board():
    cloud = Cloud()
    execution = cloud.queue("update-1", {"operation": "once"})

    def setup(agent):
        agent.use(last_start=", start 3 since power-on, OSError: sensor is gone")

        @agent.on("once", on_restart="fail")
        async def once(job):
            await until(lambda: False, 60)

    async def cut_short(agent, cloud):
        await until(lambda: agent.journal.status == "IN_PROGRESS" and not agent.journal.acknowledged)

    async def afterwards(agent, cloud):
        await until(cloud.done)

    class Machine:
        WDT_RESET = 3

        def reset_cause(self):
            return 3

    with with_modules(machine=Machine()):
        run(cut_short, setup, cloud, keep=True)
        run(afterwards, setup, cloud, keep=True)
    assert execution["statusDetails"]["reason"] == (
        "the board was reset during attempt 1: WDT_RESET, start 3 since power-on, OSError: sensor is gone"
    )
