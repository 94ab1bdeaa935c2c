"""Makes CPython look like the board for device tests, finds umqtt.simple where the board's image does, and has all
output watched for secrets."""

import sys

import boardlike
from ujobs_tools.board import umqtt

sys.path.insert(0, str(umqtt.find()[0]))
boardlike.install()

pytest_plugins = ["output_watch", "ujobs_tools.testing.plugin", "pytester"]
