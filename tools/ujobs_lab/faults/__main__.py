"""`python -m ujobs_lab.faults`, run by `make faults`: one command for each type of fault."""

from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def main() -> None:
    """Inject faults, and print the number of test cases and failures."""


@app.command()
def power(
    sample: Annotated[int | None, typer.Option(help="Number of test cases, chosen at random. Default: all.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of all random choices.")] = 1,
    only: Annotated[str | None, typer.Option(help="First words of test cases; one alone prints its log.")] = None,
    random_only: Annotated[bool, typer.Option("--random-only", help="Only cases that depend on the seed.")] = False,
) -> None:
    """Cut the power at every flash operation and message of a session. Exit code 0: all promises were kept."""
    from .power import run

    raise typer.Exit(run(Console(), sample, seed, only, random_only))


if __name__ == "__main__":
    app()
