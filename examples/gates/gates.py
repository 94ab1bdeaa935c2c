"""Recipes for `agent.gate`. Each returns a function that is called with a job. The function returns None to let the job
start, or the seconds until it is called again."""

import time
from hashlib import sha256

_DAY = 86400  # seconds


def window(begin, end):
    """Start jobs from one hour of the day to another, in UTC; window(22, 4) includes midnight."""

    def gate(job):
        hour, minute, second = time.gmtime()[3:6]
        into = (hour * 3600 + minute * 60 + second - begin * 3600) % _DAY
        return None if into < (end - begin) % 24 * 3600 else _DAY - into

    return gate


def within(read, least, most, seconds=300):
    """Start jobs while read() returns a number from `least` to `most`: volts of a battery, degrees of a chip."""

    def gate(job):
        return None if least <= read() <= most else seconds

    return gate


def not_in_use(busy, seconds=5):
    """Start jobs while busy() is false: the kiln is cold, nobody holds the door."""

    def gate(job):
        return seconds if busy() else None

    return gate


def spread(over, board):
    """Start a job within so many seconds after it was created, at a different time for each board, also after a reset.

    board: bytes that only this board has, such as machine.unique_id().
    """

    def gate(job):
        own = int.from_bytes(sha256(board + job.job_id.encode()).digest()[:3], "big") % over
        now = time.time() + (946684800 if time.gmtime(0)[0] == 2000 else 0)
        left = job.queued_at + own - now
        return left if left > 0 else None

    return gate


def all_of(*gates):
    """Start jobs when all gates agree."""

    def gate(job):
        holds = [seconds for seconds in [one(job) for one in gates] if seconds is not None]
        return max(holds) if holds else None

    return gate


def unless_urgent(gate):
    """Start jobs with `"urgent": true` in their document at once, others when the gate agrees."""
    return lambda job: None if job.document.get("urgent") is True else gate(job)
