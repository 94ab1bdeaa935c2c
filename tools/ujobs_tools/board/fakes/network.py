"""`network` for the virtual board: a Wi-Fi station and the one access point it can join.

Runs on MicroPython only. Statuses and errors are those of the ESP32 port (ports/esp32/network_wlan.c). As there, the
station retries automatically after a failure or when the access point is lost, until disconnect() is called. While it
retries, its status is STAT_CONNECTING for most reasons of a failure, such as 15 for a wrong password. A reason stays
until another one or success replaces it, so connect() to another network begins with the reason of the previous one. On
the ESP32, reason codes that MicroPython does not know make any call raise RuntimeError; this fake does not, so a test
that needs this error replaces the call.
"""

import time

import hardware

STA_IF = 0
AP_IF = 1

STAT_IDLE = 1000
STAT_CONNECTING = 1001
STAT_GOT_IP = 1010
STAT_NO_AP_FOUND = 201
STAT_WRONG_PASSWORD = 202

_JOIN_MS = 200
_ATTEMPT_MS = 400  # interval between attempts of the radio
_LEAVE_MS = 20  # after disconnect(), isconnected() is True until the radio's event has arrived
_LEFT = 8  # WIFI_REASON_ASSOC_LEAVE, after disconnect()
_BEACON_TIMEOUT = 200
_CONNECTION_FAIL = 205
_ALWAYS_SHOWN = (201, 210, 211, 212)
# Reasons after a wrong WPA2 password: the 4-way handshake fails or times out. MicroPython's own STAT_WRONG_PASSWORD
# is for older kinds of security.
PASSWORD_REASONS = (15, 204, _CONNECTION_FAIL, 2)


class WLAN:
    """The station interface; every WLAN() returns the same object."""

    IF_STA = STA_IF
    IF_AP = AP_IF
    _station = None

    def __new__(cls, interface: int = STA_IF):
        if interface != STA_IF:
            raise ValueError("the virtual board has a station interface only")
        if cls._station is None:
            station = super().__new__(cls)
            station._active = station._requested = station._connected = False
            station._reason = 0  # of the last failure
            station._began = None  # when the radio began to try; None if it does not
            station._accepted = None  # when the access point began to accept the attempts
            station._left = None  # when disconnect() was called
            station._ssid = station._password = ""
            cls._station = station
        return cls._station

    def active(self, value: bool | None = None) -> bool:
        """Read or set whether the interface is on; switching it off ends the connection and all attempts."""
        if value is not None:
            self._active = bool(value)
            if not self._active:
                self._leave()
                self._left = None
        return self._active

    def connect(self, ssid: str | None = None, key: str | None = None) -> None:
        """Start to join; default: the last credentials. Raises TypeError unless they are str or bytes."""
        for value in (ssid, key):
            if value is not None and not isinstance(value, (str, bytes)):
                raise TypeError("object with buffer protocol required")
        if not self._active:
            raise OSError("Wifi Not Started")
        if self._began is not None and not self._joined():
            raise OSError("Wifi Internal State Error")
        if ssid is not None:
            self._ssid = _text(ssid)
            self._password = _text(key or "")
        self._connected = False
        self._requested = True
        self._began = time.ticks_ms()
        self._accepted = None
        self._joined()

    def disconnect(self) -> None:
        """Leave the network, and stop retrying."""
        if not self._active:
            raise OSError("Wifi Not Started")
        self._requested = False
        self._leave()

    def isconnected(self) -> bool:
        """Return whether the station has joined and has an address."""
        return self._joined() or self._left is not None

    def status(self, what: str | None = None) -> int:
        """Return a STAT_ code; with "rssi", the signal strength in dBm."""
        if what == "rssi":
            if not self._joined():
                raise OSError("Wifi Not Connected")
            return -50
        if what is not None:
            raise ValueError("unknown status param")
        if self.isconnected():
            return STAT_GOT_IP
        if self._reason in _ALWAYS_SHOWN:
            return self._reason
        if self._reason in (STAT_WRONG_PASSWORD, _CONNECTION_FAIL):
            return STAT_WRONG_PASSWORD
        if self._reason == _LEFT:
            return STAT_IDLE
        return STAT_CONNECTING if self._requested else self._reason or STAT_IDLE

    def ifconfig(self) -> tuple:
        """Return (address, mask, gateway, name server); zeros while not connected."""
        if self._joined():
            return ("127.0.0.1", "255.0.0.0", "127.0.0.1", "127.0.0.1")
        return ("0.0.0.0", "0.0.0.0", "0.0.0.0", "0.0.0.0")

    def config(self, name: str | None = None, **values):
        """Read "mac", "ssid" or "essid"; setting values has no effect."""
        if name is None:
            return None
        if name == "mac":
            return bytes.fromhex(hardware.settings["unique_id"])
        if name in ("ssid", "essid"):
            return self._ssid
        raise ValueError("unknown config param")

    def _leave(self) -> None:
        if self._joined():
            self._reason = _LEFT
            self._left = time.ticks_ms()
        self._connected = False
        self._began = None

    def _joined(self) -> bool:
        """Bring the state up to date; return whether the station has joined."""
        now = time.ticks_ms()
        if self._left is not None and time.ticks_diff(now, self._left) >= _LEAVE_MS:
            self._left = None
        if self._began is None:
            return False
        if self._connected:
            if hardware.radio_up():
                return True
            self._connected = False
            self._accepted = None
            self._reason = _BEACON_TIMEOUT
            self._began = now
        reasons = self._refusals()
        if reasons:
            self._accepted = None
            attempts = time.ticks_diff(now, self._began) // _ATTEMPT_MS
            if attempts:
                self._reason = reasons[(attempts - 1) % len(reasons)]
        elif self._accepted is None:
            self._accepted = now
        elif time.ticks_diff(now, self._accepted) >= _JOIN_MS:
            self._connected = True
            self._reason = 0
        return self._connected

    def _refusals(self) -> tuple:
        """Return the reasons of the failures to come, one an attempt; empty if the access point accepts the station."""
        ssid = hardware.settings["wifi_ssid"]
        password = hardware.settings["wifi_password"]
        if not hardware.radio_up() or (ssid is not None and ssid != self._ssid):
            return (STAT_NO_AP_FOUND,)
        if password is not None and password != self._password:
            return PASSWORD_REASONS
        return ()


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def reachable() -> bool:
    """Return whether there is a network, for the fakes of `socket` and `ntptime`.

    If the program has not switched Wi-Fi on, the board counts as wired.
    """
    station = WLAN._station
    if not hardware.radio_up():
        return False
    return station is None or not station.active() or station._joined()
