"""The board's serial port, used with the real mpremote: REPL, files, resets, Ctrl-C, full flash, power loss."""

import hashlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import serial

from board_process import COMMAND, BoardProcess, StartBoard, make_image, wait_until
from mpremote_board import MpremoteBoard, Start
from ujobs_tools.board.image import read_files

LOOP = "print('working')\nwhile True:\n    pass\n"


@pytest.fixture
def start(tmp_path: Path, start_board: StartBoard) -> Start:
    """Start a board with main.py, and boot.py if it is given."""

    def started(main: str, *options: str, **files: str) -> MpremoteBoard:
        return MpremoteBoard(start_board, make_image(tmp_path, main, **files), *options)

    return started


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[MpremoteBoard, Path]]:
    """A board without a program, for all tests that leave it as it is, and its image."""
    image = make_image(tmp_path_factory.mktemp("idle"), "")
    processes: list[BoardProcess] = []

    def start_board(image: Path, *options: str) -> BoardProcess:
        processes.append(BoardProcess(image, *options))
        return processes[-1]

    yield MpremoteBoard(start_board, image), image
    processes[0].stop()


def started(board: MpremoteBoard) -> list[str]:
    """Return the reset causes, one for each boot."""
    return [line.rpartition(" ")[2] for line in board.board.lines if line.startswith("board: start, ")]


def test_programs_run_and_exceptions_are_reported(idle: tuple[MpremoteBoard, Path], tmp_path: Path) -> None:
    board, _ = idle
    assert board.mpremote("exec", "print(6 * 7)") == "42\n"
    assert board.mpremote("eval", "1 + 2") == "3\n"
    script = tmp_path / "script.py"
    script.write_text("import sys\nprint(sys.implementation.name, sys.path)\n")
    assert board.mpremote("run", script) == "micropython ['', '.frozen', '/lib']\n"
    failed = board.tried("exec", "1 / 0")
    assert failed.returncode == 1
    assert "ZeroDivisionError: divide by zero" in failed.stdout


def test_files_are_those_of_the_image(idle: tuple[MpremoteBoard, Path], tmp_path: Path) -> None:
    board, image = idle
    content = os.urandom(5000)
    source, back = tmp_path / "source.bin", tmp_path / "back.bin"
    source.write_bytes(content)
    board.mpremote("mkdir", ":data")
    board.mpremote("cp", source, ":data/a.bin")
    assert "5000 a.bin" in board.mpremote("ls", ":data")
    assert hashlib.sha256(content).hexdigest() in board.mpremote("sha256sum", ":data/a.bin")
    board.mpremote("cp", ":data/a.bin", back)
    assert back.read_bytes() == content
    assert read_files(image)["/data/a.bin"] == content
    assert str(64 * 4096) in board.mpremote("df")
    board.mpremote("rm", ":data/a.bin")
    assert "/data/a.bin" not in read_files(image)
    missing = board.tried("cat", ":data/a.bin")
    assert missing.returncode == 1
    assert "No such file" in missing.stderr


def test_a_folder_of_the_host_can_be_mounted(idle: tuple[MpremoteBoard, Path], tmp_path: Path) -> None:
    folder = tmp_path / "mounted"
    folder.mkdir()
    (folder / "there.py").write_text("print('from the host')\n")
    assert "from the host\n" in idle[0].mpremote("mount", folder, "exec", "import there")


def test_the_repl_shares_the_namespace_of_main(start: Start) -> None:
    board = start("x = 42\nprint('done')\n1 / 0\n", boot="y = 1\n")
    board.board.wait_for("ZeroDivisionError")
    assert board.mpremote("resume", "exec", "print(x + y)") == "43\n"


def test_an_endless_program_is_interrupted(start: Start) -> None:
    board = start(LOOP)
    board.board.wait_for("working")
    assert board.mpremote("exec", "print('prompt')") == "prompt\n"
    board.board.wait_for("KeyboardInterrupt")


