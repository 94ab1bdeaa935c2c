"""Pin, PWM, ADC and I2C with the API of the ESP32 port; tests set and read their values.

Runs on MicroPython and on CPython. Tests of single handlers keep the values in `State`; the virtual board uses
`outside.State` instead.
"""

import sys

_ENODEV = 19
_PINS = 49  # GPIO 0 to 48, as on the chip with the most pins


class State:
    """The state of all peripherals, by pin number.

    levels: level of each pin. changes: levels written to each pin, in order. analogue: reading of each ADC pin, 0 to
    65535. pwm: frequency in hertz and duty, 0 to 65535. i2c: registers of the devices on the bus, as {address:
    {register: byte}}. resets: number of resets that the program requested.
    """

    def __init__(self) -> None:
        self.levels: dict = {}
        self.changes: dict = {}
        self.analogue: dict = {}
        self.pwm: dict = {}
        self.i2c: dict = {}
        self.resets = 0

    def written(self, number: int, level: int) -> None:
        """Set the level of a pin, by the program."""
        self.levels[number] = level
        self.changes.setdefault(number, []).append(level)

    def read(self, number: int) -> int:
        """Return the level of a pin."""
        return self.levels.get(number, 0)

    def pulled_up(self, number: int) -> None:
        """Switch the pull-up of a pin on."""
        self.levels.setdefault(number, 1)

    def reading(self, number: int) -> int:
        """Return the reading of the ADC at a pin."""
        return self.analogue.get(number, 0)

    def pwm_of(self, number: int) -> tuple:
        """Return frequency and duty of a pin."""
        return self.pwm[number]["freq"], self.pwm[number]["duty_u16"]

    def set_pwm(self, number: int, frequency: int, duty: int) -> None:
        """Set frequency and duty of a pin."""
        self.pwm[number] = {"freq": frequency, "duty_u16": duty}

    def addresses(self) -> list:
        """Return the addresses of the devices on the I2C bus."""
        return sorted(self.i2c)

    def register(self, address: int, register: int) -> int:
        """Return a register of a device; 0 if it was not set."""
        return self.i2c[address].get(register, 0)

    def set_register(self, address: int, register: int, byte: int) -> None:
        """Set a register of a device."""
        self.i2c[address][register] = byte


state = State()


class Pin:
    """A pin that keeps its level."""

    IN = 1
    OUT = 3
    OPEN_DRAIN = 7
    PULL_DOWN = 1
    PULL_UP = 2
    IRQ_RISING = 1
    IRQ_FALLING = 2

    def __init__(self, number: int, mode: int = -1, pull: int = -1, value: "int | None" = None) -> None:
        if not isinstance(number, int) or not 0 <= number < _PINS:
            raise ValueError("invalid pin")
        self._number = number
        self.init(mode, pull, value=value)

    def init(self, mode: int = -1, pull: int = -1, value: "int | None" = None) -> None:
        """Set the mode, and the level if one is given."""
        if pull == Pin.PULL_UP:
            state.pulled_up(self._number)
        if value is not None:
            self.value(value)

    def value(self, level: "int | None" = None) -> "int | None":
        """Read the level, or set it."""
        if level is None:
            return state.read(self._number)
        state.written(self._number, 1 if level else 0)
        return None

    __call__ = value

    def on(self) -> None:
        """Set the level to 1."""
        self.value(1)

    def off(self) -> None:
        """Set the level to 0."""
        self.value(0)

    def toggle(self) -> None:
        """Invert the level. On ESP32 from MicroPython 1.25 on."""
        self.value(not self.value())

    def irq(self, handler: object = None, trigger: int = 3, wake: object = None) -> None:
        """Accept a handler, which is never called."""


if sys.implementation.name == "micropython" and sys.implementation.version < (1, 25):
    del Pin.toggle


def _number(pin: "Pin | int") -> int:
    return pin._number if isinstance(pin, Pin) else pin


class ADC:
    """An analogue input; the test sets its reading."""

    ATTN_0DB, ATTN_2_5DB, ATTN_6DB, ATTN_11DB = range(4)

    def __init__(self, pin: "Pin | int", atten: int = 3) -> None:
        self._pin = _number(pin)

    def atten(self, level: int) -> None:
        """Set the attenuation; readings do not change."""

    def width(self, bits: int) -> None:
        """Set the resolution; readings do not change."""

    def read_u16(self) -> int:
        """Return the reading, 0 to 65535."""
        return state.reading(self._pin)

    def read(self) -> int:
        """Return the reading, 0 to 4095."""
        return self.read_u16() >> 4

    def read_uv(self) -> int:
        """Return the reading in microvolts, up to 3.3 V."""
        return self.read_u16() * 3300000 // 65535


