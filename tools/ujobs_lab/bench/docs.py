"""`make bench-docs`: puts the tables and plots of figures that `make bench JSON=FILE` has written into
docs/performance.md.

A table stands between `<!-- figures: NAME -->` and `<!-- end -->`, NAME being that of a section; what is there is
replaced, and a section without figures is left as it is."""

import json
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from ujobs_lab import REPOSITORY
from ujobs_lab.bench import budget, sections
from ujobs_lab.bench.sections import SECTIONS
from ujobs_lab.bench.sheet import as_markdown

PAGE = REPOSITORY / "docs" / "performance.md"
_PLACE = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


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
        section = SECTIONS[name]
        if name not in found:
            return match[0]
        tables = sections.sheets(name, found[name])
        verdicts = budget.judge(name, section.budgets(found[name]))
        if verdicts:
            tables.append(budget.sheet(verdicts))
        return match[1] + "\n" + "\n".join(map(as_markdown, tables)) + "\n" + match[3]

    return _PLACE.sub(table, text)


if __name__ == "__main__":
    typer.run(main)
