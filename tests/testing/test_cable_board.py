"""The fixture `board` with --ujobs-board; the cable is a virtual board's serial port, directly and over TCP."""

import contextlib
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from serial.urlhandler import protocol_loop

from ujobs_tools.board.files import make_bare_files, make_program_files
from ujobs_tools.board.image import build_image
from ujobs_tools.deploy import ports
from ujobs_tools.deploy.ports import BoardError
from ujobs_tools.deploy.remote import Remote
from ujobs_tools.host.processes import running, ujobs, wait_until
from ujobs_tools.project.new import create
from ujobs_tools.testing import plugin
from ujobs_tools.testing.cable_board import CableBoard
from ujobs_tools.testing.jobs_service import JobsService

PATIENCE = 30.0  # seconds
TESTS = """
import pytest


def test_success(service, board):
    service.refuse("update", times=1)
    execution = service.job("blink", times=1).wait()
    assert (execution.status, execution.attempts) == ("SUCCEEDED", 1)
    board.expect("SUCCEEDED")


def test_files(service, board):
    assert board.files["/app/app.mpy"]
    # What was left by the test before is not there, and a look at the files starts the board again.
    assert "/ujobs-journal/record" not in board.files
    with pytest.raises(ValueError, match="cut the power"):
        board.files["/data/x"] = b"1"
    assert service.job("blink", times=1).wait().status == "SUCCEEDED"


def test_power(service, board):
    board.cut_power()


def test_failure(service, board):
    for use in (
        lambda: board.lose_link(1), lambda: board.advance(hours=5), lambda: board.pin(2), lambda: board.i2c,
        lambda: board.pwm, lambda: board.analogue, board.fill_flash,
    ):
        with pytest.raises(pytest.skip.Exception, match="not on the board at"):
            use()
    service.job("burn").wait()
    assert False
"""


@pytest.fixture
def port(tmp_path: Path) -> Iterator[Path]:
    """The serial port of a board with the files that all boards share."""
    image, port = tmp_path / "flash.img", tmp_path / "port"
    build_image(image, make_bare_files() | make_program_files())
    with (tmp_path / "board.txt").open("wb") as log, running(ujobs("board", image, "--serial", port), log):
        wait_until(port.exists, "serial port", PATIENCE)
        yield port


def run_pytest(folder: Path, tests: str, *arguments: str) -> str:
    """Return the output of pytest in a new project with these tests."""
    kiln = folder / "kiln"
    create(kiln)
    (kiln / "tests" / "test_app.py").write_text(tests)
    command = [sys.executable, "-m", "pytest", "-p", "ujobs_tools.testing.plugin", "-p", "no:cacheprovider", "-rs"]
    return subprocess.run([*command, *arguments], cwd=kiln, capture_output=True, text=True, timeout=300).stdout


def test_on_a_serial_port(port: Path, tmp_path: Path) -> None:
    said = run_pytest(tmp_path, TESTS, f"--ujobs-board={port}")
    assert "1 failed, 2 passed, 1 skipped" in said, said
    for text in (
        "board.cut_power needs a port whose RTS line is connected to the board's reset pin",
        "ujobs: connected to localhost",
        '-> jobs/start-next {"stepTimeoutInMinutes"',
    ):
        assert text in said


class Chip(protocol_loop.Serial):
    """A port whose RTS resets a chip, which then prints its reset cause."""

    def _update_rts_state(self) -> None:
        super()._update_rts_state()
        if self.is_open and not self._rts_state:
            self.write(b"rst:0x1 (POWERON_RESET)\r\n")


def test_a_reset_line_is_a_power_switch(service: JobsService, tmp_path: Path) -> None:
    line = Chip("loop://", timeout=0.1)
    board = CableBoard("loop://", tmp_path / "console.txt", service)
    board.listen(line)
    board.cut_power()
    assert (line.rts, line.dtr, board.on) == (True, False, False)
    board.start()
    board.expect("POWERON_RESET")
    assert (line.rts, board.on) == (False, True)
    board.close()
    assert not line.is_open
    board = CableBoard("socket://localhost:1", tmp_path / "console.txt", service)
    board.listen(Chip("loop://", timeout=0.1))
    with pytest.raises(pytest.skip.Exception, match=r"board\.cut_power needs a port whose RTS"):
        board.cut_power()
    board.close()


@contextlib.contextmanager
def over_tcp(port: Path) -> Iterator[str]:
    """Offer a serial port over TCP, to one client at a time; yields the URL."""
    line = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    stop, stopper = socket.socketpair()
    with stop, stopper, socket.create_server(("127.0.0.1", 0)) as server:

        def relay() -> None:
            client: socket.socket | None = None
            while True:
                readable, _, _ = select.select([stop, server, line, *([client] if client else [])], [], [])
                if stop in readable:
                    break
                if server in readable:
                    client, _ = server.accept()
                    continue
                if line in readable:
                    data = os.read(line, 65536)
                    if client:
                        with contextlib.suppress(OSError):
                            client.sendall(data)
                if client in readable and client:
                    data = client.recv(65536)
                    if data:
                        os.write(line, data)
                    else:
                        client.close()
                        client = None
            if client:
                client.close()

        thread = threading.Thread(target=relay)
        thread.start()
        try:
            yield f"socket://127.0.0.1:{server.getsockname()[1]}"
        finally:
            stopper.send(b"x")
            thread.join()
            os.close(line)


def test_over_tcp(port: Path, tmp_path: Path) -> None:
    with over_tcp(port) as url:
        said = run_pytest(tmp_path, TESTS, f"--ujobs-board={url}", "-k", "success")
    assert "1 passed" in said, said


def test_a_missing_board(service: JobsService, tmp_path: Path) -> None:
    said = "--ujobs-board /dev/ttyNONE: no board at /dev/ttyNONE"
    with pytest.raises(pytest.fail.Exception, match=said) as failed:
        next(plugin._cable_board("/dev/ttyNONE", tmp_path / "console.txt", service, None, {}))
    assert failed.value.__suppress_context__, "pytest would show it twice"
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"socket://127.0.0.1:{free.getsockname()[1]}"
    for port in (url, "nonsense://x"):
        with pytest.raises(BoardError, match=port):
            Remote(ports.choose(port))
