"""The board around MicroPython: start order, resets and their causes, watchdog, heap, power cuts, no
orphans."""

import os
import re
import signal
from pathlib import Path

from board_process import StartBoard, make_image, run_board, wait_until
from ujobs_tools.board.image import read_files


def values(lines: list[str], name: str) -> list[str]:
    """Return the text that the program printed after `name=`."""
    return [line.partition("=")[2] for line in lines if line.startswith(name + "=")]


def test_boot_then_main_in_one_namespace_on_the_image(tmp_path: Path) -> None:
    main = "import os, sys\nprint('from boot', x)\nprint(sorted(os.listdir('/')), sys.path)\n"
    code, lines = run_board(tmp_path, main, boot="x = 5\n")
    assert code == 0
    assert lines == [
        "board: start, PWRON_RESET",
        "from boot 5",
        "['boot.py', 'main.py'] ['', '.frozen', '/lib']",
        "board: the program ended",
    ]


def test_main_is_skipped_when_boot_raises_as_on_silicon(tmp_path: Path) -> None:
    code, lines = run_board(tmp_path, "print('main')\n", boot="1 / 0\n")
    assert code == 1
    assert "ZeroDivisionError: divide by zero" in lines
    assert "main" not in lines


def test_a_traceback_shows_the_program_only(tmp_path: Path) -> None:
    code, lines = run_board(tmp_path, "def f():\n    raise ValueError('broken')\nf()\n")
    assert code == 1
    start = lines.index("Traceback (most recent call last):")
    assert lines[start + 1 :] == [
        '  File "main.py", line 3, in <module>',
        '  File "main.py", line 2, in f',
        "ValueError: broken",
        "board: the program ended with an exception",
    ]


def test_reset_causes(tmp_path: Path) -> None:
    main = """
import machine
cause = machine.reset_cause()
print("cause=%d" % cause)
print("id=" + machine.unique_id().hex())
if cause == machine.PWRON_RESET:
    machine.reset()
elif cause == machine.HARD_RESET:
    machine.soft_reset()
elif cause == machine.SOFT_RESET:
    machine.deepsleep(50)
elif cause == machine.DEEPSLEEP_RESET:
    machine.WDT(timeout=100)
    while True:
        pass
"""
    code, lines = run_board(tmp_path, main)
    assert code == 0
    assert values(lines, "cause") == ["1", "2", "5", "4", "3"]
    assert len(set(values(lines, "id"))) == 1
    assert len(values(lines, "id")[0]) == 12


def test_reset_runs_no_more_of_the_program(tmp_path: Path) -> None:
    main = """
import machine
if machine.reset_cause() == machine.PWRON_RESET:
    try:
        machine.reset()
    finally:
        print("still running")
"""
    code, lines = run_board(tmp_path, main)
    assert code == 0
    assert "still running" not in lines


def test_watchdog_spares_a_program_that_feeds_it(tmp_path: Path) -> None:
    main = """
import machine, time
if machine.reset_cause() == machine.PWRON_RESET:
    watchdog = machine.WDT(timeout=1000)
    for _ in range(15):
        time.sleep_ms(100)
        watchdog.feed()
    print("alive")
    while True:
        pass
print("cause=%d" % machine.reset_cause())
"""
    code, lines = run_board(tmp_path, main)
    assert code == 0
    assert "alive" in lines
    assert values(lines, "cause") == ["3"]


def test_watchdog_bites_after_the_program_ended(tmp_path: Path) -> None:
    main = """
import machine
if machine.reset_cause() == machine.PWRON_RESET:
    machine.WDT(timeout=100)
    raise OSError("crashed")
"""
    code, lines = run_board(tmp_path, main)
    assert code == 0
    assert "board: start, WDT_RESET" in lines


