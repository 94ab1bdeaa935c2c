"""Measures and breaks ujobs, and generates pages from its sources: for work on ujobs itself, not for users."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

ON_BOARD = Path(__file__).with_name("on_board")
"""Modules that run beside the library, on both interpreters: broker, Jobs service and web server, all in memory."""
