"""The parts of `make bench`, each a module of its own."""

from typing import Any, Protocol

from ujobs_tools.bench import cpu, downloads, flash, heap, ram, rate, romfs, start, wear, wire
from ujobs_tools.bench.sheet import Sheet


class Section(Protocol):
    """measure() gives figures that JSON can hold; the others make of them what budget.toml limits, and tables."""

    def measure(self) -> dict[str, Any]: ...

    def budgets(self, found: dict[str, Any]) -> dict[str, float]: ...

    def sheets(self, found: dict[str, Any]) -> list[Sheet]: ...


SECTIONS: dict[str, Section] = {
    "flash": flash, "ram": ram, "romfs": romfs, "heap": heap, "cpu": cpu, "wire": wire, "rate": rate,
    "downloads": downloads, "wear": wear, "start": start,
}
