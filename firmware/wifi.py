"""Wi-Fi for the board: join with a bounded wait, and rejoin when the access point was away.

Built on MicroPython's `network`. The ESP32 retries by itself, and reports "connecting" meanwhile whatever the last
failure was. So a look at the end of the wait says little: the most telling reason seen during the wait is reported. The
radio raises RuntimeError for codes that MicroPython does not know, from any call.
"""

import asyncio
import time

import network

_POLL = 0.05  # seconds; reasons show for moments only
_PATIENCE = 30  # seconds

# The most telling first. Codes: ESP-IDF's wifi_err_reason_t; MicroPython's STAT_ constants are some of them.
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

    Raises OSError with a message that names the network when that fails; the station has then stopped trying.
    """
    try:
        return await _join(ssid, password, timeout)
    except RuntimeError as error:
        raise OSError("Wi-Fi %s: the radio failed: %s" % (ssid, error))


async def _join(ssid, password, timeout):
    station = network.WLAN(network.STA_IF)
    station.active(True)
    # A request still running (after a soft reset, or a failure before) makes connect() fail on ESP32.
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
    """Join the first of these networks that lets the board in, however long that takes.

    networks: names and passwords. joined: called with the one that it was.
    """
    while True:
        for one in networks:
            try:
                await connect(*one)
                return joined(one)
            except Exception as error:
                print(error)
                # A radio that refuses at once must not keep the watchdog from being fed.
                await asyncio.sleep(1)


async def keep_connected(networks: "list[tuple[str, str]]", joined) -> None:
    """Run forever as a task beside the agent: when Wi-Fi has been gone for 30 s, restart the radio and join again.

    networks, joined: as for join(); each network is tried in turn. The ESP32's own retries bring most losses back; this
    is for the times when they have stuck.
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
            # Whatever the radio raises, the board keeps trying: nothing else can bring it back on line.
            print("Wi-Fi:", error)


def rssi() -> "int | None":
    """Return the signal strength in dBm; None while not connected."""
    try:
        return network.WLAN(network.STA_IF).status("rssi")
    except (OSError, RuntimeError, ValueError):
        return None


def reason(seen: set) -> str:
    """Return the most telling of the status codes seen, in words."""
    for codes, text in _REASONS:
        for code in codes:
            if code in seen:
                return "%s (status %d)" % (text, code)
    return "no answer (status %s)" % ", ".join([str(code) for code in sorted(seen)])
