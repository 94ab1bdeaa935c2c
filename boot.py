"""Runs first after a reset: choose the version of the application to start, roll back one that was never confirmed
(see ujobs/trial.py), and skip the application in safe mode (see firmware/health.py). No exception may leave this file:
main.py would not run.

The application's folder comes first in sys.path.
"""

import sys

folder = "/app"
try:
    from ujobs import trial

    try:
        import machine

        boots = trial.read("/trial")
        # Ctrl-D and mpremote are not the new version's fault: such a boot uses up none of its three.
        if machine.reset_cause() == machine.SOFT_RESET and boots[:1] in ("1", "2", "3"):
            trial.write("/trial", str(int(boots[:1]) - 1) + boots[1:])
    except (AttributeError, ImportError, OSError):
        pass
    folder = trial.boot()
    from firmware.health import begin

    if begin():
        folder = ""
except Exception as error:
    print("boot:", error)
if folder:
    sys.path.insert(0, folder)
