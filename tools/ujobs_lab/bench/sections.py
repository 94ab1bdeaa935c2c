"""The sections of `make bench`, one module each."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from ujobs_lab.bench import client, cpu, downloads, flash, heap, ram, rate, romfs, wear, wire
from ujobs_lab.bench.sheet import Sheet


class Section(Protocol):
    """measure() returns figures that JSON can hold; its arguments say how often things are done. budgets() selects the
    figures that budget.toml limits, sheets() makes the tables."""

    @property
    def measure(self) -> Callable[..., dict[str, Any]]: ...

    def budgets(self, found: dict[str, Any]) -> dict[str, float]: ...

    def sheets(self, found: dict[str, Any]) -> list[Sheet]: ...


SECTIONS: dict[str, Section] = {
    "flash": flash, "ram": ram, "romfs": romfs, "heap": heap, "cpu": cpu, "wire": wire, "rate": rate,
    "downloads": downloads, "wear": wear,
}
# Sections with figures of umqtt.simple or of programs that use it.
_WITH_CLIENT = frozenset(("flash", "ram", "romfs", "heap", "cpu", "wire", "rate"))
# Arguments of a quick run: fewer repetitions or less precision.
QUICK: dict[str, dict[str, int]] = {
    "ram": {"jobs": 50}, "heap": {"step": 8}, "cpu": {"times": 20, "jobs": 5, "rounds": 1}, "wire": {"count": 3},
    "rate": {"jobs": 10, "singles": 20, "rounds": 1, "far_jobs": 5},
    "downloads": {"rounds": 1, "trickle_size": 1 << 16}, "wear": {"jobs": 50},
}


def measure(name: str, quick: bool = False) -> dict[str, Any]:
    """Measure a section and return everything that its tables need. quick: with fewer repetitions. Raises the errors
    of the section's measure()."""
    found = SECTIONS[name].measure(**QUICK.get(name, {}) if quick else {})
    return found | (client.used() if name in _WITH_CLIENT else {})


def sheets(name: str, found: dict[str, Any]) -> list[Sheet]:
    """The tables of a section; the first one says which umqtt.simple was used. Raises KeyError if the section does not
    exist."""
    first, *others = SECTIONS[name].sheets(found)
    if name in _WITH_CLIENT:
        first = replace(first, note=f"{first.note} {client.note(found)}".lstrip())
    return [first, *others]
