"""Days and nights of work in fast time: nothing grows, and what counts up and wraps around does no harm. A whole year
is lived by `make long-life`."""

import sys

from long_life import KINDS, held, run

MICROPYTHON = sys.implementation.name == "micropython"
ROUNDS = 400 if MICROPYTHON else 40  # 400 hours are more than the 12.4 days after which ticks_ms wraps around
MARGIN = 512 if MICROPYTHON else 150  # bytes; allocated blocks, of which CPython keeps some for itself


def test_the_last_job_leaves_the_memory_as_the_first_did():
    seen = []

    def told(life, number):
        if number in (9, ROUNDS - 1):
            seen.append(held())

    life = run(ROUNDS, told, first_packet_id=65300)
    print("held after 10 rounds and after %d: %s" % (ROUNDS, seen))
    assert seen[1] - seen[0] < MARGIN, seen
    assert life.jobs == ROUNDS * len(KINDS)
    assert life.wraps == 1
    assert life.reconnects >= ROUNDS / 2
    assert life.progress_updates >= ROUNDS * 3
