"""Which handler `run_job` is to run, and what can go wrong before it runs."""

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class BootFailed(AssertionError):
    """The application or ujobs itself failed, rather than the job; the text has the console."""

    def __init__(self, reason: str, console: str) -> None:
        super().__init__(f"{reason}\n--- console ---\n{console}" if console else reason)


@dataclass(frozen=True)
class Target:
    """module: the application's, found in one of the folders. function: the handler; None where the document's
    operation says which."""

    module: str
    folders: tuple[Path, ...]
    function: Callable[..., Any] | None

    @property
    def function_name(self) -> str | None:
        """Under which another interpreter finds the handler. Raises ValueError for one that has no such name."""
        if self.function is None:
            return None
        name = self.function.__qualname__
        if not name.isidentifier():
            raise ValueError(f"{name} cannot be run on MicroPython: move the handler to the top level of its module")
        return name


def find(handler: "Callable[..., Any] | str", app: Path | None) -> Target:
    """The target that `run_job` means. app: the application's folder or file, where the handler is an operation."""
    if not isinstance(handler, str):
        file = inspect.getsourcefile(sys.modules[handler.__module__])
        if file is None:
            raise ValueError(f"{handler.__qualname__} has no source file")
        return Target(Path(file).stem, (Path(file).resolve().parent,), handler)
    if app is None:
        raise ValueError(f"no application to take the operation {handler!r} from: give app=, or `app` in ujobs.toml")
    app = app.resolve()
    if app.is_dir():
        return Target("app", (app,), None)
    return Target(app.stem, (app.parent,), None)
