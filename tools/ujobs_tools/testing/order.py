"""Finds the handler that `run_job` runs."""

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class BootFailed(AssertionError):
    """The application or ujobs failed, not the job; the text contains the console."""

    def __init__(self, reason: str, console: str) -> None:
        super().__init__(f"{reason}\n--- console ---\n{console}" if console else reason)


@dataclass(frozen=True)
class Target:
    """A handler. module: name of the application's module, in one of `folders`. function: the handler; None if the
    operation in the document selects it."""

    module: str
    folders: tuple[Path, ...]
    function: Callable[..., Any] | None

    @property
    def function_name(self) -> str | None:
        """The name with which another interpreter finds the handler. Raises ValueError unless it is at module level."""
        if self.function is None:
            return None
        name = self.function.__qualname__
        if not name.isidentifier():
            raise ValueError(f"{name} cannot be run on MicroPython: move the handler to the top level of its module")
        return name


def find(handler: "Callable[..., Any] | str", app: Path | None) -> Target:
    """Return the handler for `run_job`. app: the application's folder or file, needed if `handler` is an operation.
    Raises ValueError."""
    if not isinstance(handler, str):
        file = inspect.getsourcefile(sys.modules[handler.__module__])
        if file is None:
            raise ValueError(f"{handler.__qualname__} does not have a source file")
        return Target(Path(file).stem, (Path(file).resolve().parent,), handler)
    if app is None:
        __tracebackhide__ = True
        raise ValueError(
            f"no application for the operation {handler!r}: no ujobs.toml here or above has `app`, and app= is missing"
        )
    app = app.resolve()
    if app.is_dir():
        return Target("app", (app,), None)
    return Target(app.stem, (app.parent,), None)
