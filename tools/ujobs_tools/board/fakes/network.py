"""`network` for the virtual board: a Wi-Fi station and the one access point it can join.

Runs on MicroPython only. Statuses and errors are those of the ESP32 port. As there, the station retries automatically
after a failure or when the access point is lost, until disconnect() is called. Meanwhile its status is STAT_CONNECTING,
and the reason of a failure shows only briefly. On the ESP32, reason codes that MicroPython does not know make any call
raise RuntimeError; this fake does not, so a test that needs this error replaces the call.
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
_REASON_MS = 150  # part of the interval in which the reason of the last failure shows
# Reasons after a wrong WPA2 password: the 4-way handshake fails or times out. MicroPython's own STAT_WRONG_PASSWORD
# is for older kinds of security.
_PASSWORD_REASONS = (15, 204, 205, 2)


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
            station._active = station._requested = False
            station._reasons = (0,)
            station._since = station._began = None
            station._ssid = station._password = ""
            cls._station = station
        return cls._station

    def active(self, value: bool | None = None) -> bool:
        """Read or set whether the interface is on; switching it off also ends the request to connect."""
        if value is not None:
            self._active = bool(value)
            if not self._active:
                self._forget()
        return self._active

    def connect(self, ssid: str | None = None, key: str | None = None) -> None:
        """Start to join; default: the last credentials. Raises TypeError unless they are str or bytes."""
        for value in (ssid, key):
            if value is not None and not isinstance(value, (str, bytes)):
                raise TypeError("object with buffer protocol required")
        if not self._active:
            raise OSError("Wifi Not Started")
        if self._requested and not self.isconnected():
            raise OSError("Wifi Internal State Error")
        if ssid is not None:
            self._ssid = _text(ssid)
            self._password = _text(key or "")
        self._forget()
        self._requested = True
        self._since = self._began = time.ticks_ms()

    def disconnect(self) -> None:
        """Leave the network, and stop retrying."""
        if not self._active:
            raise OSError("Wifi Not Started")
        self._forget()

    def isconnected(self) -> bool:
        """Return whether the station has joined and has an address."""
        return self._joined()

    def status(self, what: str | None = None) -> int:
        """Return a STAT_ code; with "rssi", the signal strength in dBm."""
        connected = self._joined()
        if what == "rssi":
            if not connected:
                raise OSError("Wifi Not Connected")
            return -50
        if what is not None:
            raise ValueError("unknown status param")
        if connected:
            return STAT_GOT_IP
        if not self._requested:
            return STAT_IDLE
        attempt, at = divmod(time.ticks_diff(time.ticks_ms(), self._began), _ATTEMPT_MS)
        if at > _ATTEMPT_MS - _REASON_MS:
            return self._reasons[attempt % len(self._reasons)] or STAT_CONNECTING
        return STAT_CONNECTING

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

    def _forget(self) -> None:
        self._requested = False
        self._since = None
        self._reasons = (0,)

    def _joined(self) -> bool:
        if not self._requested:
            return False
        if not hardware.radio_up():
            self._reasons = (STAT_NO_AP_FOUND,)
            self._since = None
            return False
        if self._since is None:  # the access point is back: join again
            self._since = time.ticks_ms()
        if time.ticks_diff(time.ticks_ms(), self._since) < _JOIN_MS:
            return False
        self._reasons = self._refusals()
        return self._reasons == (0,)

    def _refusals(self) -> tuple:
        ssid = hardware.settings["wifi_ssid"]
        password = hardware.settings["wifi_password"]
        if ssid is not None and ssid != self._ssid:
            return (STAT_NO_AP_FOUND,)
        if password is not None and password != self._password:
            return _PASSWORD_REASONS
        return (0,)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def reachable() -> bool:
    """Return whether there is a network, for the fakes of `socket` and `ntptime`.

    If the program has not switched Wi-Fi on, the board counts as wired.
    """
    station = WLAN._station
    if not hardware.radio_up():
        return False
    return station is None or not station.active() or station.isconnected()
