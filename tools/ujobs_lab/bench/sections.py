"""The parts of `make bench`, each a module of its own."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from ujobs_lab.bench import client, cpu, downloads, flash, heap, ram, rate, romfs, start, wear, wire
from ujobs_lab.bench.sheet import Sheet


class Section(Protocol):
    """measure() gives figures that JSON can hold, and takes how often something is done; the others make of them what
    budget.toml limits, and tables."""

    @property
    def measure(self) -> Callable[..., dict[str, Any]]: ...

    def budgets(self, found: dict[str, Any]) -> dict[str, float]: ...

    def sheets(self, found: dict[str, Any]) -> list[Sheet]: ...


SECTIONS: dict[str, Section] = {
    "flash": flash, "ram": ram, "romfs": romfs, "heap": heap, "cpu": cpu, "wire": wire, "rate": rate,
    "downloads": downloads, "wear": wear, "start": start,
}
# With figures of umqtt.simple, or of what is done with it by hand.
_WITH_CLIENT = frozenset(("flash", "ram", "romfs", "heap", "cpu", "wire", "rate"))
# What a quick run does less often, or less exactly.
QUICK: dict[str, dict[str, int]] = {
    "ram": {"jobs": 50}, "heap": {"step": 8}, "cpu": {"times": 20, "jobs": 5, "rounds": 1}, "wire": {"count": 3},
    "rate": {"jobs": 10, "singles": 20, "rounds": 1, "far_jobs": 5},
    "downloads": {"rounds": 1, "trickle_size": 1 << 16}, "wear": {"jobs": 50}, "start": {"rounds": 1},
}


def measure(name: str, quick: bool = False) -> dict[str, Any]:
    """The figures of a section, with all that its tables say. quick: with fewer repetitions. Raises what measure() of
    the section does."""
    found = SECTIONS[name].measure(**QUICK.get(name, {}) if quick else {})
    return found | (client.used() if name in _WITH_CLIENT else {})


def sheets(name: str, found: dict[str, Any]) -> list[Sheet]:
    """The tables of a section, the first of which says which umqtt.simple was used. Raises KeyError when there is no
    such section."""
    first, *others = SECTIONS[name].sheets(found)
    if name in _WITH_CLIENT:
        first = replace(first, note=f"{first.note} {client.note(found)}".lstrip())
    return [first, *others]
