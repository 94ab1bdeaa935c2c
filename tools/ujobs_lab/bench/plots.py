"""Plots of the figures that say most, as SVG: where the heap goes, the processor, jobs per second and their latency."""
# Only `make bench-docs` installs matplotlib.
# pyright: reportMissingImports=false

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")

from matplotlib import pyplot

# The same figures give the same file.
pyplot.rcParams["svg.hashsalt"] = "ujobs"
pyplot.rcParams["font.size"] = 9
_SIZE = (7, 3)  # inches
_OURS, _OTHERS = "#1f77b4", "#b0b0b0"


def draw(found: dict[str, Any], folder: Path) -> None:
    """Write a plot for each section that has one and that there are figures of. folder: made if missing."""
    folder.mkdir(exist_ok=True)
    for name, plot in _PLOTS.items():
        if name in found:
            figure = plot(found[name])
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
            pyplot.close(figure)


def _heap(found: dict[str, Any]) -> Any:
    figure, axes = pyplot.subplots(figsize=_SIZE, layout="constrained")
    for row, who in enumerate(("ujobs", "by hand")):
        steps = found[f"{who} 1024"]
        names = [step["name"] for step in steps]
        begin, end = names.index("umqtt.simple"), names.index("connected")
        for before, step in zip(steps[begin:end], steps[begin + 1 : end + 1], strict=True):
            width = (step["live"] - before["live"]) / 1024
            left = (before["live"] - steps[begin]["live"]) / 1024
            bar = axes.barh(row, width, left=left, edgecolor="white", color=f"C{names.index(step['name']) % 10}")
            if width > 1:
                axes.bar_label(bar, [step["name"].removeprefix("ujobs.")], label_type="center", rotation=90, fontsize=7)
    axes.set_yticks([0, 1], ["ujobs", "by hand"])
    axes.invert_yaxis()
    axes.set_xlabel("KB of heap beyond umqtt.simple, 32-bit words, connected and idle")
    return figure


def _processor(found: dict[str, Any]) -> Any:
    kind = "instructions" if found["valgrind"] else "microseconds"
    both = {name: cost for name, cost in found["pieces"].items() if "by hand" in cost}
    figure, axes = pyplot.subplots(figsize=_SIZE, layout="constrained")
    for offset, who, colour in ((-0.2, "ujobs", _OURS), (0.2, "by hand", _OTHERS)):
        places = [row + offset for row in range(len(both))]
        axes.barh(places, [cost[who][kind] for cost in both.values()], 0.4, label=who, color=colour)
    axes.set_yticks(range(len(both)), list(both))
    axes.set_xscale("log")
    axes.invert_yaxis()
    axes.set_xlabel(kind)
    axes.legend()
    return figure


def _rate(found: dict[str, Any]) -> Any:
    devices = found["devices"]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=_SIZE, layout="constrained", sharey=True)
    colours = [_OURS if name.startswith("ujobs") else _OTHERS for name in devices]
    left.barh(list(devices), [one["jobs_per_second"] for one in devices.values()], color=colours)
    left.invert_yaxis()
    left.set_xlabel("jobs/s")
    right.barh(list(devices), [one["p99_ms"] for one in devices.values()], color=colours, alpha=0.4)
    right.barh(list(devices), [one["p50_ms"] for one in devices.values()], color=colours)
    right.set_xlabel("ms from create-job to SUCCEEDED: median, p99")
    return figure


def _downloads(found: dict[str, Any]) -> Any:
    ways = found["ways"]
    figure, axes = pyplot.subplots(figsize=_SIZE, layout="constrained")
    colours = [_OTHERS if name.startswith("bare") else _OURS for name in ways]
    bars = axes.barh(list(ways), [one["mb_per_second"] for one in ways.values()], color=colours)
    axes.bar_label(bars, fmt="%.1f", padding=3)
    axes.set_xscale("log")
    axes.margins(x=0.1)
    axes.invert_yaxis()
    axes.set_xlabel("MB/s over TLS")
    return figure


def _start(found: dict[str, Any]) -> Any:
    figure, axes = pyplot.subplots(figsize=_SIZE, layout="constrained")
    begin = 0.0
    for name, taken in found["steps"].items():
        axes.barh(name, taken, left=begin, color=_OURS)
        begin += taken
    axes.invert_yaxis()
    axes.set_xlabel("ms since reset")
    return figure


_PLOTS = {"ram": _heap, "cpu": _processor, "rate": _rate, "downloads": _downloads, "start": _start}
