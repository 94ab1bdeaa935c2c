"""Runs the cases on the board one after another, and always removes what the run has created."""

import ast
import contextlib
import secrets
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from ujobs_tools.aws import cloud
from ujobs_tools.aws.cloud import CloudError
from ujobs_tools.board.interpreter import InterpreterError
from ujobs_tools.deploy import install
from ujobs_tools.deploy.plan import UMQTT
from ujobs_tools.deploy.ports import BoardError
from ujobs_tools.deploy.provision import CONNECTED, board_files, credentials
from ujobs_tools.deploy.remote import Remote
from ujobs_tools.host.processes import END, ended_by_signals
from ujobs_tools.qualify import cleanup
from ujobs_tools.qualify.account import Account, Endpoint
from ujobs_tools.qualify.application import FACTS, application
from ujobs_tools.qualify.bench import Bench, Choices
from ujobs_tools.qualify.board import BoardUnderTest
from ujobs_tools.qualify.case import (
    FAILED,
    FILES,
    FIRMWARE,
    LOCAL,
    NEEDS,
    PASSED,
    SKIPPED,
    TWO_PARTITIONS,
    WIFI,
    Case,
    Outcome,
    Unexpected,
)
from ujobs_tools.qualify.cases import CASES
from ujobs_tools.qualify.state import State, read

_EMPTY = ("/boot.py", UMQTT)  # files of a board with plain MicroPython
_CONSOLE = 40  # lines of the console in the report of a failed case
_PATIENCE = 120.0  # seconds until the board has connected


class Interrupted(Exception):
    """The run was ended by Ctrl-C, SIGTERM or SIGHUP; everything it created is removed."""


@dataclass(frozen=True)
class Options:
    """port: serial port of the board. folder: folder for reports, state and console. make_settings: returns the board's
    settings for thing, host and port. ca: file with the server's CA certificate, needed on AWS. mqtt_port: MQTT port,
    if the service does not report it."""

    port: str
    folder: Path
    endpoint: Endpoint
    choices: Choices
    make_settings: Callable[[dict[str, Any]], dict[str, Any]]
    reset_command: str | None = None
    ca: Path | None = None
    mqtt_port: int | None = None


