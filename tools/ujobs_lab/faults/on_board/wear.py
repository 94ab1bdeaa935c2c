"""Counts the flash operations of jobs; ujobs_lab.faults.power and ujobs_lab.bench.wear start it and read its output.

Argument: a JSON object: `blocks` of the flash, `jobs` of each type. Prints one JSON object with the sums for these
jobs of each type: `programs`, `erases`, `busiest` (erases of the most erased block), `progress_updates`.
"""

import gc
import json
import sys

import job_kinds
from session import fresh_flash
from witness import Witness

from board import Board

_KINDS = ("nothing", "quick", "large", "long")


class _Wear:
    # Jobs of one type in a row, on a board that stays switched on.
    def __init__(self, name: str, blocks: int, jobs: int):
        self._left = jobs
        self._document = job_kinds.make(name, 0).document
        self._board = Board(fresh_flash(blocks))
        self._witness = Witness(self._board)
        self._blocks = blocks

    def measure(self) -> "dict[str, int]":
        end = self._board.start(self._count, self._register, self._over, limit=1000000)
        flash = self._board.flash
        if end != "over" or self._witness.wrong or self._board.service.wrong:
            raise RuntimeError("%s %s %s" % (end, self._witness.wrong, self._board.service.wrong))
        return {
            "programs": flash.programs, "erases": flash.erases, "busiest": max(flash.worn),
            "progress_updates": self._board.service.progress_updates,
        }

    def _count(self):
        self._board.flash.worn = [0] * self._blocks

    def _register(self, agent):
        job_kinds.register(agent, self._witness)

    def _over(self, agent):
        service = self._board.service
        if not service.done() or not agent.journal.acknowledged:
            return False
        if not self._left:
            return True
        service.executions.clear()
        self._board.forget_messages()
        service.queue("job-%d" % self._left, self._document)
        self._left -= 1
        if not self._left % 50:
            # MicroPython's unix port has died when it had to collect in the middle of a job.
            gc.collect()
        return False


def main(options: dict) -> None:
    # Allocate all flashes first: each needs contiguous memory.
    boards = [(name, _Wear(name, options["blocks"], options["jobs"])) for name in _KINDS]
    print(json.dumps({name: board.measure() for name, board in boards}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
