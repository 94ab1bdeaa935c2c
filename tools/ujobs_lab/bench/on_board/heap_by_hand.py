"""The program by hand, in steps between which its heap is measured, see by_hand.py. Runs on MicroPython only."""

from by_hand import Jobs

jobs: Jobs


def make() -> None:
    global jobs
    jobs = Jobs(b"thing", "host", 8883, None, lambda document: {"steps": str(len(document["steps"]))})


def start() -> None:
    jobs.connect()


def turn() -> None:
    jobs.client.check_msg()
