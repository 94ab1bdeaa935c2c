"""An application whose handlers do what no handler should (MicroPython)."""

import os


def setup(agent):
    """Register the handlers; main.py calls this once."""
    agent.on("quick", step_timeout=1)(quick)
    agent.on("hang", step_timeout=1, max_attempts=2)(hang)
    agent.on("exhaust", step_timeout=1)(exhaust)
    agent.on("vanish", step_timeout=1)(vanish)


def quick(job):
    """Does what it should."""


def hang(job):
    """Never comes back, and lets nothing else run."""
    while True:
        pass


def exhaust(job):
    """Takes all the memory there is."""
    taken = []
    while True:
        taken.append(bytearray(1000))


def vanish(job):
    """Deletes the application that it belongs to, and the board's record of what it is doing."""
    for folder in ("/app", "/ujobs-journal"):
        for name in os.listdir(folder):
            os.remove(folder + "/" + name)
        os.rmdir(folder)
