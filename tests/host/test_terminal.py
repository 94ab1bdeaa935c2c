"""Control characters in text from boards and the cloud have no effect on the terminal."""

import io
import logging
import sys
from types import SimpleNamespace

import pytest
from rich.console import Console

from ujobs_tools.__main__ import main
from ujobs_tools.aws.executions import overview
from ujobs_tools.host.terminal import PlainFormatter, plain

TITLE = "\x1b]0;owned\x07"  # sets a terminal's title
TURNED = "\u202etxt.exe"
HOSTILE = ["[/data/x]", "[link=https://page.example]x[/link]", "[red]x", TITLE, "\x9b31m", "a\nb", "a\rb", TURNED]


def test_a_character_that_the_terminal_lacks_does_not_end_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.TextIOWrapper(io.BytesIO(), "latin-1")
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setitem(sys.modules, "ujobs_tools.cli", SimpleNamespace(app=lambda: print("✓ kühl")))
    main()
    terminal.flush()
    assert terminal.buffer.getvalue() == b"? k\xfchl\n"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("naïve ✓ 漢 [bold]", "naïve ✓ 漢 [bold]"),
        ("a\tb", "a\tb"),
        (TITLE, "\\x1b]0;owned\\x07"),
        ("\x9b31m\x7f", "\\x9b31m\\x7f"),
        ("a\r\nb\u2028", "a\\r\\nb\\u2028"),
        (TURNED, "\\u202etxt.exe"),
        ("\ud800", "\\ud800"),
    ],
)
def test_control_characters_are_written_out(text: str, shown: str) -> None:
    assert plain(text) == shown


@pytest.mark.parametrize("text", HOSTILE)
def test_status_details_are_neither_markup_nor_escape_sequences(text: str) -> None:
    execution = {
        "status": "FAILED", "versionNumber": 2, "executionNumber": 1,
        "statusDetails": {"detailsMap": {"reason": text, "progress": text}},
    }
    output = io.StringIO()
    console = Console(file=output, width=300, force_terminal=True, color_system=None)
    console.print(overview({"kiln": "FAILED"}, {"kiln": execution}))
    assert plain(text) in output.getvalue()
    assert not set(output.getvalue()) & set("\x1b\x9b\x07\r\u202e")


def test_a_log_line_stays_one_line() -> None:
    record = logging.LogRecord("x", logging.WARNING, "", 1, "%s closed: %s", ("kiln\nfake", TITLE), None)
    assert PlainFormatter("%(levelname)s %(message)s").format(record) == (
        "WARNING kiln\\nfake closed: \\x1b]0;owned\\x07"
    )
