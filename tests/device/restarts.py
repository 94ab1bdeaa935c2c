"""A board that restarts, for the tests of handlers that start a trial. Each boot is one run of the agent with the same
flash, journal and cloud, as after a reset."""

import asyncio
import os

import ujobs.trial as trial
from broker import until
from cloud import DIRECTORY, Cloud, lose_power, remove, run
from replaced import with_modules
from temporary import temporary
from ujobs.flash import make_folders
from web import Web, beside_broker

ROOT = temporary("board")


class _Machine:
    HARD_RESET = 2

    def __init__(self):
        self.resets = 0

    def reset(self):
        self.resets += 1
        lose_power()

    def reset_cause(self):
        return self.HARD_RESET


def remove_all(folder):
    """Remove a folder with its contents."""
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        remove_all(folder + "/" + name)
    remove(folder)


class Board:
    """answer: of the HTTP server, see web.Web. setup(agent): enables the handlers. started: the application's folder at
    each boot so far. resets: their number."""

    def __init__(self, document, setup, answer=None, files=None):
        self.setup = setup
        self.web = Web(answer)
        self.cloud = Cloud()
        self.started = []
        self.machine = _Machine()
        self.execution = self.cloud.queue("update-1", document) if document else None
        remove(DIRECTORY)
        remove_all(ROOT)
        os.mkdir(ROOT)
        trial.root = ROOT
        for name, content in (files or {}).items():
            self.put(name, content)

    @property
    def resets(self):
        return self.machine.resets

    def put(self, name, content):
        make_folders(ROOT + name)
        with open(ROOT + name, "wb") as file:
            file.write(content)

    def get(self, name):
        try:
            with open(ROOT + name, "rb") as file:
                return file.read()
        except OSError:
            return None

    def start(self, proves=True, until_condition=None):
        """Boot once, until the next reset or the end of the job. proves: whether the unconfirmed version connects."""
        self.started.append(trial.boot())
        resets = self.machine.resets

        def over():
            if until_condition:
                return until_condition()
            return self.machine.resets > resets or self.cloud.done()

        async def scenario(agent, cloud):
            asyncio.open_connection = beside_broker(asyncio.open_connection, self.web)
            await agent.link.up.wait()
            if proves:
                trial.confirm()
            await until(over, 60)
            await until(lambda: self.machine.resets > resets or until_condition or agent.journal.acknowledged)

        with with_modules(machine=self.machine):
            if proves or not trial.current():
                run(scenario, self.setup, cloud=self.cloud, keep=True)

    def finish(self, starts=10, **options):
        """Boot until the job has ended; return its status."""
        for _ in range(starts):
            self.start(**options)
            if self.cloud.done():
                break
        return self.execution["status"]

    def reason(self):
        return self.execution.get("statusDetails", {}).get("reason")

    def close(self):
        trial.root = ""
        remove(DIRECTORY)
        remove_all(ROOT)


def with_board(scenario, *args, **named):
    """Run scenario(board), then remove all files."""
    board = Board(*args, **named)
    try:
        scenario(board)
    finally:
        board.close()
