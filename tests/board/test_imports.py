"""Modules of the virtual board: which file hides which, and what an ESP32 does not have (py/builtinimport.c)."""

from pathlib import Path

from board_process import run_board

OWN = "mine = True\n"


def test_a_file_hides_a_built_in_module_as_on_an_esp32(tmp_path: Path) -> None:
    main = """
import sys
for name in "time machine socket os ntptime json esp32 network sys gc utime umachine".split():
    print(name, "own" if hasattr(__import__(name), "mine") else "board")
sys.path[:] = []
import time
print("without sys.path", hasattr(time, "mine"), time.gmtime(0)[0])
"""
    names = ("time", "machine", "socket", "os", "ntptime", "json", "esp32", "network", "sys", "gc")
    _, lines = run_board(tmp_path, main, **{f"{name}.py": OWN for name in names})
    hidden = [f"{name} own" for name in names[:6]]
    kept = [f"{name} board" for name in (*names[6:], "utime", "umachine")]
    assert lines[1:-2] == hidden + kept
    assert lines[-2] == "without sys.path False 2000"


def test_a_file_in_the_folder_of_the_application_hides_only_later_imports(tmp_path: Path) -> None:
    main = """
import time
first = time
import sys
sys.path.insert(0, "/app")
import time
from time import mine
print(first is time, mine, "machine" in sys.modules)
import machine
print(machine.PWRON_RESET, sorted(sys.modules))
"""
    _, lines = run_board(tmp_path, main, **{"app/time.py": OWN})
    assert lines[1:-1] == ["False True False", "1 ['time']"]


def test_the_board_has_no_modules_and_functions_of_the_host(tmp_path: Path) -> None:
    main = """
for name in ("argparse", "termios"):
    try:
        __import__(name)
    except ImportError as error:
        print(error)
import os
print([name for name in ("getenv", "putenv", "unsetenv", "system", "errno", "VfsPosix") if hasattr(os, name)])
import nothing
"""
    _, lines = run_board(tmp_path, main)
    assert lines[1:-1] == [
        "no module named 'argparse'", "no module named 'termios'", "[]",
        "Traceback (most recent call last):", '  File "main.py", line 9, in <module>',
        "ImportError: no module named 'nothing'",
    ]


def test_a_board_has_ten_sockets(tmp_path: Path) -> None:
    main = """
import socket
held = [socket.socket() for _ in range(10)]
for _ in range(2):
    try:
        socket.socket()
    except OSError as error:
        print(error.errno)
    held.pop(4).close()
    held.append(socket.socket())
print(len(held))
"""
    _, lines = run_board(tmp_path, main)
    assert lines[1:-1] == ["23", "23", "10"]


def test_a_look_up_blocks_and_fails_as_on_an_esp32(tmp_path: Path) -> None:
    main = """
import asyncio, socket, time
async def count():
    while True:
        turns.append(time.ticks_ms())
        await asyncio.sleep_ms(1)
async def main():
    counting = asyncio.create_task(count())
    await asyncio.sleep_ms(5)
    turns.clear()
    socket.getaddrinfo("127.0.0.1", 80)
    socket.getaddrinfo("localhost", 80)
    print(len(turns))
    counting.cancel()
    try:
        socket.getaddrinfo("nowhere.invalid", 80)
    except OSError as error:
        print(error.errno)
turns = []
began = time.ticks_ms()
asyncio.run(main())
print(time.ticks_diff(time.ticks_ms(), began) >= 45)
"""
    _, lines = run_board(tmp_path, main)
    assert lines[1:-1] == ["0", "-202", "True"]
