"""Device glue on the virtual board: joining Wi-Fi and being refused, losing it, the clock, the watchdog."""

import signal
from pathlib import Path

from board_process import StartBoard, make_image, run_board

from ujobs_lab import REPOSITORY

GLUE = {
    f"lib/firmware/{name}": (REPOSITORY / "firmware" / name).read_text()
    for name in ("__init__.py", "wifi.py", "clock.py", "watchdog.py")
}
ACCESS_POINT = ("--wifi-ssid", "home", "--wifi-password", "right")


def join(ssid: str, password: str, timeout: float) -> str:
    """A program that joins once and tells how that went."""
    return f"""
import asyncio
from firmware import wifi
async def main():
    try:
        station = await wifi.connect({ssid!r}, {password!r}, {timeout})
        print("joined", station.isconnected(), station.ifconfig()[0])
    except OSError as error:
        print("error:", error)
asyncio.run(main())
"""


def test_wifi_joins_with_the_right_credentials(tmp_path: Path) -> None:
    code, lines = run_board(tmp_path, join("home", "right", 5), *ACCESS_POINT, **GLUE)
    assert code == 0
    assert "joined True 127.0.0.1" in lines


def test_wifi_refusals_are_told_apart_and_do_not_wait_for_ever(tmp_path: Path) -> None:
    _, lines = run_board(tmp_path, join("home", "wrong", 1), *ACCESS_POINT, **GLUE)
    assert "error: Wi-Fi home: password refused within 1 s" in lines
    _, lines = run_board(tmp_path, join("elsewhere", "right", 1), *ACCESS_POINT, **GLUE)
    assert "error: Wi-Fi elsewhere: no such access point within 1 s" in lines


def test_wifi_connects_again_after_a_refusal_and_while_still_trying(tmp_path: Path) -> None:
    main = """
import asyncio, network
from firmware import wifi
async def main():
    station = network.WLAN(network.STA_IF)
    station.active(True)
    station.connect("home", "right")
    try:
        station.connect("home", "right")
    except OSError as error:
        print("as on ESP32:", error)
    try:
        await wifi.connect("home", "wrong", 0.5)
    except OSError as error:
        print("refused")
    await wifi.connect("home", "right", 5)
    print("status", station.status() == network.STAT_GOT_IP)
asyncio.run(main())
"""
    _, lines = run_board(tmp_path, main, *ACCESS_POINT, **GLUE)
    assert lines[1:4] == ["as on ESP32: Wifi Internal State Error", "refused", "status True"]


def test_wifi_comes_back(tmp_path: Path, start_board: StartBoard) -> None:
    main = """
import asyncio, socket
from firmware import wifi
async def main():
    station = await wifi.connect("home", "x", 5)
    asyncio.create_task(wifi.keep_connected("home", "x"))
    print("joined")
    while station.isconnected():
        await asyncio.sleep(0.02)
    try:
        socket.getaddrinfo("localhost", 80)
    except OSError as error:
        print("look-up:", error.errno)
    while not station.isconnected():
        await asyncio.sleep(0.02)
    print("look-up:", bool(socket.getaddrinfo("localhost", 80)))
    await asyncio.sleep(60)
asyncio.run(main())
"""
    board = start_board(make_image(tmp_path, main, **GLUE))
    board.wait_for("joined")
    board.signal(signal.SIGUSR1)
    board.wait_for("look-up: -202")
    board.wait_for("Wi-Fi: lost, no such access point")
    board.signal(signal.SIGUSR2)
    board.wait_for("look-up: True")
    board.wait_for("Wi-Fi: back")


def test_wifi_is_joined_anew_when_the_radio_cannot_be_switched_off(tmp_path: Path, start_board: StartBoard) -> None:
    main = """
import asyncio, network
from firmware import wifi
def stuck(station, value=None, real=network.WLAN.active):
    if value is False:
        network.WLAN.active = real
        raise OSError("Wifi Unknown Error")
    return real(station, value)
async def main():
    station = await wifi.connect("home", "x", 5)
    wifi._PATIENCE_MS = 0
    network.WLAN.active = stuck
    asyncio.create_task(wifi.keep_connected("home", "x"))
    station.disconnect()
    await asyncio.sleep(60)
asyncio.run(main())
"""
    board = start_board(make_image(tmp_path, main, **GLUE))
    board.wait_for("Wifi Unknown Error")
    board.wait_for("Wi-Fi: back")


SYNCHRONISE = """
import asyncio, machine, time
from firmware import clock
print("year=%d" % time.gmtime()[0], clock.plausible())
print(asyncio.run(clock.synchronise("ntp.example", 0.5)), clock.plausible())
fields = time.gmtime()
print(time.mktime(fields) - time.time() in (-1, 0), machine.RTC().datetime()[:3] == fields[:3], fields[3:])
if machine.reset_cause() == machine.PWRON_RESET:
    machine.reset()
"""


def test_clock_is_set_once_and_survives_a_reset(tmp_path: Path) -> None:
    code, lines = run_board(tmp_path, SYNCHRONISE, **GLUE)
    assert code == 0
    assert lines[1:3] == ["year=2000 False", "True True"]
    assert lines[3].startswith("True True")
    after = lines[lines.index("board: start, HARD_RESET") + 1 :]
    assert int(after[0][5:9]) >= 2025
    assert after[1] == "True True"


def test_an_answer_that_is_not_ntp_does_not_end_the_program(tmp_path: Path) -> None:
    short = """
import asyncio, ntptime
from firmware import clock
def settime():
    raise ValueError("buffer too small")
ntptime.settime = settime
print(asyncio.run(clock.synchronise("ntp.example", 0.5)))
"""
    _, lines = run_board(tmp_path, short, "--once", **GLUE)
    assert lines[1:3] == ["clock: no time from ntp.example: ValueError('buffer too small',)", "False"]


def test_clock_tells_that_it_could_not_be_set(tmp_path: Path) -> None:
    _, lines = run_board(tmp_path, SYNCHRONISE, "--ntp-fails", "--once", **GLUE)
    assert lines[1:4] == [
        "year=2000 False",
        "clock: no time from ntp.example: OSError(110,)",
        "False False",
    ]


def test_watchdog_lets_asyncio_live_and_a_stuck_loop_die(tmp_path: Path) -> None:
    main = """
import asyncio, machine, time
from firmware import watchdog
async def main():
    watchdog.start(1)
    await asyncio.sleep(1.5)
    print("alive")
    while True:
        pass
if machine.reset_cause() == machine.PWRON_RESET:
    asyncio.run(main())
"""
    code, lines = run_board(tmp_path, main, **GLUE)
    assert code == 0
    assert lines[1:3] == ["alive", "board: start, WDT_RESET"]
