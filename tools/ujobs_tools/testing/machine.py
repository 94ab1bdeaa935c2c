"""What is attached to the pins of a board in a test: set before a run, read after it."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Machine:
    """levels: of the pins, by GPIO number. changes: the levels that the handler set, in order. analogue: what each ADC
    pin reads, 0 to 65535. pwm: {"freq", "duty_u16"} of each PWM pin. i2c: devices on the bus, as
    {address: {register: byte}}; what the handler wrote is in it afterwards."""

    levels: dict[int, int] = field(default_factory=dict)
    analogue: dict[int, int] = field(default_factory=dict)
    i2c: dict[int, dict[int, int]] = field(default_factory=dict)
    changes: dict[int, list[int]] = field(default_factory=dict)
    pwm: dict[int, dict[str, int]] = field(default_factory=dict)

    def as_order(self) -> dict[str, Any]:
        """For one_boot: JSON has no integers as keys."""
        return {
            "levels": list(self.levels.items()),
            "analogue": list(self.analogue.items()),
            "i2c": [(address, list(registers.items())) for address, registers in self.i2c.items()],
        }

    def take(self, report: dict[str, Any]) -> None:
        """Take over what one_boot reports of a run."""
        self.levels = dict(report["levels"])
        for pin, levels in report["changes"]:
            self.changes.setdefault(pin, []).extend(levels)
        self.pwm = dict(report["pwm"])
        self.i2c = {address: dict(registers) for address, registers in report["i2c"]}
