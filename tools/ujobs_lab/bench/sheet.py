"""A table of results, for the terminal and for Markdown pages."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.markup import escape
from rich.table import Table


@dataclass(frozen=True)
class Sheet:
    """columns: headings; the first is that of the row names. rows: of at most as many cells; an empty row separates two
    groups. note: printed below the table. on_page: names of the rows shown in docs/performance.md; None: all rows;
    (): none, the table is for the terminal only."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...] | tuple[()]] = ()
    note: str = ""
    on_page: tuple[str, ...] | None = None


def as_table(sheet: Sheet) -> Table:
    """The table for the terminal."""
    table = Table(title=escape(sheet.title), caption=escape(sheet.note) or None, title_justify="left")
    for index, column in enumerate(sheet.columns):
        table.add_column(escape(column), justify="right" if index else "left")
    for row in sheet.rows:
        if row:
            table.add_row(*map(escape, row))
        else:
            table.add_section()
    return table


def as_markdown(sheet: Sheet) -> str:
    """The table for a page, with the rows of `on_page`, and the note."""
    lines = [f"**{sheet.title}**", "", _line(sheet.columns), "|---|" + "---:|" * (len(sheet.columns) - 1)]
    padding = ("",) * len(sheet.columns)
    lines += [_line((*row, *padding)[: len(padding)]) for row in sheet.rows if row and _is_on_page(sheet, row[0])]
    if sheet.note:
        lines += ["", sheet.note]
    return "\n".join(lines) + "\n"


def _is_on_page(sheet: Sheet, name: str) -> bool:
    return sheet.on_page is None or name in sheet.on_page


def _line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
