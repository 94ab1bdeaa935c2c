"""The process of a virtual board in a test: `python -m ujobs_tools.board.run_image IMAGE [LOG]`; with a log, its
clock may jump.

Does what `ujobs board` does with an image that exists, and imports nothing else, which saves half a second a start."""

import sys
from pathlib import Path

from ujobs_tools.board.supervisor import Board, BoardOptions

image, *log = map(Path, sys.argv[1:])
sys.exit(Board(image, BoardOptions(log=log[0] if log else None, stay=True, jumps=bool(log))).run())
