"""`make size`: prints the .mpy size of each module of lib/ujobs, and compares the sums with the budget."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ujobs_lab.bench import budget, flash, sections
from ujobs_lab.bench.sheet import as_table


def main(
    json_file: Annotated[Path | None, typer.Option("--json", help="File for all results.")] = None,
    budget_file: Annotated[Path, typer.Option("--budget", help="File with the limits.")] = budget.FILE,
) -> None:
    """Print the tables. Exit code 1: a limit is exceeded."""
    console = Console(highlight=False)
    found = sections.measure("flash")
    verdicts = budget.judge("flash", flash.budgets(found), budget_file)
    for sheet in (*sections.sheets("flash", found), budget.sheet(verdicts)):
        console.print(as_table(sheet))
    if json_file is not None:
        json_file.write_text(json.dumps({"flash": found}, indent=2) + "\n")
    if not all(verdict.kept for verdict in verdicts):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
