"""An application with misbehaving handlers (MicroPython)."""

import os


def setup(agent):
    """Register the handlers; main.py calls this once."""
    agent.on("quick", step_timeout=1)(quick)
    agent.on("hang", step_timeout=1, max_attempts=2)(hang)
    agent.on("exhaust", step_timeout=1)(exhaust)
    agent.on("vanish", step_timeout=1)(vanish)


def quick(job):
    """Behaves well."""


def hang(job):
    """Blocks the event loop forever."""
    while True:
        pass


def exhaust(job):
    """Allocates all memory."""
    taken = []
    while True:
        taken.append(bytearray(1000))


def vanish(job):
    """Deletes its own application and the board's journal."""
    for folder in ("/app", "/ujobs-journal"):
        for name in os.listdir(folder):
            os.remove(folder + "/" + name)
        os.rmdir(folder)
