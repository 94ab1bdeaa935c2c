"""Runs handlers for `run_job` on CPython, in this process, so that debuggers and coverage tools work.

The application gets a board's `time`, `machine` and flash while it runs. Its module is imported again at each boot. If
the handler was given as a function, it is not: then global variables keep their values over resets, unlike on a board.
"""

import asyncio
import builtins
import contextlib
import errno
import gc
import importlib
import io
import os
import shutil
import sys
import tempfile
import time
import traceback
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ujobs_tools.board.device_files import LIBRARY, SHIMS
from ujobs_tools.board.fakes_cache import FAKES
from ujobs_tools.testing.order import BootFailed, Target

DEVICE = Path(__file__).with_name("device")
_ON_BOARD = ["open", "listdir", "mkdir", "remove", "rename", "rmdir", "stat", "unlink"]
_TIME = ["sleep", "sleep_ms", "sleep_us", "ticks_ms", "ticks_us", "time"]


def install() -> None:
    """Make ujobs and applications importable in this process: add the library, `machine`, and functions that CPython's
    modules lack."""
    for folder in (DEVICE, SHIMS, LIBRARY.parent):
        if str(folder) not in sys.path:
            sys.path.append(str(folder))
    # Remove the folder again: the other fakes are for MicroPython only.
    sys.path.append(str(FAKES))
    import peripherals  # type: ignore[import-not-found]

    sys.path.remove(str(FAKES))
    import boardlike  # type: ignore[import-not-found]

    for name in ("ticks_ms", "ticks_add", "ticks_diff"):
        _add(time, name, getattr(boardlike, name))
    _add(time, "ticks_us", lambda: boardlike.ticks_ms() * 1000)
    _add(time, "sleep_ms", lambda milliseconds: time.sleep(milliseconds / 1000))
    _add(time, "sleep_us", lambda microseconds: time.sleep(microseconds / 1000000))
    # Under `python -O` the library does not import it: MicroPython's compiler knows it.
    _add(builtins, "const", boardlike.const)
    _add(gc, "mem_free", lambda: boardlike.HEAP)
    _add(gc, "mem_alloc", lambda: 0)
    _add(gc, "threshold", lambda amount=-1: amount)
    _add(asyncio, "sleep_ms", lambda milliseconds: asyncio.sleep(milliseconds / 1000))
    _add(asyncio, "core", types.SimpleNamespace(cur_task=None))
    _add(sys, "print_exception", lambda error, file=None: traceback.print_exception(error, file=file or sys.stdout))
    if "machine" not in sys.modules:
        peripherals.reset = peripherals.soft_reset = lambda: None
        sys.modules["machine"] = peripherals


def _add(module: Any, name: str, value: Any) -> None:
    if not hasattr(module, name):
        setattr(module, name, value)


class CPython:
    """Boards that run in this process."""

    name = "cpython"

    def __init__(self) -> None:
        install()

    def board(self) -> "_Board":
        """Return a board with empty flash."""
        return _Board()


class _PowerCut(KeyboardInterrupt):
    """Ends the event loop at once. The loop catches other exceptions, but not a KeyboardInterrupt."""


class _Board:
    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="ujobs-flash-")
        self._flash = Path(self._folder.name, "flash")
        self._flash.mkdir()

    def boot(self, target: Target, order: dict[str, Any], files: dict[str, bytes]) -> dict[str, Any]:
        for name, content in files.items():
            path = self._flash / name.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        boot = _Boot(target, self._flash)
        return boot.run(order)

    def close(self) -> None:
        """Remove the flash."""
        self._folder.cleanup()


