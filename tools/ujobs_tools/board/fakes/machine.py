"""`machine` for the virtual board: resets, reset cause, watchdog, clock and peripherals, as on the ESP32 port.

Runs on MicroPython only. The supervisor carries out resets and the watchdog, because it can end a program that hangs.
"""

import hardware
import outside
import peripherals
import real_time
from peripherals import ADC, I2C, PWM, Pin, SoftI2C  # noqa: F401

peripherals.state = outside.State()  # type: ignore[assignment]

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5

_frequency = 160_000_000
_FREQUENCIES = (20_000_000, 40_000_000, 80_000_000, 160_000_000, 240_000_000)
_RTC_MEMORY = 2048 - 64  # bytes; in hexadecimal they fit into a message to the supervisor (the ESP32 has 2048 bytes)


def reset() -> None:
    """Reset the board at once."""
    hardware.stop("reset")


def soft_reset() -> None:
    """Restart the interpreter: raises SystemExit, which `boot.py` and `main.py` must let through."""
    raise SystemExit


def deepsleep(time_ms: int = -1) -> None:
    """Power down for `time_ms` milliseconds, then reset; without a time, until the board is stopped."""
    hardware.stop(f"deepsleep {time_ms}")


def reset_cause() -> int:
    """Return why the board booted: one of the *_RESET constants."""
    return hardware.settings["cause"]


def unique_id() -> bytes:
    """Return six bytes, the same at every boot of an image."""
    return bytes.fromhex(hardware.settings["unique_id"])


def freq(hertz: int | None = None) -> int | None:
    """Read or set the processor frequency in hertz; setting it does not change the host's speed."""
    global _frequency
    if hertz is None:
        return _frequency
    if hertz not in _FREQUENCIES:
        raise ValueError("frequency must be 20MHz, 40MHz, 80Mhz, 160MHz or 240MHz")
    _frequency = hertz
    return None


class WDT:
    """The watchdog: it resets the board `timeout` milliseconds after the last feed, and cannot be stopped."""

    def __init__(self, id: int = 0, timeout: int = 5000) -> None:
        if id != 0:
            raise ValueError
        if timeout <= 0:
            raise ValueError("WDT timeout too short")
        hardware.tell(f"watchdog {timeout}")

    def feed(self) -> None:
        """Restart the timeout."""
        hardware.tell("feed")


class RTC:
    """The clock, in UTC; it survives every reset except power-on."""

    def datetime(self, value: tuple | None = None) -> tuple | None:
        """Read or set (year, month, day, weekday, hours, minutes, seconds, microseconds)."""
        if value is None:
            year, month, day, hour, minute, second, weekday, _ = real_time.to_tuple(real_time.now())
            return (year, month, day, weekday, hour, minute, second, 0)
        year, month, day, _, hour, minute, second, _ = value
        real_time.set_now(real_time.to_seconds((year, month, day, hour, minute, second, 0, 0)))
        return None

    def memory(self, data: bytes | None = None) -> bytes | None:
        """Read or set the bytes that survive every reset except power-on; empty at first."""
        if data is None:
            return bytes.fromhex(hardware.settings["rtc_memory"])
        if len(data) > _RTC_MEMORY:
            raise ValueError("buffer too long")
        hardware.settings["rtc_memory"] = bytes(data).hex()
        hardware.tell("memory " + hardware.settings["rtc_memory"])
        return None
