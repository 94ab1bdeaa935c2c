"""The package `firmware` on the virtual board: Wi-Fi (joining, refusals, loss), the clock, the watchdog."""

import signal
from pathlib import Path

import pytest

from board_process import StartBoard, make_image, run_board
from ujobs_lab import REPOSITORY

GLUE = {
    f"lib/firmware/{name}": (REPOSITORY / "firmware" / name).read_text()
    for name in ("__init__.py", "wifi.py", "clock.py", "supervision.py", "watchdog.py")
}
ACCESS_POINT = ("--wifi-ssid", "home", "--wifi-password", "right")


def join(ssid: str, password: str, timeout: float) -> str:
    """Return a program that joins once and prints the result."""
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


def test_wifi_refusals_are_distinguished_and_have_a_timeout(tmp_path: Path) -> None:
    _, lines = run_board(tmp_path, join("home", "wrong", 1), *ACCESS_POINT, **GLUE)
    assert any(line.startswith("error: Wi-Fi home: the password is refused (status ") for line in lines)
    _, lines = run_board(tmp_path, join("elsewhere", "right", 1), *ACCESS_POINT, **GLUE)
    assert "error: Wi-Fi elsewhere: no such access point (status 201), within 1 s" in lines


def test_the_most_telling_reason_is_reported(tmp_path: Path) -> None:
    main = """
from firmware import wifi
for seen in ({1001}, {1001, 205, 15}, {1001, 2}, {200, 201}, {1001, 210}, {211, 1001}, {212}, {203, 200}, {202, 201}):
    print(wifi.reason(seen))
"""
    _, lines = run_board(tmp_path, main, **GLUE)
    assert lines[1:10] == [
        "no answer (status 1001)",
        "the password is refused (status 15)",
        "the password may be wrong, or the signal weak (status 2)",
        "no such access point (status 201)",
        "no access point with compatible security (status 210)",
        "the access point's security is weaker than required (status 211)",
        "the signal is weaker than required (status 212)",
        "the access point does not accept the board (status 203)",
        "the password is refused (status 202)",
    ]


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
print(1001 in seen, sorted(seen)[:3])
"""
    _, lines = run_board(tmp_path, main, *ACCESS_POINT, **GLUE)
    assert lines[1:3] == ["text only", "True [2, 15, 204]"]


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


def test_wifi_is_joined_again_when_the_radio_cannot_be_switched_off(tmp_path: Path, start_board: StartBoard) -> None:
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
    wifi._PATIENCE = 0
    network.WLAN.active = stuck
    asyncio.create_task(wifi.keep_connected([("home", "x")], print))
    station.disconnect()
    await asyncio.sleep(60)
asyncio.run(main())
"""
    board = start_board(make_image(tmp_path, main, **GLUE))
    board.wait_for("Wifi Unknown Error")
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
%s
asyncio.run(main())
if machine.reset_cause() == machine.PWRON_RESET:
    machine.reset()
"""


def test_the_time_is_asked_for_at_every_start(tmp_path: Path) -> None:
    code, lines = run_board(tmp_path, KEEP_TIME % "", **GLUE)
    assert code == 0
    assert lines[1:3] == ["year=2000 False", "True True"]
    assert lines[3].startswith("True True")
    after = lines[lines.index("board: start, HARD_RESET") + 1 :]
    assert int(after[0][5:9]) >= 2025
    assert after[1] == "True True", "asked again, though the clock was plausible"


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ("silent", "no answer within 2 s"),
        ("zeros", "no answer within 2 s"),
        ("foreign", "no answer within 2 s"),
        ("kiss", "the server refuses: RATE"),
        ("year", "the year 20"),
    ],
)
def test_an_answer_that_cannot_be_right_is_refused_and_asked_again(tmp_path: Path, answers: str, why: str) -> None:
    main = """
import asyncio, time
from firmware import clock
async def main():
    task = asyncio.create_task(clock.Clock("ntp.example").run())
    await asyncio.sleep(7)
asyncio.run(main())
print("year=%d" % time.gmtime()[0])
"""
    _, lines = run_board(tmp_path, main, "--ntp", answers, **GLUE)
    told = [line for line in lines if line.startswith("clock: no time from ntp.example: " + why)]
    assert len(told) >= 2
    assert lines[-2] == "year=2000" or "year=2000" in lines


def test_ntptime_accepts_times_that_the_clock_refuses(tmp_path: Path) -> None:
    main = "import ntptime, time\nntptime.settime()\nprint('year=%d' % time.gmtime()[0])\n"
    _, lines = run_board(tmp_path, main, "--ntp", "zeros", **GLUE)
    assert "year=2036" in lines


def test_a_plausible_clock_does_not_wait_for_a_server_that_is_silent(tmp_path: Path) -> None:
    main = KEEP_TIME % "machine.RTC().datetime((2026, 12, 1, 1, 0, 0, 0, 0))"
    _, lines = run_board(tmp_path, main, "--ntp", "silent", **GLUE)
    assert lines[1:3] == ["year=2026 True", "False True"]


def test_the_clock_is_set_at_once_when_tls_refuses_a_date(tmp_path: Path) -> None:
    main = """
import asyncio, machine, time
from firmware import clock
class Link:
    failure = ""
link = Link()
async def main():
    timekeeper = clock.Clock("ntp.example", link)
    task = asyncio.create_task(timekeeper.run())
    await timekeeper.ready()
    machine.RTC().datetime((2027, 12, 1, 1, 0, 0, 0, 0))
    link.failure = "ValueError: The certificate validity has expired"
    while time.gmtime()[0] == 2027:
        await asyncio.sleep(0.1)
    print("right again")
asyncio.run(main())
"""
    _, lines = run_board(tmp_path, main, **GLUE)
    assert "right again" in lines


def test_watchdog_lets_asyncio_live_and_a_stuck_loop_die(tmp_path: Path) -> None:
    main = """
import asyncio, machine, time
from firmware import watchdog
async def main():
    task = asyncio.create_task(watchdog.Watchdog(1).run())
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
