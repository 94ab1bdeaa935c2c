"""Wi-Fi for the board: join with a bounded wait, and come back after the access point was away.

Stands on MicroPython's `network`. The ESP32 port retries by itself after a refusal or a loss, so a wrong
password and a weak signal look alike for a while: only the end of the wait decides, and the last status names
the reason.
"""

import asyncio
import time

import network

_POLL = 0.1  # seconds
_PATIENCE_MS = 30000


async def connect(ssid: str, password: str, timeout: float = 30):
    """Join the network `ssid`, waiting at most `timeout` seconds; returns the `network.WLAN` station.

    Raises OSError with a one-line message when that fails; the station has then stopped trying.
    """
    station = network.WLAN(network.STA_IF)
    station.active(True)
    # A request still running (after a soft reset, or a failure before) makes connect() fail on ESP32.
    station.disconnect()
    station.connect(ssid, password)
    start = time.ticks_ms()
    while not station.isconnected():
        if time.ticks_diff(time.ticks_ms(), start) > timeout * 1000:
            reason = _reason(station.status())
            station.disconnect()
            raise OSError(f"Wi-Fi {ssid}: {reason} within {timeout} s")
        await asyncio.sleep(_POLL)
    return station


async def keep_connected(ssid: str, password: str) -> None:
    """Run for ever as a task beside the agent: when Wi-Fi has been gone for 30 s, restart the radio and join
    anew.

    The ESP32's own retries bring most losses back; this is for the times when they have stuck.
    """
    station = network.WLAN(network.STA_IF)
    lost = None
    while True:
        await asyncio.sleep(1)
        if station.isconnected():
            if lost is not None:
                print("Wi-Fi: back")
            lost = None
        elif lost is None:
            print("Wi-Fi: lost,", _reason(station.status()))
            lost = time.ticks_ms()
        elif time.ticks_diff(time.ticks_ms(), lost) > _PATIENCE_MS:
            try:
                station.active(False)
                await connect(ssid, password)
            except OSError as error:
                print(error)


def _reason(status: int) -> str:
    if status == network.STAT_WRONG_PASSWORD:
        return "password refused"
    if status == network.STAT_NO_AP_FOUND:
        return "no such access point"
    return f"no answer (status {status})"
