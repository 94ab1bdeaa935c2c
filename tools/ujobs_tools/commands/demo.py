"""`ujobs demo`: seven jobs from start to end, on a virtual board and the local service."""

import typer


def demo() -> None:
    """Show every kind of end a job can come to; exit code 0 only if each came to the one it should."""
    from rich.console import Console

    from ujobs_tools.demo.run import run
    from ujobs_tools.processes import ended_by_signals

    with ended_by_signals():
        raise typer.Exit(run(Console()))
