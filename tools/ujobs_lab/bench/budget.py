"""The limits in budget.toml, and the comparison of results with them."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ujobs_lab.bench.sheet import Sheet

FILE = Path(__file__).with_name("budget.toml")


@dataclass(frozen=True)
class Verdict:
    """The result of one comparison. what: name of the figure. goal, limit: for example "at most 12288". found: the
    measured figure. kept, reached: whether it is within the limit, and within the goal."""

    what: str
    goal: str
    limit: str
    found: float
    kept: bool
    reached: bool


def judge(section: str, found: Mapping[str, float], file: Path = FILE) -> list[Verdict]:
    """Compare the figures of a section with its limits; skip limits without a figure and figures without a limit.
    Raises OSError, tomllib.TOMLDecodeError or KeyError for an unreadable or invalid file."""
    limits = tomllib.loads(file.read_text()).get(section, {})
    verdicts = []
    for name, limit in limits.items():
        if name not in found:
            continue
        value = found[name]
        words = "at most" if "at_most" in limit else "at least"
        bound = limit[words.replace(" ", "_")]
        aim = limit.get("goal", bound)
        kept, reached = (value <= most if words == "at most" else value >= most for most in (bound, aim))
        verdicts.append(Verdict(limit["what"], f"{words} {aim}", f"{words} {bound}", value, kept, reached))
    return verdicts


def names(file: Path = FILE) -> list[str]:
    """The names of all limited figures, in the order of the file."""
    return [limit["what"] for limits in tomllib.loads(file.read_text()).values() for limit in limits.values()]


def sheet(verdicts: Iterable[Verdict]) -> Sheet:
    """The verdicts as a table."""
    rows = [
        (one.what, _bounds(one), f"{one.found:.0f}" if one.found > 100 else f"{one.found:.3g}", _word(one.kept))
        for one in verdicts
    ]
    return Sheet("Limits", ("", "limit", "found", ""), rows)


def _bounds(one: Verdict) -> str:
    return one.limit if one.goal == one.limit else f"{one.limit} (goal {one.goal.split()[-1]})"


def _word(kept: bool) -> str:
    return "kept" if kept else "NOT KEPT"
