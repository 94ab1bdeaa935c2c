"""`ujobs demo`: seven jobs on a virtual board and the local service."""

import typer


def demo() -> None:
    """Run seven jobs on a virtual board, one for each way in which a job can end.

    Exit codes: 0 all ended as expected; 1 not all.
    """
    from rich.console import Console

    from ujobs_tools.demo.run import run

    raise typer.Exit(run(Console()))
