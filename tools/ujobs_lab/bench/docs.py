"""`make bench-docs`: writes the results of `make bench JSON=FILE` into docs/performance.md, and draws its plot.

Tables are between `<!-- figures: NAME -->` and `<!-- end -->`. NAME is a section, or "limits" for the limits and goals
that are not reached. Tables of sections without results stay as they are."""

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
    figures: Annotated[Path, typer.Argument(help="The results of `make bench JSON=FILE`.")],
    page: Annotated[Path, typer.Option(help="The page with the tables.")] = PAGE,
) -> None:
    """Write the tables and the plot. Results of a quick run are refused."""
    found: dict[str, Any] = json.loads(figures.read_text())
    if found.get("quick"):
        raise typer.BadParameter(f"{figures} is from a quick run, which is imprecise. Run `make bench JSON={figures}`")
    page.write_text(fill(page.read_text(), found))
    if "ram" in found:
        # Imported here because only `make bench-docs` installs matplotlib.
        from ujobs_lab.bench import plots

        folder = page.with_suffix("")
        folder.mkdir(exist_ok=True)
        plots.draw_heap(found["ram"], folder / "ram.svg")


def fill(text: str, found: dict[str, Any]) -> str:
    """Replace the tables of all sections in `found`. Raises KeyError if the page names an unknown section."""

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
    # The limits and goals that are not reached: new rows for measured sections, the old rows for all others.
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