class _Boot:
    """The platform of one_boot on CPython, for one boot."""

    def __init__(self, target: Target, flash: Path) -> None:
        self._target = target
        self._flash = flash
        self._full = False
        self._report: dict[str, Any] | None = None
        self._console = io.StringIO()
        self._undo = contextlib.ExitStack()

    def run(self, order: dict[str, Any]) -> dict[str, Any]:
        import boardlike  # type: ignore[import-not-found]
        import one_boot  # type: ignore[import-not-found]

        report: dict[str, Any]
        try:
            with self._undo, contextlib.redirect_stdout(self._console), contextlib.redirect_stderr(self._console):
                self._undo.enter_context(_replaced(asyncio, "new_event_loop", boardlike.Loop))
                self._undo.enter_context(_replaced(asyncio, "wait_for", boardlike.wait_for))
                # job.tick() runs the event loop from within a task.
                self._undo.enter_context(_replaced(asyncio, "run", boardlike.run))
                self._on_flash()
                report = one_boot.run(order, self)
        except _PowerCut:
            assert self._report is not None
            report = self._report
            # Discard changes made while the program was being ended: on a board, that code would not have run.
            shutil.rmtree(self._flash)
            self._kept.rename(self._flash)
        except Exception as error:
            raise BootFailed(f"{type(error).__name__}: {error}", self._console.getvalue()) from error
        report["console"] = self._console.getvalue() if self._report is None else self._said
        report["files"] = {
            f"/{path.relative_to(self._flash).as_posix()}": path.read_bytes()
            for path in sorted(self._flash.rglob("*"))
            if path.is_file() and "ujobs-journal" not in path.parts
        }
        return report

    def set_time(self, board_time: Any) -> None:
        """Replace functions of `time` with the board's until the boot is over."""
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        for name in _TIME:
            self._undo.enter_context(_replaced(time, name, getattr(board_time, name)))

    def register(self, agent: Any, order: dict[str, Any], starts: Callable[[Any], None]) -> None:
        """Import the application and call its setup()."""
        import one_boot  # type: ignore[import-not-found]

        function = self._target.function
        module = self._import() if function is None else sys.modules[function.__module__]
        finish = one_boot.registering(agent, function, order, starts)
        if hasattr(module, "setup") and not _is_test(module):
            one_boot.set_up(module, agent)
        finish()

    def _import(self) -> types.ModuleType:
        folders = [str(folder) for folder in self._target.folders]
        before = {name: module for name, module in sys.modules.items() if _is_in(module, self._target.folders)}
        for name in before:
            del sys.modules[name]
        sys.path[:0] = folders

        def undo() -> None:
            for folder in folders:
                sys.path.remove(folder)
            for name, module in list(sys.modules.items()):
                if _is_in(module, self._target.folders):
                    del sys.modules[name]
            sys.modules.update(before)

        self._undo.callback(undo)
        importlib.invalidate_caches()
        return importlib.import_module(self._target.module)

    def fill_flash(self) -> None:
        """Fill the flash; stricter than littlefs, which may still have room for a few bytes."""
        self._full = True

    def at_end(self, undo: Callable[[], None]) -> None:
        """Register a function to call when the boot is over."""
        self._undo.callback(undo)

    def cut_power(self, report: dict[str, Any]) -> None:
        """Save the flash and the output, and end the program."""
        import copy

        self._report = copy.deepcopy(report)
        self._said = self._console.getvalue()
        self._kept = self._flash.with_name("kept")
        with _replaced(builtins, "open", io.open), self._off_flash():
            shutil.copytree(self._flash, self._kept)
        raise _PowerCut

    def _on_flash(self) -> None:
        self._real = {name: getattr(os, name) for name in _ON_BOARD if name != "open"}
        for name, function in self._real.items():
            self._undo.enter_context(_replaced(os, name, self._on_board(function)))
        self._undo.enter_context(_replaced(builtins, "open", self._open))

    @contextlib.contextmanager
    def _off_flash(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for name, function in self._real.items():
                stack.enter_context(_replaced(os, name, function))
            yield

    def _open(self, path: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        place = self._place(path)
        if place is not path and self._full and set(mode) & set("wax+"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return io.open(place, mode, *arguments, **options)  # noqa: UP020 - the builtin is replaced

    def _on_board(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def on_board(*paths: Any, **options: Any) -> Any:
            return function(*(self._place(path) for path in paths or (".",)), **options)

        return on_board

    def _place(self, path: Any) -> Any:
        """Return the host's path for a path of the board; the host's own paths stay unchanged."""
        if not isinstance(path, str):
            return path
        if path.startswith("/") and any(path.startswith(root) for root in _host_roots(self._target)):
            return path
        # normpath() keeps the path inside the flash folder.
        return str(self._flash / os.path.normpath("/" + path).lstrip("/"))


def _host_roots(target: Target) -> tuple[str, ...]:
    roots = {sys.prefix, sys.base_prefix, str(LIBRARY.parent.parent), tempfile.gettempdir(), "/proc", "/dev"}
    return *roots, *(str(folder) for folder in target.folders)


@contextlib.contextmanager
def _replaced(module: Any, name: str, value: Any) -> Iterator[None]:
    real = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, real)


def _is_in(module: types.ModuleType, folders: tuple[Path, ...]) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).parent in folders and not _is_test(module)


def _is_test(module: types.ModuleType) -> bool:
    name = module.__name__.rpartition(".")[2]
    return name.startswith("test_") or name == "conftest"
