"""Hundreds of jobs in fast time: memory does not grow, and counters that wrap around do no harm. `make long-life`
simulates a whole year."""

import sys

from long_life import KINDS, held, run

MICROPYTHON = sys.implementation.name == "micropython"
ROUNDS = 100 if MICROPYTHON else 40  # a leak of one block of 16 bytes in each would be noticed
MARGIN = 512 if MICROPYTHON else 600  # bytes; on CPython allocated blocks, of which it keeps 140 to 270


def test_memory_does_not_grow_from_the_first_job_to_the_last():
    seen = []

    def after_round(life, number):
        if number in (9, ROUNDS - 1):
            seen.append(held())

    life = run(ROUNDS, after_round, first_packet_id=65300)
    print("held after 10 rounds and after %d: %s" % (ROUNDS, seen))
    assert seen[1] - seen[0] < MARGIN, seen
    assert life.jobs == ROUNDS * len(KINDS)
    assert life.wraps == 1
    assert life.reconnects >= ROUNDS / 2
    assert life.progress_updates >= ROUNDS * 3