@dataclass
class Programme:
    """say: shows a line. ask: asks a question; returns whether the answer is yes."""

    options: Options
    say: Callable[[str], None]
    ask: Callable[[str], bool]
    cases: Sequence[Case] = CASES
    state: State = field(init=False)

    def run(self, resume: bool = False) -> State:
        """Run the cases; returns the results. The state file is written after every case.

        resume: skip cases that passed in the last run of the folder. Raises BoardError, CloudError, OSError, ValueError
        if the board cannot be prepared; Interrupted.
        """
        self.state = self._begin(resume)
        account = Account(self.options.endpoint, self.state.run_id)
        board = BoardUnderTest(self.options.port, self.options.folder / "console.txt", self.options.reset_command)
        touched = False
        try:
            with ended_by_signals() as check_signals, tempfile.TemporaryDirectory(prefix="ujobs-qualify-") as folder:
                remote = self._take(board.port)
                touched = True
                bench = self._prepare(remote, board, account, Path(folder))
                for case in self.cases:
                    if resume and (known := self.state.outcomes.get(case.name)) and known.result == PASSED:
                        self.say(f"passed before  {case.name}")
                        continue
                    self.say(f"run      {case.name}: {case.expected}")
                    outcome = self._outcome(case, bench)
                    # A signal that came during the case may look like a failure of the case.
                    check_signals()
                    self.state.outcomes[case.name] = outcome
                    self.state.keep()
                    self.say(f"{outcome.result:8} {case.name}: {outcome.seen}")
        except KeyboardInterrupt:
            raise Interrupted("interrupted: `ujobs qualify --resume` continues from here") from None
        finally:
            with _undisturbed():
                self._clean(board, account, touched)
        return self.state

    def _begin(self, resume: bool) -> State:
        found = read(self.options.folder) if resume else None
        if resume and found is None:
            raise ValueError(f"{self.options.folder} has no run to resume")
        # The run id is new, so the thing gets a new name: that of the last run was removed, or belongs to that run.
        begun = State(
            self.options.folder, secrets.token_hex(3), found.seed if found else self.options.choices.seed,
            found.facts if found else {}, found.outcomes if found else {},
        )
        begun.keep()
        return begun

    def _take(self, port: str) -> Remote:
        remote = Remote(port)
        with remote.reset_on_failure():
            files = sorted(remote.files(""))
            theirs = [path for path in files if not path.startswith(_EMPTY)]
            if theirs and not self.ask(
                f"the board is not empty: it has {len(theirs)} files, such as {', '.join(theirs[:3])}. "
                "Remove all of them, keys and settings too"
            ):
                raise BoardError("the board was not changed")
            remote.remove(theirs)
        return remote

    def _prepare(self, remote: Remote, board: BoardUnderTest, account: Account, folder: Path) -> Bench:
        options = self.options
        with remote.reset_on_failure():
            self.state.facts |= ast.literal_eval(remote.run(FACTS.read_text()).strip())
            keys = folder / "thing"
            endpoint = options.endpoint
            host, port = credentials(
                account.thing, keys, endpoint.url, endpoint.region, endpoint.profile, options.ca, options.mqtt_port
            )
            settings = options.make_settings({"thing": account.thing, "host": host, "port": port})
            app = folder / "app"
            app.mkdir()
            for name, content in application().items():
                (app / name).write_bytes(content)
            plan = install.plan_for(remote, app, board_files(settings, keys))
            self.say(f"the board gets {len(plan.write)} files, {plan.size()} bytes; its thing is {account.thing}")
            install.carry_out(remote, plan, lambda path, size: None)
        board.listen(remote.restart())
        board.wait_for(CONNECTED, _PATIENCE)
        bench = Bench(board, account, options.choices, self.say, settings, self.options.folder, self.state.facts)
        known = {
            LOCAL: endpoint.local, WIFI: settings.get("wifi"), TWO_PARTITIONS: self.state.facts.get("update_partition"),
            FIRMWARE: options.choices.firmware,
            FILES: (options.choices.bucket and options.choices.role_arn) or account.keeps_files(),
        }
        bench.can |= {need for need, there in known.items() if there}
        return bench

    def _outcome(self, case: Case, bench: Bench) -> Outcome:
        bench.figures = {}
        start, since = time.monotonic(), len(bench.board.lines)
        result, seen = PASSED, ""
        try:
            missing = [need for need in case.needs if not bench.has(need)]
            if missing:
                return Outcome(case.name, case.expected, SKIPPED, "; ".join(NEEDS[need] for need in missing))
            with cloud.one_line_errors():
                seen = case.run(bench)
            bench.note_heap(since)
        except (Unexpected, BoardError, CloudError, InterpreterError, OSError) as error:
            result, seen = FAILED, str(error)
        except (ValueError, KeyError, TypeError, AssertionError) as error:
            # A reply of a board or a cloud can have any content.
            result, seen = FAILED, repr(error)
        console = bench.board.lines[since:][-_CONSOLE:] if result == FAILED else []
        seconds = time.monotonic() - start
        outcome = Outcome(case.name, case.expected, result, seen, bench.figures, seconds, console)
        if result == FAILED:
            bench.recover()
        return outcome

    def _clean(self, board: BoardUnderTest, account: Account, touched: bool) -> None:
        board.release()
        self.say(f"removing everything that begins with {account.prefix}")
        try:
            for line in cleanup.in_short(cleanup.clean(account.iot, account.prefix)):
                self.say(line)
        except CloudError as error:
            self.say(f"not removed: {error}; retry with `ujobs qualify --clean`")
        if touched:
            try:
                remote = Remote(board.port)
                remote.remove([path for path in remote.files("") if not path.startswith(UMQTT)])
                remote.reset()
            except BoardError as error:
                self.say(f"the board still has files: {error}; remove them with `ujobs wipe`")


def choose(only: Sequence[str]) -> list[Case]:
    """Return the cases with these names; * stands for any text, and the name of a group for all its cases. Raises
    ValueError if a name matches no case."""
    if not only:
        return list(CASES)
    for pattern in only:
        if not any(_fits(case.name, pattern) for case in CASES):
            raise ValueError(f"--only {pattern}: no such case; see --list")
    return [case for case in CASES if any(_fits(case.name, pattern) for pattern in only)]


def _fits(name: str, pattern: str) -> bool:
    return fnmatch(name, pattern) or fnmatch(name.partition(".")[0], pattern)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Ignore a second Ctrl-C, SIGTERM or closed terminal, so that the removal is completed."""
    before = [signal.signal(number, signal.SIG_IGN) for number in END]
    try:
        yield
    finally:
        for number, handler in zip(END, before, strict=True):
            signal.signal(number, handler)
