"""Runs first after a reset: choose the version of the application to start, roll back one that was never confirmed
(see ujobs/trial.py), and skip the application in safe mode (see firmware/health.py). No exception may leave this file:
main.py would not run.

The application's folder comes first in sys.path.
"""

import sys

folder = "/app"
try:
    from ujobs.trial import boot

    folder = boot()
    from firmware.health import begin

    if begin():
        folder = ""
except Exception as error:
    print("boot:", error)
if folder:
    sys.path.insert(0, folder)
