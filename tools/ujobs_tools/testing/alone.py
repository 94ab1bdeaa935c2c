"""`run_job`: runs a single handler on CPython or MicroPython, in milliseconds."""

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from ujobs_tools.testing import order
from ujobs_tools.testing.machine import Machine
from ujobs_tools.testing.result import Result

CPYTHON, MICROPYTHON = "cpython", "micropython"
Handler = Callable[..., Any] | str


class Board(Protocol):
    """A board that can be booted repeatedly and keeps its flash."""

    def boot(self, target: order.Target, order: dict[str, Any], files: dict[str, bytes]) -> dict[str, Any]:
        """Write these files to flash and boot once. Raises BootFailed."""
        ...

    def close(self) -> None:
        """Discard the board."""


class Interpreter(Protocol):
    """An interpreter for handlers."""

    name: str

    def board(self) -> Board:
        """Return a new board."""
        ...


class RunJob:
    """Runs jobs on one interpreter; the fixture `run_job` is one. app: the application's folder or file.

    last: the result of the last job, for the report of a failed test; None if it has none.
    """

    def __init__(self, interpreter: Interpreter, app: Path | None = None) -> None:
        self.interpreter = interpreter.name
        self.last: Result | None = None
        self._interpreter = interpreter
        self._app = app

    def __call__(
        self,
        handler: Handler,
        document: Mapping[str, Any] | None = None,
        *,
        app: Path | None = None,
        cancel_after: float | None = None,
        reset_after: float | None = None,
        reset_at_checkpoint: int | None = None,
        flash_full: bool = False,
        files: Mapping[str, bytes] | None = None,
        machine: Machine | None = None,
        **options: Any,
    ) -> Result:
        """Run one job to its end.

        handler: the function, or the operation under which the application's setup() registers it. document: the job
        document; `operation` is added. app: another application than the project's. cancel_after: seconds of the
        board's clock after which the service cancels the job. reset_after: seconds until one power loss; the board
        then boots again. reset_at_checkpoint: a power loss right after this call of job.save(), counted from 1.
        flash_full: the flash is full from the start of the handler on; on MicroPython, as on a board, a checkpoint of
        up to about 120 bytes may still fit. files: files on flash before the first boot, content by path. machine:
        levels and readings of the pins. options: options of Agent.on, for a function that setup() does not register.

        Raises BootFailed if the application cannot be started, ValueError for an invalid argument.
        """
        __tracebackhide__ = True  # pytest shows the test, where the mistake is
        self.last = None
        if options and isinstance(handler, str):
            raise ValueError(
                f"run_job has no argument {', '.join(options)}; options of agent.on need the handler as a function"
            )
        target = order.find(handler, app or self._app)
        operation = handler if isinstance(handler, str) else None
        wanted = {
            "operation": operation, "options": options, "cancel_after": cancel_after, "reset_after": reset_after,
            "reset_at_checkpoint": reset_at_checkpoint, "flash_full": flash_full,
        }
        for name in ("cancel_after", "reset_after"):
            if wanted[name] is not None and wanted[name] < 0:
                raise ValueError(f"{name} must be 0 seconds or more")
        if reset_at_checkpoint is not None and reset_at_checkpoint < 1:
            raise ValueError("reset_at_checkpoint counts from 1")
        result = Result(machine=copy.deepcopy(machine or Machine()))
        put = dict(files or {})
        for name in put:
            if not name.startswith("/"):
                raise ValueError(f"files: {name!r} must be a path that begins with /")
        execution: dict[str, Any] = {
            "jobId": "job", "executionNumber": 1, "versionNumber": 1, "queuedAt": 1, "status": "QUEUED",
            "statusDetails": {}, "jobDocument": json.loads(json.dumps(dict(document or {}))),
        }
        board = self._interpreter.board()
        try:
            while True:
                boot = wanted | {
                    "execution": execution, "seconds": int(result.seconds), "machine": result.machine.as_order()
                }
                report = board.boot(target, boot, put)
                result.take(report)
                result.console += report["console"]
                if report["outcome"] == "ended":
                    break
                execution, put = report["execution"], {}
                wanted |= {"reset_after": None, "reset_at_checkpoint": None}
                if cancel_after is not None:
                    wanted["cancel_after"] = max(0.0, cancel_after - result.seconds)
            result.files = report["files"]
            self.last = result
            return result
        finally:
            board.close()

    def at_each_checkpoint(
        self, handler: Handler, document: Mapping[str, Any] | None = None, **arguments: Any
    ) -> Iterator[Result]:
        """Test a power loss at each checkpoint. Runs the job once to count its checkpoints, then once per checkpoint
        with a power loss right after it, and yields those results. arguments: as for a single run."""
        __tracebackhide__ = True
        whole = self(handler, document, **arguments)
        if not whole.checkpoints:
            raise ValueError("the handler saved no checkpoint; the job ended " + whole.status)
        for number in range(1, len(whole.checkpoints) + 1):
            yield self(handler, document, reset_at_checkpoint=number, **arguments)
