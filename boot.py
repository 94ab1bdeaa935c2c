"""First code after a reset: find out which version of the application to start, and roll back one that never proved
itself (see ujobs/trial.py). Nothing here may fail: an exception would keep main.py from running.

The application is put in front of everything else that can be imported.
"""

import sys

folder = "/app"
try:
    from ujobs.trial import boot

    folder = boot()
except Exception as error:
    print("boot:", error)
sys.path.insert(0, folder)
