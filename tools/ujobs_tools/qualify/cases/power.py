"""Resets at random times during counting jobs: by reset line, machine.reset() and watchdog; and losses of the network.

Afterwards the cloud's history and the marks in the board's flash must agree: nothing is lost or done twice."""

from collections.abc import Callable

from ujobs_tools.qualify.bench import Bench
from ujobs_tools.qualify.case import RESET_LINE, WIFI, Case, Unexpected, share
from ujobs_tools.qualify.tally import CHECKPOINTED, ONCE, PLAIN, Counted, disagreement

_UNITS = 10
_UNIT = 50  # ms
_LONGEST = _UNITS * _UNIT / 1000 * 1.6  # seconds; some resets happen before the job starts or after it has ended
_PATIENCE = 180.0  # seconds
_KINDS = (CHECKPOINTED, CHECKPOINTED, PLAIN, ONCE)


def _unsent(bench: Bench) -> str:
    job = bench.account.create({"operation": "unsent"})
    bench.account.expect(job, "SUCCEEDED", _PATIENCE, attempt="1")
    marks = bench.marks().get(job, "")
    if marks != "se":
        raise Unexpected(f"doubled: the handler's marks in flash are {marks!r}")
    return "the result came from flash, the handler ran once"


def _random_resets(how: str, parts: int) -> Callable[[Bench], str]:
    """how: "line", or a value of `reset` in device/app.py. parts: the case gets one of `parts` parts of --resets."""

    def run(bench: Bench) -> str:
        account = bench.account
        random = bench.random(how)
        count = share(bench.choices.resets, parts)
        jobs, found = [], {}
        for number in range(count):
            kind = random.choice(_KINDS)
            moment = random.uniform(0, _LONGEST)
            document: dict[str, object] = {"operation": kind, "to": _UNITS, "pause": _UNIT}
            if how != "line":
                document["reset"] = [how, round(1000 * moment)]
            job = Counted(account.create(document), kind, _UNITS)
            if how == "line":
                bench.reset_after(moment, _PATIENCE)
            jobs.append(job)
            found[job.job_id] = account.wait(job.job_id, _PATIENCE)
            bench.say(f"         {number + 1} of {count}: {kind}, {1000 * moment:.0f} ms, "
                      f"{found[job.job_id]['status']}")
        marks = bench.marks()
        wrong = {
            job.job_id: what for job in jobs
            if (what := disagreement(job, found[job.job_id], account.history(job.job_id), marks.get(job.job_id, "")))
        }
        lost = sum(what.startswith("lost") for what in wrong.values())
        bench.figure("resets", count)
        bench.figure("lost", lost)
        bench.figure("doubled", len(wrong) - lost)
        if wrong:
            raise Unexpected(f"{lost} lost, {len(wrong) - lost} doubled: {wrong}")
        return f"{count} times: 0 lost, 0 doubled"

    return run


_AGREE = "cloud and flash agree: 0 lost, 0 doubled"
CASES = (
    Case("power.unsent", "reset when the result is in flash but not sent: it is reported, without a second run",
         _unsent),
    *(
        Case(f"power.{name}", f"{what} at random times of counting jobs; {_AGREE}", _random_resets(how, parts), needs,
             lambda resets, parts=parts: share(resets, parts))
        for name, what, how, parts, needs in (
            ("line", "hard resets by the reset line", "line", 1, (RESET_LINE,)),
            ("machine", "machine.reset()", "reset", 2, ()),
            ("watchdog", "the watchdog's reset", "watchdog", 10, ()),
            ("network", "Wi-Fi off for 2 s", "network", 5, (WIFI,)),
        )
    ),
)