def test_heap_is_capped(tmp_path: Path) -> None:
    main = """
held = None
count = 0
try:
    while True:
        held = (held, bytearray(1000))
        count += 1
except MemoryError:
    held = None
    print("kilobytes=%d" % count)
bytearray(1000000)
"""
    code, lines = run_board(tmp_path, main, "--heap", "64k")
    assert code == 1
    assert 50 <= int(values(lines, "kilobytes")[0]) <= 64
    assert re.match(r"MemoryError: memory allocation failed, allocating \d+ bytes", lines[-2])
    _, lines = run_board(tmp_path, main)
    assert 140 <= int(values(lines, "kilobytes")[0]) <= 160


COUNTING = """
import os
try:
    with open("count.txt") as file:
        numbers = file.read().split()
    number = int(numbers[0])
    print("whole=%d" % (len(numbers) == 200 and len(set(numbers)) == 1))
except OSError:
    number = 0
print("found=%d" % number)
while True:
    number += 1
    with open("count.tmp", "w") as file:
        file.write(("%d " % number) * 200)
    os.rename("count.tmp", "count.txt")
    print("wrote=%d" % number)
"""


def test_a_power_cut_loses_nothing_written(tmp_path: Path, start_board: StartBoard) -> None:
    image = make_image(tmp_path, COUNTING)
    kept = 0
    for cut in range(6):
        board = start_board(image)
        board.wait_for("wrote=", times=7 * cut + 1)
        board.signal(signal.SIGKILL)
        board.wait()
        assert values(board.lines, "found") == [str(kept)]
        wrote = int(values(board.lines, "wrote")[-1])
        check = start_board(image)
        check.wait_for("wrote=")
        check.signal(signal.SIGTERM)
        assert check.wait() == 0
        found = int(values(check.lines, "found")[0])
        assert found >= wrote > kept
        assert values(check.lines, "whole") == ["1"]
        kept = int(read_files(image)["/count.txt"].split()[0])


def test_no_orphan_when_the_supervisor_is_killed(tmp_path: Path, start_board: StartBoard) -> None:
    board = start_board(make_image(tmp_path, "print('up')\nwhile True:\n    pass\n"))
    board.wait_for("up")
    processor = Path(f"/proc/{board.processor_pid()}/stat")
    board.signal(signal.SIGKILL)
    board.wait()

    def gone() -> bool:
        try:
            return processor.read_text().rpartition(")")[2].split()[0] in "ZX"
        except (FileNotFoundError, ProcessLookupError):
            return True

    wait_until(gone, "MicroPython outlived its supervisor")


def test_sigterm_stops_both(tmp_path: Path, start_board: StartBoard) -> None:
    board = start_board(make_image(tmp_path, "print('up')\nwhile True:\n    pass\n"))
    board.wait_for("up")
    processor = Path(f"/proc/{board.processor_pid()}")
    board.signal(signal.SIGTERM)
    assert board.wait() == 0
    assert not processor.exists()


def test_ctrl_c_ends_a_deep_sleep_without_a_time(tmp_path: Path, start_board: StartBoard) -> None:
    board = start_board(make_image(tmp_path, "import machine\nmachine.deepsleep()\n"))
    board.wait_for("deep sleep")
    board.signal(signal.SIGINT)
    assert board.wait() == 0


def test_the_death_of_micropython_is_reported(tmp_path: Path, start_board: StartBoard) -> None:
    board = start_board(make_image(tmp_path, "print('up')\nwhile True:\n    pass\n"))
    board.wait_for("up")
    os.kill(board.processor_pid(), signal.SIGSEGV)
    assert board.wait() == 3
    assert board.lines[-1] == "board: the MicroPython process died: signal 11"


def test_log_gets_the_same_lines(tmp_path: Path) -> None:
    log = tmp_path / "board.log"
    _, lines = run_board(tmp_path, "print('half', end='')\n", "--log", str(log))
    assert lines == ["board: start, PWRON_RESET", "half", "board: the program ended"]
    assert log.read_text().splitlines() == lines
