"""Runs the test cases with power cuts on MicroPython; ujobs_lab.faults.power starts it and reads its output.

Argument: a JSON object: `rounds` of the session, `pairs` of cuts for each job type, `sample` (number of test cases, and
of each check; null: all), `seed`, `part` and `parts` (this process runs every parts-th case), `only` (the name of a
case, or its first words; null: all), `random_only` (whether to leave out the cases that are the same for every seed).

Prints a line "# COUNT" of its test cases, "> NAME" before each, "! ERROR" for each error and "| LOG" with it, and
"= DONE" at the end.
"""

import json
import random
import sys

import job_kinds
import vfs
from cases import Case
from nor_flash import ALL, BLOCK_SIZE, HALF, NOTHING, NorFlash, Power

from board import FLASH

_BLOCKS = 48
_LANDS = ("nothing", "half", "all")
_MISBEHAVING = 1000  # number of the first of them
_MISBEHAVING_CUTS = 60  # of each kind
_LATE_CUTS = 30  # of each kind
_LATE = 40 * 60  # seconds; more than any step timeout of the session's handlers
_RECOVERY = 40  # approximate number of moments from the boot of a recovering board


class Baseline:
    """A job without a cut: flash and time before it, and the moments at which the power could fail.

    sectors: of the application partitions before it. steps: at which it could be cancelled.
    """

    def __init__(self, name: str, number: int, before: bytes, began: int, sectors: dict):
        self.name = name
        self.number = number
        self.before = before
        self.began = began
        self.sectors = sectors
        self._finished = self.again()
        self._finished.run()
        self.moments, self.whole = self._finished.moments, self._finished.whole
        self.steps = self._finished.steps

    def leave(self) -> "tuple[bytearray, int, dict]":
        """Return flash, time and partitions after the job, once: they are not kept in memory."""
        board, self._finished = self._finished.board, None
        return board.content, board.now, board.sectors

    def again(self, cuts: list = (), damage: "tuple | None" = None, off: int = 0, cancel: int = 0) -> Case:
        """Return a test case: the same job with cuts, cancelled at a step."""
        return Case(self.name, self.number, self.before, self.began, cuts, damage, off, cancel, self.sectors)

    def text(self, check: str, cuts: list = (), rest: str = "", cancel: int = 0) -> str:
        """Return the name of the test case."""
        rest = " @%d" % cancel + rest if cancel else rest
        cuts = ["%d:%s" % (moment, _LANDS[lands]) for moment, lands in cuts]
        return " ".join([check, self.name, str(self.number)] + cuts) + rest

    def cuts(self):
        """Yield every moment with each possible extent of its operation."""
        for moment in range(1, self.moments + 1):
            for lands in (NOTHING, ALL) if moment in self.whole else (NOTHING, HALF, ALL):
                yield moment, lands


def fresh_flash(blocks: int = _BLOCKS) -> bytearray:
    """Return a formatted flash with the files that the session's jobs need."""
    content = bytearray(b"\xff" * (BLOCK_SIZE * blocks))
    device = NorFlash(content, Power())
    vfs.VfsLfs2.mkfs(device)
    vfs.mount(vfs.VfsLfs2(device), FLASH)
    job_kinds.first_files()
    vfs.umount(FLASH)
    device.let_go()
    return content


def session(rounds: int) -> "tuple[list[Baseline], list[Baseline]]":
    """Return the baselines of a session, each with the flash that the previous one left; and those of misbehaving
    handlers, each with the flash after the first round."""
    content, now, sectors, ordinary, misbehaviours = fresh_flash(), 0, {}, [], []
    for number in range(rounds * len(job_kinds.SESSION)):
        baseline = Baseline(job_kinds.SESSION[number % len(job_kinds.SESSION)], number, content, now, sectors)
        content, now, sectors = baseline.leave()
        ordinary.append(baseline)
        if number == len(job_kinds.SESSION) - 1:
            misbehaviours = [
                Baseline(name, _MISBEHAVING + index, content, now, sectors)
                for index, name in enumerate(job_kinds.MISBEHAVING)
            ]
    for baseline in misbehaviours:
        baseline.leave()
    return ordinary, misbehaviours


def once(baselines: list):
    """Each job of the session, cut at every moment."""
    for baseline in baselines:
        yield baseline.text("once"), baseline, (), None, 0
        for cut in baseline.cuts():
            yield baseline.text("once", (cut,)), baseline, (cut,), None, 0


def twice(baselines: list, pairs: int):
    """Each job type, cut at a random moment, and again while the board recovers."""
    for baseline in baselines:
        for _ in range(pairs):
            cuts = [(random.randint(1, most), random.randint(NOTHING, ALL)) for most in (baseline.moments, _RECOVERY)]
            yield baseline.text("twice", cuts), baseline, cuts, None, 0


