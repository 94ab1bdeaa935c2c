"""Wi-Fi: join with a timeout, and rejoin after an outage of the access point.

Built on MicroPython's `network`. The ESP32 retries automatically and reports "connecting" meanwhile, whatever the last
failure was. The status at the end of the wait therefore says little: the most specific reason seen during the wait is
reported. Any call raises RuntimeError for a code of the radio that MicroPython does not know.
"""

import asyncio
import time

import network

_POLL = 0.05  # seconds; a reason is visible only for a moment
_PATIENCE = 30  # seconds

# The most specific first. Codes: ESP-IDF's wifi_err_reason_t; MicroPython has STAT_ constants for some of them.
_REASONS = (
    ((15, 202, 204), "the password is refused"),
    ((210,), "no access point with compatible security"),
    ((211,), "the access point's security is weaker than required"),
    ((212,), "the signal is weaker than required"),
    ((201,), "no such access point"),
    ((203,), "the access point does not accept the board"),
    ((2, 205), "the password may be wrong, or the signal weak"),
    ((200,), "the signal is lost again and again"),
)


async def connect(ssid: str, password: str, timeout: float = _PATIENCE):
    """Join the network `ssid`, waiting at most `timeout` seconds; return the `network.WLAN` station.

    Raises OSError naming the network when that fails; the station has then stopped trying.
    """
    try:
        return await _join(ssid, password, timeout)
    except RuntimeError as error:
        raise OSError("Wi-Fi %s: the radio failed: %s" % (ssid, error))


async def _join(ssid, password, timeout):
    station = network.WLAN(network.STA_IF)
    station.active(True)
    # On ESP32, connect() fails while an earlier request is running, as after a soft reset.
    station.disconnect()
    station.connect(ssid, password)
    start = time.ticks_ms()
    seen = set()
    while not station.isconnected():
        seen.add(station.status())
        if time.ticks_diff(time.ticks_ms(), start) > timeout * 1000:
            station.disconnect()
            raise OSError("Wi-Fi %s: %s, within %d s" % (ssid, reason(seen), timeout))
        await asyncio.sleep(_POLL)
    return station


async def join(networks: "list[tuple[str, str]]", joined) -> None:
    """Join the first of these networks that accepts the board, however long that takes.

    networks: names and passwords. joined: called with the network that the board has joined.
    """
    while True:
        for one in networks:
            try:
                await connect(*one)
                return joined(one)
            except Exception as error:
                print(error)
                # If the radio fails at once, the watchdog must still be fed.
                await asyncio.sleep(1)


async def keep_connected(networks: "list[tuple[str, str]]", joined) -> None:
    """Run forever as a task beside the agent: when Wi-Fi has been lost for 30 s, restart the radio and join again.

    networks, joined: as for join(); each network is tried in turn. The ESP32's own retries recover most losses; this is
    for when they are stuck.
    """
    at = 0
    station = network.WLAN(network.STA_IF)
    lost = None
    seen = set()
    while True:
        await asyncio.sleep(1)
        try:
            if station.isconnected():
                if lost is not None:
                    print("Wi-Fi: back")
                lost = None
                continue
            seen.add(station.status())
            if lost is None:
                print("Wi-Fi: lost")
                lost = time.ticks_ms()
                seen.clear()
            elif time.ticks_diff(time.ticks_ms(), lost) > _PATIENCE * 1000:
                print("Wi-Fi: %s; the radio is restarted" % reason(seen))
                station.active(False)
                one = networks[at % len(networks)]
                at += 1
                await connect(*one)
                joined(one)
                at = networks.index(one)
        except Exception as error:
            # Whatever the radio raises, keep trying: nothing else can bring the board back online.
            print("Wi-Fi:", error)


def rssi() -> "int | None":
    """Return the signal strength in dBm; None while not connected."""
    try:
        return network.WLAN(network.STA_IF).status("rssi")
    except (OSError, RuntimeError, ValueError):
        return None


def reason(seen: set) -> str:
    """Return the most specific of the status codes seen, as text."""
    for codes, text in _REASONS:
        for code in codes:
            if code in seen:
                return "%s (status %d)" % (text, code)
    return "no answer (status %s)" % ", ".join([str(code) for code in sorted(seen)])
