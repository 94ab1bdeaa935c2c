"""Pin, PWM, ADC and I2C as the ESP32 port has them, on values that a test sets and reads.

Runs on MicroPython and on CPython: the virtual board and tests of single handlers share it.
"""

_ENODEV = 19
_PINS = 49  # GPIO 0 to 48, of the chip that has most


class State:
    """levels: of the pins. changes: levels written to each pin, in order. analogue: what each ADC pin reads, 0 to
    65535. pwm: frequency in hertz and duty, 0 to 65535, of each pin. i2c: registers of the devices on the bus, as
    {address: {register: byte}}. resets: how often the program asked for a reset."""

    def __init__(self) -> None:
        self.levels: dict = {}
        self.changes: dict = {}
        self.analogue: dict = {}
        self.pwm: dict = {}
        self.i2c: dict = {}
        self.resets = 0

    def written(self, number: int, level: int) -> None:
        """A program has set a pin."""
        self.levels[number] = level
        self.changes.setdefault(number, []).append(level)

    def read(self, number: int) -> int:
        """The level of a pin."""
        return self.levels.get(number, 0)


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
        if pull == Pin.PULL_UP and self._number not in state.levels:
            state.levels[self._number] = 1
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
        """Invert the level."""
        self.value(not self.value())

    def irq(self, handler: object = None, trigger: int = 3, wake: object = None) -> None:
        """Interrupts never come here."""


def _number(pin: "Pin | int") -> int:
    return pin._number if isinstance(pin, Pin) else pin


class ADC:
    """An analogue input that reads what the test has set."""

    ATTN_0DB, ATTN_2_5DB, ATTN_6DB, ATTN_11DB = range(4)

    def __init__(self, pin: "Pin | int", atten: int = 3) -> None:
        self._pin = _number(pin)

    def atten(self, level: int) -> None:
        """Set the attenuation; readings do not change."""

    def width(self, bits: int) -> None:
        """Set the resolution; readings do not change."""

    def read_u16(self) -> int:
        """0 to 65535."""
        return state.analogue.get(self._pin, 0)

    def read(self) -> int:
        """0 to 4095."""
        return self.read_u16() >> 4

    def read_uv(self) -> int:
        """Microvolts, up to 3.3 V."""
        return self.read_u16() * 3300000 // 65535


class PWM:
    """A pulse-width output. freq: hertz. duty: 0 to 1023. duty_u16: 0 to 65535."""

    def __init__(
        self, pin: "Pin | int", freq: int = 5000, duty: "int | None" = None, duty_u16: "int | None" = None
    ) -> None:
        self._pin = _number(pin)
        state.pwm[self._pin] = {"freq": freq, "duty_u16": 32768}
        if duty is not None:
            self.duty(duty)
        if duty_u16 is not None:
            self.duty_u16(duty_u16)

    def freq(self, hertz: "int | None" = None) -> "int | None":
        """Read or set the frequency."""
        return self._member("freq", hertz, 40000000)

    def duty_u16(self, value: "int | None" = None) -> "int | None":
        """Read or set the duty, 0 to 65535."""
        return self._member("duty_u16", value, 65535)

    def duty(self, value: "int | None" = None) -> "int | None":
        """Read or set the duty, 0 to 1023."""
        if value is None:
            return state.pwm[self._pin]["duty_u16"] >> 6
        if not 0 <= value <= 1023:
            raise ValueError("duty must be between 0 and 1023")
        return self.duty_u16(value << 6)

    def deinit(self) -> None:
        """Switch the output off."""
        state.pwm[self._pin]["duty_u16"] = 0

    def _member(self, name: str, value: "int | None", most: int) -> "int | None":
        if value is None:
            return state.pwm[self._pin][name]
        if not 0 <= value <= most:
            raise ValueError(name + " must be between 0 and " + str(most))
        state.pwm[self._pin][name] = value
        return None


class I2C:
    """A bus with the devices that the test has put on it, as memory of bytes. OSError(19) where there is none."""

    def __init__(self, id: int = 0, scl: object = None, sda: object = None, freq: int = 400000, **_options) -> None:
        pass

    def scan(self) -> list:
        """The addresses of all devices."""
        return sorted(state.i2c)

    def readfrom_mem(self, addr: int, memaddr: int, nbytes: int, *, addrsize: int = 8) -> bytes:
        """Read registers; those that were not set are 0."""
        device = self._device(addr)
        return bytes([device.get(memaddr + at, 0) for at in range(nbytes)])

    def readfrom_mem_into(self, addr: int, memaddr: int, buf: bytearray, *, addrsize: int = 8) -> None:
        """Read registers into a buffer."""
        buf[:] = self.readfrom_mem(addr, memaddr, len(buf))

    def writeto_mem(self, addr: int, memaddr: int, buf: bytes, *, addrsize: int = 8) -> None:
        """Write registers."""
        device = self._device(addr)
        for at, byte in enumerate(buf):
            device[memaddr + at] = byte

    def readfrom(self, addr: int, nbytes: int, stop: bool = True) -> bytes:
        """Read from the register that was last addressed by writeto()."""
        return self.readfrom_mem(addr, self._device(addr).get(-1, 0), nbytes)

    def writeto(self, addr: int, buf: bytes, stop: bool = True) -> int:
        """Write: the first byte is the register, the others its content."""
        device = self._device(addr)
        if buf:
            device[-1] = buf[0]
            self.writeto_mem(addr, buf[0], buf[1:])
        return len(buf)

    def _device(self, address: int) -> dict:
        if address not in state.i2c:
            raise OSError(_ENODEV)
        return state.i2c[address]


SoftI2C = I2C
