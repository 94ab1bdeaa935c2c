"""Recipes for `agent.gate`. Each returns a function that, asked about a job, returns None to let it start, or the
seconds until it is to be asked again."""

import time
from hashlib import sha256

_DAY = 86400  # seconds


def window(begin, end):
    """From one hour of the day to another, in UTC; window(22, 4) goes over midnight."""

    def gate(job):
        hour, minute, second = time.gmtime()[3:6]
        into = (hour * 3600 + minute * 60 + second - begin * 3600) % _DAY
        return None if into < (end - begin) % 24 * 3600 else _DAY - into

    return gate


def within(read, least, most, seconds=300):
    """While read() gives a number from `least` to `most`: volts of a battery, degrees of a chip."""

    def gate(job):
        return None if least <= read() <= most else seconds

    return gate


def not_in_use(busy, seconds=5):
    """While busy() is false: the kiln is cold, nobody holds the door."""

    def gate(job):
        return seconds if busy() else None

    return gate


def spread(over, board):
    """Within so many seconds after the job was created, at a different moment for each board; the same after a reset.

    board: bytes that only this board has, such as machine.unique_id().
    """

    def gate(job):
        own = int.from_bytes(sha256(board + job.job_id.encode()).digest()[:3], "big") % over
        now = time.time() + (946684800 if time.gmtime(0)[0] == 2000 else 0)
        left = job.queued_at + own - now
        return left if left > 0 else None

    return gate


def all_of(*gates):
    """When all of them agree."""

    def gate(job):
        holds = [seconds for seconds in [one(job) for one in gates] if seconds is not None]
        return max(holds) if holds else None

    return gate


def unless_urgent(gate):
    """A job whose document says `"urgent": true` goes at once."""
    return lambda job: None if job.document.get("urgent") is True else gate(job)
