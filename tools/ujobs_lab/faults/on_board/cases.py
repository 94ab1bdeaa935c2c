"""One test case: a job and a quick one after it, with a given flash and power cuts at given moments, and the checks at
the end. Runs on MicroPython only."""

import os

import job_kinds
from nor_flash import Power
from witness import Witness, read

from board import FLASH, Board

_RESTART = 2000  # milliseconds
_MOST_STARTS = 20
_JOURNAL = "/ujobs-journal/"
_TOO_LATE = 6  # last steps before a reset: the board does not ask again whether the job was cancelled
_WITH_TRIAL = ("app", "firmware", "settings")


class Case:
    """name: job type; number: of the job, for its id. content: of the flash, not changed; now: milliseconds. cuts: list
    of (moment, how much of it lands), counted from the return of the power. damage: (file of the journal, position,
    bit), before the second boot; bit None: truncate the file there. off: additional seconds without power after a cut.
    cancel: the step (see Board.on_step) at which the job is cancelled, 0: never; the first cut is counted from there.
    sectors: of the application partitions.

    wrong: errors. board, witness: their final states. failures: number of power cuts that happened. moments: at which
    the power could have failed after the last cut; whole: those that cannot happen by half. journal: the content of its
    files, by name, at the second boot. steps: their number.
    """

    def __init__(
        self, name: str, number: int, content: bytes, now: int, cuts: list = (), damage: "tuple | None" = None,
        off: int = 0, cancel: int = 0, sectors: "dict | None" = None,
    ):
        self.name = name
        self.number = number
        self.kind = job_kinds.make(name, number)
        copies = {number: bytearray(sector) for number, sector in (sectors or {}).items()}
        self.board = Board(bytearray(content), now, copies)
        self.board.on_step = self._step
        self.board.open_connection = job_kinds.web().open_connection
        self.witness = Witness(self.board)
        self.wrong = []
        self.failures = self.moments = 0
        self.whole = ()
        self.journal = {}
        self._cuts = cuts
        self._damage = damage
        self._off = off
        self._cancel = cancel
        self._cancelled = False
        self._noticed_by = None  # the boot and the step by which the board can know of the cancellation
        self._restarted = False  # by its own reset
        self.steps = 0
        self._old = None
        self._job = self.board.service.queue("%s-%d" % (name, number), self.kind.document)
        self._next = self.board.service.queue("next-%d" % number, job_kinds.make("quick", number).document)

    def run(self) -> "list[str]":
        """Run the test case; return the errors."""
        end = self._live()
        self.moments, self.whole = self.board.power.moments, self.board.power.whole
        if end:
            self.wrong.append(end)
        else:
            self._judge()
        self.wrong += self.witness.wrong + self.board.service.wrong
        return self.wrong

    def _live(self):
        board = self.board
        supplies = [Power(*cut) for cut in self._cuts] + [Power()]
        board.power = Power() if self._cancel else supplies.pop(0)
        while board.starts < _MOST_STARTS:
            end = board.start(self._powered, self._register, self._over)
            job_kinds.hoarded.clear()
            if end == "over":
                return ""
            board.now += _RESTART
            if end == "reset":
                self._restarted = True
                if self._noticed_by and board.starts == self._noticed_by[0] and self.steps > self._noticed_by[1]:
                    self.wrong.append("restarted for a job that was cancelled before")
            if end == "cut":
                self.failures += 1
                if self._cancel and self.failures == 1:
                    supplies.pop(0)
                board.power = supplies.pop(0)
                board.now += self._off * 1000
            elif end != "reset" and not (self.kind.crashes and "MemoryError" in end):
                return end
        return "%d starts were not enough" % _MOST_STARTS

    def _step(self):
        self.steps += 1
        if self.steps != self._cancel:
            return False
        self._cancelled = self.board.service.end(self._job)
        if self._cancelled:
            self._noticed_by = (self.board.starts, self.steps + _TOO_LATE)
        if self._cuts:
            power = self.board.power
            moment, power.lands = self._cuts[0]
            power.fails_at = power.moments + moment
        return self._cancelled

    def _powered(self):
        if self.board.starts == 1:
            self._old = job_kinds.installed(self.name)
        if self.board.starts == 2:
            self.journal = {name: read(_JOURNAL + name) for name in _journal_files()}
            if self._damage:
                self._do_damage(*self._damage)
        self.witness.powered()

    def _do_damage(self, name, position, bit):
        data = bytearray(self.journal[name])
        if bit is None:
            data = data[:position]
        else:
            data[position] ^= 1 << bit
        with open(FLASH + _JOURNAL + name, "wb") as file:
            file.write(data)
        self.witness.forgetful = True

    def _register(self, agent):
        job_kinds.register(agent, self.witness)

    def _over(self, agent):
        return self.board.service.done() and agent.journal.acknowledged and job_kinds.settled()

    def _judge(self):
        self._judge_job(self._job, self.kind)
        self._judge_job(self._next, job_kinds.make("quick", self.number))
        for (job_id, step), times in sorted(self.witness.effects.items()):
            repeats = self.kind.repeats if job_id == self._job["jobId"] else 1
            if times > repeats + self.failures:
                self.wrong.append("%s did step %d %d times" % (job_id, step, times))
        self.board.power = Power()
        end = self.board.start(self._look, lambda agent: None, lambda agent: True)
        if end != "over":
            self.wrong.append(end)

    def _judge_job(self, execution, kind):
        status = execution["status"]
        details = execution.get("statusDetails", {})
        if status == "CANCELED" and self._cancelled and execution is self._job:
            return
        if self.failures and (status in kind.cut or (status == "TIMED_OUT" and self._off)):
            return
        if status != kind.status:
            self.wrong.append("%s is %s: %s" % (execution["jobId"], status, details))
        elif not self._damage or "lost" not in details.get("reason", ""):
            for key, value in kind.details.items():
                if details.get(key) != value:
                    self.wrong.append("%s says %s=%s" % (execution["jobId"], key, details.get(key)))

    def _look(self):
        # The content of the flash at the end.
        found = job_kinds.installed(self.name)
        new = job_kinds.new(self.name, self.number)
        allowed = (new,) if self._job["status"] == "SUCCEEDED" else (self._old, new)
        if self._cancelled and self.name in _WITH_TRIAL and not self._restarted:
            allowed = (self._old,)
        # Only `resume` writes its effects one by one.
        if found not in allowed and (self.name != "resume" or len(allowed) == 1):
            self.wrong.append("the flash holds %s and not %s" % (str(found)[:60], str(new)[:60]))
        if not job_kinds.settled():
            self.wrong.append("a trial is pending: %s" % read("/trial"))
        if len(_journal_files()) > 6:
            self.wrong.append("unexpected files in the journal: %s" % _journal_files())
        with open(FLASH + "/data/after", "w") as file:
            file.write("after")
        os.remove(FLASH + "/data/after")


def _journal_files():
    try:
        return os.listdir(FLASH + _JOURNAL[:-1])
    except OSError:
        return []