def test_the_next_command_interrupts_a_running_program(idle: tuple[MpremoteBoard, Path]) -> None:
    board, _ = idle
    with subprocess.Popen(board.command("exec", LOOP), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "working\n"
        process.kill()
    assert board.mpremote("exec", "print('prompt')") == "prompt\n"


def test_ctrl_c_can_be_passed_on_as_a_byte(start: Start) -> None:
    board = start("")
    with serial.Serial(str(board.port), timeout=10) as line:
        line.write(b"import micropython, sys; micropython.kbd_intr(-1); print('got', sys.stdin.buffer.read(3))\r")
        assert b"\r\n" in line.read_until(b"(3))\r\n")
        line.write(b"a\x03b")
        assert line.read_until(b"'\r\n").endswith(b"got b'a\\x03b'\r\n")


def test_a_soft_reset_runs_boot_and_main(start: Start) -> None:
    board = start("print('main')\n", boot="print('boot')\n")
    board.board.wait_for("Type \"help()\"")
    with serial.Serial(str(board.port), timeout=10) as line:
        line.write(b"\x04")
        line.read_until(b"MPY: soft reboot\r\n")
        assert line.read_until(b">>> ").startswith(b"boot\r\nmain\r\nMicroPython")
    assert started(board) == ["PWRON_RESET", "SOFT_RESET"]


def test_a_soft_reset_in_raw_mode_skips_main(start: Start) -> None:
    board = start("print('main')\n", boot="print('boot')\n")
    board.board.wait_for("Type \"help()\"")
    with serial.Serial(str(board.port), timeout=10) as line:
        line.write(b"\x01")
        line.read_until(b"raw REPL; CTRL-B to exit\r\n>")
        line.write(b"\x04")
        said = line.read_until(b"raw REPL; CTRL-B to exit\r\n>")
    assert said == b"OK\r\nMPY: soft reboot\r\nboot\nraw REPL; CTRL-B to exit\r\n>"


def test_resets_by_the_program(start: Start) -> None:
    main = """
import machine
cause = machine.reset_cause()
if cause == machine.PWRON_RESET:
    machine.soft_reset()
if cause == machine.SOFT_RESET:
    machine.reset()
"""
    board = start(main)
    board.board.wait_for("board: start, HARD_RESET")
    board.board.wait_for("Type \"help()\"")
    assert started(board) == ["PWRON_RESET", "SOFT_RESET", "HARD_RESET"]


def test_reset_by_mpremote_runs_main_again(start: Start) -> None:
    board = start(LOOP)
    board.board.wait_for("working")
    board.mpremote("reset")
    board.board.wait_for("board: start, HARD_RESET")
    board.board.wait_for("working", times=2)
    assert board.mpremote("exec", "import machine; print(machine.reset_cause() == machine.SOFT_RESET)") == "True\n"


def test_the_watchdog_bites_at_the_prompt(start: Start) -> None:
    board = start("import machine\nif machine.reset_cause() == machine.PWRON_RESET:\n    machine.WDT(timeout=100)\n")
    board.board.wait_for("board: start, WDT_RESET")
    assert board.mpremote("exec", "print('prompt')") == "prompt\n"


def test_output_without_a_listener_is_lost(start: Start) -> None:
    board = start("for number in range(3000):\n    print('a line that nobody reads', number)\n")
    board.board.wait_for("Type \"help()\"")
    assert board.mpremote("resume", "exec", "print('prompt')") == "prompt\n"


def test_large_output_arrives_completely(idle: tuple[MpremoteBoard, Path]) -> None:
    said = idle[0].mpremote("exec", "for number in range(5000): print('line', number)")
    assert said.splitlines() == [f"line {number}" for number in range(5000)]


def test_full_flash_is_an_error_and_keeps_the_files(start: Start, tmp_path: Path) -> None:
    board = start("print('sound')\n")
    big = tmp_path / "big.bin"
    big.write_bytes(bytes(64 * 4096))
    failed = board.tried("cp", big, ":big.bin")
    assert failed.returncode != 0
    assert "ENOSPC" in failed.stderr or "No space left" in failed.stderr
    assert board.mpremote("exec", "import os; os.remove('big.bin'); print(os.statvfs('/')[3] > 50)") == "True\n"
    assert read_files(tmp_path / "flash.img")["/main.py"] == b"print('sound')\n"


def test_a_board_without_power_is_an_error_until_it_starts(
    start: Start, tmp_path: Path, start_board: StartBoard
) -> None:
    board = start("print('sound')\n")
    with subprocess.Popen(board.command("exec", LOOP), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        board.board.signal(signal.SIGKILL)
        assert process.wait(60) != 0
    assert not board.port.exists()  # a link that leads nowhere
    again = MpremoteBoard(start_board, tmp_path / "flash.img")
    assert again.mpremote("cat", ":main.py") == "print('sound')\n"


def test_the_port_disappears_with_the_board(start: Start) -> None:
    board = start("")
    wait_until(board.port.exists, "serial port")
    board.board.signal(signal.SIGTERM)
    assert board.board.wait() == 0
    assert not board.port.is_symlink()


def test_a_file_in_the_port_s_place_is_left_alone(tmp_path: Path) -> None:
    image = make_image(tmp_path, "")
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    result = subprocess.run([*COMMAND, image, "--serial", path], capture_output=True, text=True, timeout=120)
    assert result.returncode == 2
    assert "File exists" in result.stderr
    assert path.read_text() == "mine"


def test_a_bare_board_has_umqtt_and_nothing_else(tmp_path: Path, start_board: StartBoard) -> None:
    board = MpremoteBoard(start_board, tmp_path / "bare.img", "--bare")
    board.board.wait_for("Type \"help()\"")
    assert list(read_files(tmp_path / "bare.img")) == ["/lib/umqtt/simple.mpy"]
    assert board.mpremote("exec", "import umqtt.simple; print(umqtt.simple.MQTTClient.__name__)") == "MQTTClient\n"
    mixed = subprocess.run(
        [*COMMAND, tmp_path / "new.img", "--bare", "--thing", "t"], capture_output=True, text=True, timeout=120
    )
    assert mixed.returncode == 2
    assert "--bare" in mixed.stderr


def test_the_reset_line(start: Start) -> None:
    board = start("import machine, time\nprint(time.gmtime()[0], machine.RTC().memory())\n" + LOOP)
    board.board.wait_for("working")
    set_clock = "clock.memory(b'x'); clock.datetime((2030, 1, 1, 0, 0, 0, 0, 0))"
    board.mpremote("exec", "import machine; clock = machine.RTC(); " + set_clock)
    board.mpremote("reset")
    board.board.wait_for("2030")
    board.board.wait_for("working", times=2)
    board.board.signal(signal.SIGQUIT)
    board.board.wait_for("working", times=3)
    assert started(board)[-2:] == ["HARD_RESET", "PWRON_RESET"]
    # The reset line also resets the clock and its memory.
    assert [line for line in board.board.lines if line.endswith("'")] == ["2000 b''", "2030 b'x'", "2000 b''"]
