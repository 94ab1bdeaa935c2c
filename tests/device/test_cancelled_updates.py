"""Jobs that restart the board, ended by the service just before: the board does not restart, and no trial remains."""

import json

import ujobs.trial as trial
from chip import IMAGE, with_chip
from cloud import idle
from test_firmware_handler import job as firmware_job
from test_update_failures import OLD, Update
from web import File

SETTINGS = {"thing": "kiln-7", "host": "old.example.com"}
REBOOT = {"action": {"name": "reboot", "type": "runHandler", "input": {"handler": "reboot"}}}
JOBS = {
    "app": lambda: (Update("app").document, Update("app").answer),
    "firmware": lambda: (firmware_job(), File(IMAGE)),
    "settings": lambda: ({"operation": "settings", "set": {"host": "new.example.com"}}, None),
    "reboot": lambda: ({"operation": "reboot"}, None),
    "steps": lambda: ({"version": "1.0", "steps": [REBOOT]}, None),
}


def on_board(kind, scenario):
    """Run scenario(board, chip, agent) with one such job queued. agent(): the agent of the current boot."""
    agents = []

    def setup(agent):
        agents[:] = [agent]
        agent.use(*JOBS, check_settings=len)

    def on_chip(board, chip):
        board.put("/app/app.py", OLD)
        board.put("/settings.json", json.dumps(SETTINGS).encode())
        scenario(board, chip, lambda: agents[0])

    document, answer = JOBS[kind]()
    with_chip(on_chip, document, answer, setup)


def check_undone(board, chip):
    assert (board.resets, trial.current()) == (0, "")
    # Neither the next update nor a reset activates it or waits for it.
    trial.forget()
    assert (trial.boot(), trial.current(), chip.power_on()) == ("/app", "", "ota_0")
    assert json.loads(board.get("/settings.json")) == SETTINGS


def test_a_job_that_ended_without_a_notification_does_not_restart_the_board():
    def end(board, status):
        # The job ends without a notification, less than a second after the last progress update.
        answer = board.cloud._answer

        def end_then_answer(suffix, body):
            if suffix.endswith("/update") and board.execution["status"] == "IN_PROGRESS":
                if status:
                    board.execution.update({"status": status, "versionNumber": board.execution["versionNumber"] + 1})
                else:
                    board.cloud.executions.clear()
            return answer(suffix, body)

        board.cloud._answer = end_then_answer

    for kind in JOBS:
        for status in ("CANCELED", "TIMED_OUT", "REMOVED", ""):

            def scenario(board, chip, agent, status=status):
                end(board, status)
                board.start(until_condition=lambda: board.resets or (board.cloud.done() and idle(agent())))
                check_undone(board, chip)

            on_board(kind, scenario)


def test_a_job_restarts_the_board_if_the_service_does_not_answer():
    def scenario(board, chip, agent):
        answer = board.cloud._answer

        def mute(suffix, body):
            if suffix.endswith("/update"):
                board.cloud.lose_replies = 1
            return answer(suffix, body)

        board.cloud._answer = mute
        board.start()
        assert board.resets == 1
        board.cloud._answer = answer
        board.cloud.lose_replies = 0
        assert chip.finish(board) == "SUCCEEDED"
        assert board.resets == 1

    for kind in JOBS:
        on_board(kind, scenario)
