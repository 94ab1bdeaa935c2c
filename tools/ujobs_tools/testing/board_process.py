"""The process of a virtual board in a test: `python -m ujobs_tools.testing.board_process IMAGE LOG`,
without a log with `-`.

Does what `ujobs board` does with an image that exists, and imports nothing else, which saves half a second a start."""

import sys
from pathlib import Path

from ujobs_tools.board.supervisor import Board, BoardOptions

sys.exit(Board(Path(sys.argv[1]), BoardOptions(log=None if sys.argv[2] == "-" else Path(sys.argv[2]), stay=True)).run())
