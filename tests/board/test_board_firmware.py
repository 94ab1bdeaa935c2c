"""Wi-Fi and time server of the virtual board, with the package `firmware`. tests/device has the rules of `firmware`."""

import signal
from pathlib import Path

from board_process import StartBoard, make_image, run_board
from ujobs_lab import REPOSITORY

GLUE = {
    f"lib/firmware/{name}": (REPOSITORY / "firmware" / name).read_text()
    for name in ("__init__.py", "wifi.py", "clock.py", "supervision.py", "watchdog.py")
}
ACCESS_POINT = ("--wifi-ssid", "home", "--wifi-password", "right")


def test_the_radio_takes_text_only_and_hides_its_reasons(tmp_path: Path) -> None:
    main = """
import network, time
station = network.WLAN(network.STA_IF)
station.active(True)
try:
    station.connect("home", 12345678)
except TypeError:
    print("text only")
station.connect("home", "wrong")
seen = set()
for _ in range(60):
    seen.add(station.status())
    time.sleep(0.03)
print(sorted(seen))
"""
    _, lines = run_board(tmp_path, main, *ACCESS_POINT, **GLUE)
    assert lines[1:3] == ["text only", "[202, 1001]"]


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


def test_wifi_reconnects(tmp_path: Path, start_board: StartBoard) -> None:
    main = """
import asyncio, socket
from firmware import wifi
async def main():
    station = await wifi.connect("home", "x", 5)
    asyncio.create_task(wifi.keep_connected([("home", "x")], print))
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
    board.wait_for("Wi-Fi: lost")
    board.signal(signal.SIGUSR2)
    board.wait_for("look-up: True")
    board.wait_for("Wi-Fi: back")


KEEP_TIME = """
import asyncio, machine, time
from firmware import clock
class Link:
    failure = ""
link = Link()
async def main():
    timekeeper = clock.Clock("ntp.example", link)
    print("year=" + str(time.gmtime()[0]), clock.plausible())
    task = asyncio.create_task(timekeeper.run())
    await asyncio.wait_for(timekeeper.ready(0.2), 8)
    print(timekeeper.answered.is_set(), clock.plausible())
    fields = time.gmtime()
    print(time.mktime(fields) - time.time() in (-1, 0), machine.RTC().datetime()[:3] == fields[:3], fields[3:])
    task.cancel()
asyncio.run(main())
if machine.reset_cause() == machine.PWRON_RESET:
    machine.reset()
"""


def test_the_time_is_asked_for_at_every_start(tmp_path: Path) -> None:
    code, lines = run_board(tmp_path, KEEP_TIME, **GLUE)
    assert code == 0
    assert lines[1:3] == ["year=2000 False", "True True"]
    assert lines[3].startswith("True True")
    after = lines[lines.index("board: start, HARD_RESET") + 1 :]
    assert int(after[0][5:9]) >= 2025
    assert after[1] == "True True", "asked again, though the clock was plausible"


def test_the_time_server_answers_as_the_option_says(tmp_path: Path) -> None:
    main = """
import asyncio, time
from firmware import clock
async def main():
    task = asyncio.create_task(clock.Clock("ntp.example").run())
    await asyncio.sleep(1)
asyncio.run(main())
print("year=%d" % time.gmtime()[0])
"""
    _, lines = run_board(tmp_path, main, "--ntp", "kiss", **GLUE)
    assert any(line.startswith("clock: no time from ntp.example: the server refuses: RATE") for line in lines)
    assert "year=2000" in lines


def test_ntptime_accepts_times_that_the_clock_refuses(tmp_path: Path) -> None:
    main = "import ntptime, time\nntptime.settime()\nprint('year=%d' % time.gmtime()[0])\n"
    _, lines = run_board(tmp_path, main, "--ntp", "zeros", **GLUE)
    assert "year=2036" in lines
