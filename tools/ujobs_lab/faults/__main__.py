"""`python -m ujobs_lab.faults`: what `make faults` runs; one command a kind of fault."""

from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def main() -> None:
    """Break what must not break, and say how often it was tried and what came of it."""


@app.command()
def power(
    sample: Annotated[int | None, typer.Option(help="Do only so many of all tries, chosen at random.")] = None,
    seed: Annotated[int, typer.Option(help="Of everything that is chosen at random.")] = 1,
    only: Annotated[str | None, typer.Option(help="Tries by first words; prints all of a single one.")] = None,
) -> None:
    """Cut the power at every flash operation and message of a session of jobs; exit code 0 only if all is kept."""
    from .power import run

    raise typer.Exit(run(Console(), sample, seed, only))


if __name__ == "__main__":
    app()
