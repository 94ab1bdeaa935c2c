"""The plot of docs/performance.md as SVG: which part of the library takes how much heap."""
# Only `make bench-docs` installs matplotlib.
# pyright: reportMissingImports=false

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")

from matplotlib import pyplot

# With a fixed salt, the same figures give the same file.
pyplot.rcParams["svg.hashsalt"] = "ujobs"
pyplot.rcParams["font.size"] = 9
_SIZE = (7, 3)  # inches
_WHO = ("ujobs", "by hand")


def draw_heap(found: dict[str, Any], path: Path) -> None:
    """Draw the figures of section `ram`. path: of the SVG file."""
    figure, axes = pyplot.subplots(figsize=_SIZE, layout="constrained")
    for row, who in enumerate(_WHO):
        steps = found[f"{who} 1024"]
        names = [step["name"] for step in steps]
        begin, end = names.index("umqtt.simple"), names.index("connected")
        for before, step in zip(steps[begin:end], steps[begin + 1 : end + 1], strict=True):
            width = (step["live"] - before["live"]) / 1024
            left = (before["live"] - steps[begin]["live"]) / 1024
            bar = axes.barh(row, width, left=left, edgecolor="white", color=f"C{names.index(step['name']) % 10}")
            if width > 1:
                axes.bar_label(bar, [step["name"].removeprefix("ujobs.")], label_type="center", rotation=90, fontsize=7)
    axes.set_yticks([0, 1], _WHO)
    axes.invert_yaxis()
    axes.set_xlabel("KB of heap beyond umqtt.simple, 32-bit words, connected and idle")
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
