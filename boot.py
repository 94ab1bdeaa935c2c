"""First code after a reset: find out which version of the application to start, roll back one that never proved itself
(see ujobs/trial.py), and leave it out in safe mode (see firmware/health.py). Nothing here may fail: an exception would
keep main.py from running.

The application is put in front of everything else that can be imported.
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
