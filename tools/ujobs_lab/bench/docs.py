"""`make bench-docs`: puts the tables and plots of figures that `make bench JSON=FILE` has written into
docs/performance.md.

A table stands between `<!-- figures: NAME -->` and `<!-- end -->`. NAME is that of a section, or "limits" for the table
of the limits and goals that are not reached. What is there is replaced; what belongs to a section without figures is
left as it is."""

import json
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from ujobs_lab import REPOSITORY
from ujobs_lab.bench import budget, client
from ujobs_lab.bench.sections import SECTIONS
from ujobs_lab.bench.sheet import as_markdown

PAGE = REPOSITORY / "docs" / "performance.md"
_PLACE = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_LIMITS = "limits"


def main(
    figures: Annotated[Path, typer.Argument(help="What `make bench JSON=FILE` has written.")],
    page: Annotated[Path, typer.Option(help="The page for the tables; plots go into a folder beside it.")] = PAGE,
) -> None:
    """Write tables and plots. Figures of a quick run are refused."""
    found: dict[str, Any] = json.loads(figures.read_text())
    if found.get("quick"):
        raise typer.BadParameter(f"{figures} is of a quick run, too rough for a page: `make bench JSON={figures}`")
    # Not needed by anything else, and not installed for it.
    from ujobs_lab.bench import plots

    page.write_text(fill(page.read_text(), found))
    plots.draw(found, page.with_suffix(""))


def fill(text: str, found: dict[str, Any]) -> str:
    """A page with the tables of all sections that there are figures of. Raises KeyError for a place that names none."""

    def table(match: re.Match[str]) -> str:
        name = match[2]
        if name == _LIMITS:
            return match[1] + _limits(match[0], found) + "\n" + match[3]
        section = SECTIONS[name]
        if name not in found:
            return match[0]
        tables = [as_markdown(sheet) for sheet in section.sheets(found[name]) if sheet.on_page != ()]
        return match[1] + "\n" + "\n".join(tables) + "\n" + match[3]

    return _PLACE.sub(table, text)


def _limits(before: str, found: dict[str, Any]) -> str:
    # Limits and goals that were not reached, now or where nothing was measured now, and which umqtt.simple was used.
    verdicts = [
        verdict for name, section in SECTIONS.items() if name in found
        for verdict in budget.judge(name, section.budgets(found[name]))
    ]
    head, line, *new = as_markdown(budget.sheet(one for one in verdicts if not one.reached)).rstrip().splitlines()[2:]
    measured = [f"| {one.what} " for one in verdicts]
    old = [row for row in before.splitlines() if row.startswith("| ") and not row.startswith(tuple(measured))]
    rows = [row for what in budget.names() for row in (*old, *new) if row.startswith(f"| {what} |")]
    notes = {client.note(found[name]) for name in SECTIONS if "client" in found.get(name, {})}
    notes = notes or {line for line in before.splitlines() if line.startswith("umqtt.simple")}
    return "\n".join(["", head, line, *rows, "", *sorted(notes), ""])


if __name__ == "__main__":
    typer.run(main)
