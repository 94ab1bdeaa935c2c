"""Child processes that are always stopped, and waits with a deadline."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

_GRACE = 5.0  # seconds between asking a process to stop and killing it
END = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))  # no SIGHUP on Windows
"""Signals that end a command: Ctrl-C, the system's request, a closed terminal."""


class NotReady(Exception):
    """Something did not happen in time, or a process ended before it did; the text says which."""


def ujobs(*arguments: str | Path) -> list[str]:
    """Return the command line that runs `ujobs ARGUMENTS...` with this interpreter."""
    return [sys.executable, "-m", "ujobs_tools", *map(str, arguments)]


@contextlib.contextmanager
def running(
    command: Sequence[str], output: IO[Any] | int | None = None, environment: dict[str, str] | None = None,
    directory: Path | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process in its own process group; at the end, stop the whole group."""
    process = subprocess.Popen(
        command, stdout=output, stderr=subprocess.STDOUT if output is not None else None, env=environment,
        cwd=directory, start_new_session=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
        kill_group(process)


def ending_signals() -> list[signal.Signals]:
    """Return the signals that end this command. SIGHUP that is ignored, as with nohup, stays ignored; SIGINT does not,
    which shells have programs in the background ignore."""
    always = (signal.SIGINT, signal.SIGTERM)
    return [number for number in END if number in always or signal.getsignal(number) != signal.SIG_IGN]


@contextlib.contextmanager
def ended_by_signals() -> Iterator[Callable[[], None]]:
    """In the body, SIGTERM and SIGHUP (closed terminal) raise KeyboardInterrupt, like Ctrl-C. After the first signal,
    further ones are ignored, so that they do not interrupt the cleanup. See ending_signals().

    Yields a function that raises KeyboardInterrupt if a signal has arrived. Native code of a library may catch the
    KeyboardInterrupt and raise its own error: then the block also ends with KeyboardInterrupt.
    """
    numbers = ending_signals()
    received = False

    def end(*_: object) -> None:
        nonlocal received
        received = True
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    def check() -> None:
        if received:
            raise KeyboardInterrupt

    before = [(number, signal.signal(number, end)) for number in numbers]
    try:
        yield check
    except Exception:
        check()
        raise
    finally:
        for number, handler in before:
            signal.signal(number, handler)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Let a signal that ends this command, such as Ctrl-C, wait for the end of the body; a second one does not wait.

    For a step that creates something and then notes it: interrupted in between, nobody would remove it.
    """
    if threading.current_thread() is not threading.main_thread():  # which gets no signals
        yield
        return
    waiting: list[int] = []

    def wait(number: int, _: object) -> None:
        restore()
        waiting.append(number)

    def restore() -> None:
        for number, handler in before:
            signal.signal(number, handler)

    before = [(number, signal.signal(number, wait)) for number in ending_signals()]
    try:
        yield
    finally:
        restore()
    for number in waiting:
        os.kill(os.getpid(), number)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Send SIGKILL to a process of `running` and its group. For a virtual board, this is a power cut."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_until(condition: Callable[[], bool], what: str, seconds: float) -> None:
    """Poll until the condition holds. Raises NotReady, with `what` in its text, if it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise NotReady(f"{what}: not within {seconds:g} s")
        time.sleep(0.02)


def read_ready_file(path: Path, process: subprocess.Popen[bytes], seconds: float = 60.0) -> dict[str, Any]:
    """Wait for the file that `ujobs serve --ready-file` writes and return its content. Raises NotReady."""

    def ready() -> bool:
        if process.poll() is not None:
            raise NotReady(f"ujobs serve ended with code {process.returncode}")
        return path.exists()

    wait_until(ready, "ujobs serve", seconds)
    found: dict[str, Any] = json.loads(path.read_text())
    return found
