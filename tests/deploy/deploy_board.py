"""The type of the fixture `start`."""

from collections.abc import Callable

from mpremote_board import MpremoteBoard

Start = Callable[..., MpremoteBoard]
"""From files (path -> content), options of `ujobs board` and blocks=, to a running board."""
