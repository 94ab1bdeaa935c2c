"""Lets the sleeping node's test use what the end-to-end tests drive a board with."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "end_to_end"))
