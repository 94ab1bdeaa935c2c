"""`make bench`: measures what ujobs costs and how fast it is, against the alternatives, in one run."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ujobs_lab.bench import budget, sections
from ujobs_lab.bench.missing import Missing
from ujobs_lab.bench.sections import SECTIONS
from ujobs_lab.bench.sheet import as_table


def main(
    only: Annotated[list[str] | None, typer.Option(help="Can be repeated. Sections: " + ", ".join(SECTIONS))] = None,
    quick: Annotated[bool, typer.Option(help="Measure with fewer repetitions, for a first look.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="File for all results.")] = None,
) -> None:
    """Measure and print the tables. Sections whose tools are not installed are skipped with a message."""
    unknown = set(only or ()) - set(SECTIONS)
    if unknown:
        raise typer.BadParameter(f"{', '.join(sorted(unknown))} is unknown; the sections are {', '.join(SECTIONS)}")
    console = Console(highlight=False)
    found, verdicts = {}, []
    for name in only or SECTIONS:
        started = time.monotonic()
        try:
            found[name] = sections.measure(name, quick)
        except Missing as error:
            console.print(f"{name} is skipped: {error}", style="yellow", markup=False)
            continue
        for sheet in sections.sheets(name, found[name]):
            console.print(as_table(sheet))
        console.print(f"{name}: {time.monotonic() - started:.0f} s", style="dim")
        verdicts += budget.judge(name, SECTIONS[name].budgets(found[name]))
    note = "A quick run: fewer repetitions, less precise results." if quick else ""
    console.print(as_table(replace(budget.sheet(verdicts), note=note)))
    if json_file is not None:
        json_file.write_text(json.dumps({"quick": quick} | found, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
