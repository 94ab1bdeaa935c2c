"""The pins and peripherals of a board in a test: set them before a run, read them afterwards."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Machine:
    """State of the peripherals, by GPIO number.

    levels: level of each pin. changes: levels that the handler set, in order. analogue: reading of each ADC pin, 0 to
    65535. pwm: {"freq", "duty_u16"} of each PWM pin. i2c: devices on the bus, as {address: {register: byte}}; it
    includes the changes by the handler afterwards.
    """

    levels: dict[int, int] = field(default_factory=dict)
    analogue: dict[int, int] = field(default_factory=dict)
    i2c: dict[int, dict[int, int]] = field(default_factory=dict)
    changes: dict[int, list[int]] = field(default_factory=dict)
    pwm: dict[int, dict[str, int]] = field(default_factory=dict)

    def as_order(self) -> dict[str, Any]:
        """Return it as JSON for one_boot; lists replace dicts, because keys of JSON objects cannot be integers."""
        return {
            "levels": list(self.levels.items()),
            "analogue": list(self.analogue.items()),
            "i2c": [(address, list(registers.items())) for address, registers in self.i2c.items()],
        }

    def take(self, report: dict[str, Any]) -> None:
        """Update it from the report of one_boot."""
        self.levels = dict(report["levels"])
        for pin, levels in report["changes"]:
            self.changes.setdefault(pin, []).extend(levels)
        self.pwm = dict(report["pwm"])
        self.i2c = {address: dict(registers) for address, registers in report["i2c"]}
