"""Makes CPython look like the board for device tests, and finds umqtt.simple as UMQTT_PATH says."""

import os
import sys

import boardlike

if os.environ.get("UMQTT_PATH"):
    sys.path.insert(0, os.environ["UMQTT_PATH"])
boardlike.install()
