"""Wi-Fi: join with a timeout, and rejoin after an outage of the access point.

Built on MicroPython's `network`. The ESP32 retries automatically and hides most reasons of a failure meanwhile, see
_stop(). Any call raises RuntimeError for a code of the radio that MicroPython does not know.
"""

import asyncio
import gc
import time

import machine
import network

_POLL = 0.05  # seconds; less than the radio takes to leave a network and join one
_PATIENCE = 30  # seconds
_MOST_ERRORS = 60  # of the radio in a row, about one a second

_PASSWORD = "the password is refused"
# By code: ESP-IDF's wifi_err_reason_t; MicroPython has STAT_ constants for some of them.
_REASONS = {
    2: "the password may be wrong, or the signal weak",
    15: _PASSWORD,
    200: "the signal is lost again and again",
    201: "no such access point",
    202: _PASSWORD,
    203: "the access point does not accept the board",
    204: _PASSWORD,
    210: "no access point with compatible security",
    211: "the access point's security is weaker than required",
    212: "the signal is weaker than required",
}


_errors = 0  # of the radio in a row


class NoNetwork(OSError):
    """No access point has accepted the board in time; the radio works."""


async def connect(ssid: str, password: str, timeout: float = _PATIENCE):
    """Join the network `ssid`, waiting at most `timeout` seconds; return the `network.WLAN` station.

    Raises OSError naming the network when that fails; the station has then stopped trying. It is NoNetwork if only the
    access point is to blame.
    """
    try:
        return await _join(ssid, password, timeout)
    except RuntimeError as error:
        raise OSError("Wi-Fi %s: the radio failed: %s" % (ssid, error))


async def _join(ssid, password, timeout):
    global _errors
    # The radio's memory is what Python's heap leaves it.
    gc.collect()
    station = network.WLAN(network.STA_IF)
    station.active(True)
    # On ESP32, connect() fails while an earlier request is running, as after a soft reset.
    station.disconnect()
    # A moment later isconnected() no longer means the network from before.
    await asyncio.sleep(_POLL)
    station.connect(ssid, password)
    start = time.ticks_ms()
    while not station.isconnected():
        if time.ticks_diff(time.ticks_ms(), start) > timeout * 1000:
            raise NoNetwork("Wi-Fi %s: %s, within %d s" % (ssid, reason(_stop(station)), timeout))
        await asyncio.sleep(_POLL)
    _errors = 0
    return station


def _failed(error):
    # Restart the board when its radio fails again and again, for example because memory is short: no job could do it.
    global _errors
    _errors = 0 if isinstance(error, NoNetwork) else _errors + 1
    if _errors == _MOST_ERRORS:
        print("Wi-Fi: radio unusable; restarting")
        machine.reset()


def _stop(station):
    # Have the station stop trying; return the status that says why it failed. While it retries, the ESP32 shows most
    # reasons as "connecting", even that of a wrong password; once stopped, the last one. It may still be the reason of
    # the network before until an attempt has failed, so an early look says nothing.
    retrying = station.status()
    station.disconnect()
    stopped = station.status()
    return retrying if stopped in (network.STAT_IDLE, network.STAT_CONNECTING) else stopped


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
                _failed(error)
                # If the radio fails at once, the watchdog must still be fed.
                await asyncio.sleep(1)


async def keep_connected(networks: "list[tuple[str, str]]", joined) -> None:
    """Run forever as a task beside the agent: when Wi-Fi has been lost for 30 s, restart the radio and join again.

    networks, joined: as for join(); each network is tried in turn. The ESP32's own retries recover most losses; this is
    for when they are stuck.
    """
    at = 0
    station = network.WLAN(network.STA_IF)
    # Counted: ticks_ms wraps around after days, and the station does not always try by itself.
    lost = 0  # seconds
    while True:
        await asyncio.sleep(1)
        try:
            if station.isconnected():
                if lost:
                    print("Wi-Fi: back")
                lost = 0
                continue
            lost += 1
            if lost == 1:
                print("Wi-Fi: lost")
            elif lost > _PATIENCE:
                print("Wi-Fi: %s; the radio is restarted" % reason(_stop(station)))
                station.active(False)
                one = networks[at % len(networks)]
                at += 1
                await connect(*one)
                joined(one)
                at = networks.index(one)
        except Exception as error:
            # Whatever the radio raises, keep trying: nothing else can bring the board back online.
            print("Wi-Fi:", error)
            _failed(error)


def rssi() -> "int | None":
    """Return the signal strength in dBm; None while not connected."""
    try:
        return network.WLAN(network.STA_IF).status("rssi")
    except (OSError, RuntimeError, ValueError):
        return None


def reason(status: int) -> str:
    """Return what a status code of the radio means, with the code."""
    text = _REASONS.get(status)
    return "%s (status %d)" % (text, status) if text else "no answer (status %d)" % status
