"""Part of `make size`: bytes of each module of lib/ujobs, compiled as the board gets it."""

from rich.console import Console
from rich.table import Table

from .board.interpreter import compile_module
from .board.umqtt import REPOSITORY

_CORE = ("__init__", "protocol", "link", "journal", "client", "job", "agent")


def main() -> None:
    """Print the table: source bytes and .mpy bytes at -O2, which keeps line numbers, and at -O3."""
    library = REPOSITORY / "lib" / "ujobs"
    table = Table("module", "source", ".mpy -O2", ".mpy -O3")
    totals = {"core": [0, 0, 0], "all": [0, 0, 0]}
    for path in sorted(library.rglob("*.py")):
        source = path.read_bytes()
        name = path.relative_to(library).as_posix()
        row = [len(source), *(len(compile_module(source, name, level)) for level in (2, 3))]
        for which in ("core", "all") if path.stem in _CORE and path.parent == library else ("all",):
            totals[which] = [total + size for total, size in zip(totals[which], row, strict=True)]
        table.add_row(name, *map(str, row))
    table.add_section()
    for name, row in totals.items():
        table.add_row(name, *map(str, row))
    Console().print(table)


if __name__ == "__main__":
    main()
