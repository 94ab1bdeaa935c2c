"""A board that gets one job of any kind and then a valid one: the whole agent with all handlers, in fast time.

It restarts when a handler requests it, and records the name of every file that it changes.
"""

import asyncio
import contextlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import fast_time
import ujobs.trial as trial
from chip import partitions
from cloud import PREFIX, Cloud
from ujobs.agent import Agent
from ujobs.link import Link
from web import Web

_STARTS = 12
_LONGEST = 6 * 3600  # seconds of one boot; the default step timeouts are 10 and 30 minutes
_SETTINGS = {"thing": "thing", "host": "host", "wifi": {"ssid": "barn", "password": "old-secret"}}
_CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink")

_watched: "FuzzedBoard | None" = None


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _watched is None:
        return
    if event == "os.mkdir" and os.path.isdir(arguments[0]):
        return  # it changes nothing
    if event in _CHANGES:
        _watched.changed.update(str(name) for name in arguments if isinstance(name, str | bytes))
    elif event == "open" and isinstance(arguments[0], str) and arguments[2] & (os.O_WRONLY | os.O_RDWR):
        _watched.changed.add(arguments[0])


sys.addaudithook(_audit)


class _Machine:
    HARD_RESET = 2

    agent: asyncio.Task[None]

    def __init__(self) -> None:
        self.resets = 0

    def reset(self) -> None:
        self.resets += 1
        # Ends the program like a reset: no code after it runs.
        self.agent.cancel()
        raise asyncio.CancelledError

    def reset_cause(self) -> int:
        return self.HARD_RESET


class FuzzedBoard:
    """changed: the names of all files and folders that the board created, wrote, renamed or removed. cloud: its
    messages. resets: number of restarts by handlers. at_first: in_use() at the start."""

    def __init__(self, folder: str, answer: Callable[[Any], Any]) -> None:
        self.changed: set[str] = set()
        self.cloud = Cloud()
        self.cloud.broker.on_publish = self._published
        self.folder = folder
        self._web = Web(answer)
        self._machine = _Machine()
        for name, content in {
            "settings.json": json.dumps(_SETTINGS).encode(), "data/old": b"old", "app/app.py": b"pass",
            "partitions": b"",
        }.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        self.at_first = self.in_use()

    def in_use(self) -> tuple[str, dict[str, Any]]:
        """The active folder of the application, and the settings."""
        return trial.slot(), json.loads(Path(self.folder, "settings.json").read_text())

    @property
    def resets(self) -> int:
        return self._machine.resets

    def work(self) -> None:
        """Boot after each reset until no job is left. Fails if the agent ends with an error or does not finish."""
        global _watched
        fakes = {"machine": self._machine, "esp32": partitions}
        with mock.patch.dict(sys.modules, fakes), open(self.folder + "/partitions", "r+b") as flash:  # type: ignore[dict-item]
            _watched = self
            try:
                for _ in range(_STARTS):
                    partitions.Partition.bootloader = partitions.Bootloader(partitions.Flash(flash))
                    trial.boot()
                    fast_time.run(self._start)
                    if self.cloud.done():
                        return
            finally:
                _watched = None
        raise AssertionError(f"not done: {self.cloud.executions}")

    async def _start(self, clock: fast_time.Clock) -> None:
        with mock.patch.object(asyncio, "open_connection", self._open_connection):
            agent = Agent("thing", link=Link(b"thing", "host"), directory=self.folder + "/journal")
            agent.use(
                "app", "call", "files", "firmware", "reboot", "settings", "steps", roots=(self.folder + "/data",),
                ca=None, functions={"echo": echo, "wait": wait}, check_settings=check_settings,
            )
            agent.on("quick")(lambda job: {"answer": "42"})
            agent.on("long", step_timeout=1)(long)
            agent.on("say")(say)
            resets = self.resets
            running = self._machine.agent = asyncio.create_task(agent.run())
            while not (self.cloud.done() and agent.journal.acknowledged):
                if self.resets > resets:
                    break
                if running.done():
                    running.result()
                    raise AssertionError("the agent ended")
                assert clock.seconds() < _LONGEST, self.cloud.executions
                if agent.link.up.is_set():
                    trial.confirm()
                await asyncio.sleep(1)
            running.cancel()

    async def _open_connection(self, host: str, *arguments: Any, **named: Any) -> Any:
        where = self.cloud.broker if host == "host" else self._web
        return await where.open_connection(host, *arguments, **named)

    def _published(self, topic: bytes, payload: bytes) -> None:
        # The stream service does not answer.
        if topic.startswith(PREFIX):
            self.cloud._published(topic, payload)


def echo(*arguments: Any, **named: Any) -> Any:
    """A function of the application that returns its arguments."""
    return arguments or named


async def wait(seconds: Any = 1) -> None:
    """A function of the application whose arguments can be invalid."""
    await asyncio.sleep(min(seconds, 100))


def say(job: Any) -> Any:
    """A handler that returns what the document says."""
    job.note(job.document.get("progress"), 100, job.document.get("message"))
    return job.document["details"]


async def long(job: Any) -> None:
    """A handler that runs for some progress updates."""
    await asyncio.sleep(90)


def check_settings(settings: dict[str, Any]) -> None:
    """The check of the settings by the firmware."""
    if not isinstance(settings.get("host"), str):
        raise ValueError("setting host has the wrong type")


@contextlib.contextmanager
def folder_for_boards() -> Iterator[Callable[[Callable[[Any], Any]], FuzzedBoard]]:
    """Creates boards one after the other; each gets the same folder, emptied, as its flash."""
    with tempfile.TemporaryDirectory() as parent:
        folder = parent + "/flash"

        def make(answer: Callable[[Any], Any]) -> FuzzedBoard:
            shutil.rmtree(folder, ignore_errors=True)
            os.mkdir(folder)
            trial.root = folder
            return FuzzedBoard(folder, answer)

        try:
            yield make
        finally:
            trial.root = ""