def late(baselines: list):
    """Each job type, cut at random moments; the step timer has expired when the power returns."""
    for baseline in baselines:
        for cut in random_cuts(baseline, _LATE_CUTS):
            yield baseline.text("late", (cut,)), baseline, (cut,), None, 0


def random_cuts(baseline: Baseline, most: int) -> list:
    """Return at most so many of all cuts."""
    return choose(list(baseline.cuts()), most)


def misbehaving(baselines: list):
    """Misbehaving handlers, cut at random moments."""
    for baseline in baselines:
        yield baseline.text("misbehaving"), baseline, (), None, 0
        for cut in random_cuts(baseline, _MISBEHAVING_CUTS):
            yield baseline.text("misbehaving", (cut,)), baseline, (cut,), None, 0


def damaged(baselines: list):
    """Each bit of the journal's files flipped, and each file truncated, in every state that they can have."""
    seen = set()
    for baseline in baselines:
        if baseline.name not in ("fail", "resume"):
            continue
        for moment in sorted(baseline.whole):
            cuts = ((moment, NOTHING),)
            probe = baseline.again(cuts)
            probe.run()
            for name, data in probe.journal.items():
                if (name, data) in seen:
                    continue
                seen.add((name, data))
                for position in range(len(data)):
                    for bit in (None, 0, 1, 2, 3, 4, 5, 6, 7):
                        damage = (name, position, bit)
                        yield baseline.text("damaged", cuts, " %s %s %s" % damage), baseline, cuts, damage, 0


def cancelled(baselines: list):
    """Each job of the session, cancelled at every step; alone, and with a power cut at a random moment soon after."""
    for baseline in baselines:
        for step in range(1, baseline.steps + 1):
            yield baseline.text("cancel", (), "", step), baseline, (), None, step
            cuts = ((random.randint(1, _RECOVERY), random.randint(NOTHING, ALL)),)
            yield baseline.text("cancel", cuts, "", step), baseline, cuts, None, step


def choose(cases: list, most: int) -> list:
    """Return at most so many of the test cases."""
    while len(cases) > most:
        # Their order does not matter.
        cases[random.randrange(len(cases))] = cases[-1]
        cases.pop()
    return cases


def parse(text: str, baselines: list) -> tuple:
    """Return the test case with this name."""
    words = text.split(" ")
    baseline = next(one for one in baselines if [one.name, str(one.number)] == words[1:3])
    cancel = sum([int(word[1:]) for word in words[3:] if word[0] == "@"])
    cuts = [word.split(":") for word in words[3:] if ":" in word]
    cuts = [(int(moment), _LANDS.index(lands)) for moment, lands in cuts]
    damage = [word for word in words[3:] if ":" not in word and word[0] != "@"]
    if damage:
        damage = (damage[0], int(damage[1]), None if damage[2] == "None" else int(damage[2]))
    return text, baseline, cuts, damage or None, cancel


def choose_all(ordinary: list, misbehaviours: list, options: dict) -> list:
    """Return the test cases of this process."""
    # Seed immediately before the choices, because each boot of a board also seeds the generator.
    random.seed(options["seed"])
    first = ordinary[: len(job_kinds.SESSION)]
    checks = [list(twice(first, options["pairs"])), list(late(first)), list(misbehaving(misbehaviours))]
    checks.append(list(cancelled(first)))
    if options["random_only"]:
        checks = [[one for one in cases if one[2]] for cases in checks]  # without a cut nothing is random
    else:
        checks += [list(once(ordinary)), list(damaged(first))]
    random.seed(options["seed"])
    chosen = []
    for cases in checks:
        if options["only"]:
            cases = [one for one in cases if (one[0] + " ").startswith(options["only"] + " ")]
        most = len(cases) if options["sample"] is None else options["sample"] // len(checks)
        chosen += choose(cases, most)
    return chosen[options["part"] :: options["parts"]]


def main(options: dict) -> None:
    ordinary, misbehaviours = session(options["rounds"])
    if len((options["only"] or "").split(" ")) > 2:
        cases = [parse(options["only"], ordinary + misbehaviours)]
    else:
        cases = choose_all(ordinary, misbehaviours, options)
    print("# %d" % len(cases))
    for text, baseline, cuts, damage, cancel in cases:
        print("> " + text)
        one = baseline.again(cuts, damage, _LATE if text.startswith("late") else 0, cancel)
        for wrong in one.run():
            print("! " + wrong)
        if one.wrong or len(cases) == 1:
            print("\n".join(["| " + line for line in one.board.log]))
    print("= DONE")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