class PWM:
    """A pulse-width output. freq: hertz. duty: 0 to 1023. duty_u16: 0 to 65535."""

    def __init__(
        self, pin: "Pin | int", freq: int = 5000, duty: "int | None" = None, duty_u16: "int | None" = None
    ) -> None:
        self._pin = _number(pin)
        self._active = True
        state.set_pwm(self._pin, freq, 32768)
        if duty is not None:
            self.duty(duty)
        if duty_u16 is not None:
            self.duty_u16(duty_u16)

    def freq(self, hertz: "int | None" = None) -> "int | None":
        """Read or set the frequency. Raises RuntimeError after deinit(), like duty() and duty_u16()."""
        frequency, duty = self._settings()
        if hertz is None:
            return frequency
        if not 0 < hertz <= 40000000:
            raise ValueError("frequency must be from 1Hz to 40MHz")
        state.set_pwm(self._pin, hertz, duty)
        return None

    def duty_u16(self, value: "int | None" = None) -> "int | None":
        """Read or set the duty, 0 to 65535."""
        frequency, duty = self._settings()
        if value is None:
            return duty
        if not 0 <= value <= 65535:
            raise ValueError("duty_u16 must be from 0 to 65535")
        state.set_pwm(self._pin, frequency, value)
        return None

    def duty(self, value: "int | None" = None) -> "int | None":
        """Read or set the duty, 0 to 1023."""
        if value is None:
            return self._settings()[1] >> 6
        if not 0 <= value <= 1023:
            raise ValueError("duty must be from 0 to 1023")
        return self.duty_u16(value << 6)

    def deinit(self) -> None:
        """Switch the output off, for good."""
        if self._active:
            self.duty_u16(0)
        self._active = False

    def _settings(self) -> tuple:
        if not self._active:
            raise RuntimeError("PWM is inactive")
        return state.pwm_of(self._pin)


class I2C:
    """A bus with the devices that the test has attached. Addresses without a device raise OSError(19)."""

    def __init__(self, id: int = 0, scl: object = None, sda: object = None, freq: int = 400000, **_options) -> None:
        pass

    def scan(self) -> list:
        """Return the addresses of all devices."""
        return state.addresses()

    def readfrom_mem(self, addr: int, memaddr: int, nbytes: int, *, addrsize: int = 8) -> bytes:
        """Read registers; those that were not set are 0."""
        _check(addr)
        return bytes([state.register(addr, memaddr + at) for at in range(nbytes)])

    def readfrom_mem_into(self, addr: int, memaddr: int, buf: bytearray, *, addrsize: int = 8) -> None:
        """Read registers into a buffer."""
        buf[:] = self.readfrom_mem(addr, memaddr, len(buf))

    def writeto_mem(self, addr: int, memaddr: int, buf: bytes, *, addrsize: int = 8) -> None:
        """Write registers."""
        _check(addr)
        for at, byte in enumerate(buf):
            state.set_register(addr, memaddr + at, byte)

    def readfrom(self, addr: int, nbytes: int, stop: bool = True) -> bytes:
        """Read registers, starting with the one that writeto() selected."""
        return self.readfrom_mem(addr, _addressed.get(addr, 0), nbytes)

    def readfrom_into(self, addr: int, buf: bytearray, stop: bool = True) -> None:
        """Read registers into a buffer, starting with the one that writeto() selected."""
        buf[:] = self.readfrom(addr, len(buf))

    def writeto(self, addr: int, buf: bytes, stop: bool = True) -> int:
        """Select the register in the first byte, and write the other bytes to it and those that follow."""
        _check(addr)
        if buf:
            _addressed[addr] = buf[0]
            self.writeto_mem(addr, buf[0], buf[1:])
        return len(buf)


def _check(address: int) -> None:
    if address not in state.addresses():
        raise OSError(_ENODEV)


_addressed: dict = {}  # selected register of each device, by address
SoftI2C = I2C
