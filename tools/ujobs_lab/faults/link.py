"""Link faults: `python -m ujobs_lab.faults.link`, part of `make faults`.

In memory and fast time, a session with every kind of job is cut after each of its bytes, in either direction, with and
without notice. It also runs under random fault profiles, some of which reset the board. A few of both run on real
sockets, together with power cuts. Each time every job must end exactly once, no handler may do its work twice unless a
reset stopped it, and the agent must keep working.
"""

import random
import sys
import time
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from ujobs_lab.faults import both, real, real_link, sessions

PROFILES: dict[str, dict[str, Any]] = {
    "one byte at a time": {"piece": 1},
    "messages late": {"delay": 25},
    "topics reordered": {"delay": 8, "reorder": True},
    "messages in no order": {"delay": 25, "shuffle": True},
    "messages twice": {"twice": 0.5, "delay": 15, "reorder": True},
    "messages lost": {"lose": 0.3},
    "old replies after a reconnect": {"stale": True, "outages": 6},
    "broker restarts": {"outages": 8},
    "stalls": {"stalls": 10},
    "half-open links": {"half_open": 6},
    "all at once": {
        "piece": 7, "delay": 12, "shuffle": True, "twice": 0.2, "lose": 0.15, "stale": True, "outages": 3, "stalls": 3,
        "half_open": 2,
    },
    "resets": {"resets": 2},
    "resets and all at once": {
        "piece": 7, "delay": 12, "shuffle": True, "twice": 0.2, "lose": 0.15, "stale": True, "outages": 3, "stalls": 3,
        "half_open": 2, "resets": 2,
    },
}
"""Random faults by name; the seed of each session decides when and where they occur."""

_SEEDS = 200  # sessions of each profile, unless a sample is given
_ROUNDS = 5  # rounds of power and link faults on real sockets, 6 boards each
_SHOWN = 5  # failures shown in full


def cuts(up: int, down: int) -> dict[str, list[dict[str, Any]]]:
    """Every cut of a session of so many bytes, by type of cut."""
    kinds = {}
    for direction, size, name in (("up", up, "from the board"), ("down", down, "to the board")):
        for noticed, how in ((True, "reset"), (False, "half-open")):
            kinds[f"cut {name}, {how}"] = [{"cut": [direction, at, noticed]} for at in range(size)]
    return kinds


def plan(sample: int | None, seed: int, random_only: bool = False) -> dict[str, list[dict[str, Any]]]:
    """The sessions to run in memory, by type of fault; see `run`."""
    chosen = random.Random(seed)
    plans: dict[str, list[dict[str, Any]]] = {"nothing wrong": [{}]}
    if not random_only:
        whole = sessions.run([{}])[0]
        if whole.wrong:
            return plans  # Bytes that were not written cannot be lost.
        plans |= cuts(whole.up, whole.down)
    if sample is not None:
        plans = {kind: chosen.sample(faults, min(sample, len(faults))) for kind, faults in plans.items()}
    for kind, faults in PROFILES.items():
        seeds = chosen.sample(range(1 << 30), _SEEDS if sample is None else sample)
        plans[kind] = [faults | {"seed": number} for number in seeds]
    return plans


def run(sample: int | None, seed: int, random_only: bool) -> int:
    """Run all sessions, and print a line for each type; return the number of failures.

    sample: sessions of each type; None: every cut, and 200 sessions of each profile. seed: of all random choices.
    random_only: without the cuts, which are the same for every seed.
    """
    failures: list[sessions.Outcome | real.Outcome] = []

    def note(kind: str, outcomes: Sequence[sessions.Outcome | real.Outcome], seconds: float) -> None:
        failed = [outcome for outcome in outcomes if outcome.wrong]
        failures.extend(failed)
        print(f"{kind}: {len(outcomes)} tried, {len(failed)} failed, {seconds:.0f} s", flush=True)

    for kind, faults in plan(sample, seed, random_only).items():
        start = time.monotonic()
        note(kind, sessions.run(faults), time.monotonic() - start)
    names = list(real_link.PROFILES)
    if sample is not None:
        names = random.Random(seed).sample(names, min(sample, len(names)))
    start = time.monotonic()
    note("real sockets, and a restart", real_link.run(names), time.monotonic() - start)
    start = time.monotonic()
    outcomes = [outcome for number in range(_ROUNDS if sample is None else 1) for outcome in both.run(seed + number, 6)]
    note("power and link at once, real", outcomes, time.monotonic() - start)
    for outcome in failures[:_SHOWN]:
        print(outcome.faults, *outcome.wrong, *outcome.log, sep="\n  ")
    return len(failures)


def main(
    sample: Annotated[int | None, typer.Option(min=1, help="Sessions of each type. Default: all.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of all random choices.")] = 1,
    random_only: Annotated[bool, typer.Option("--random-only", help="Only sessions that depend on the seed.")] = False,
) -> None:
    """Inject link faults of every type, and print the failures."""
    sys.exit(bool(run(sample, seed, random_only)))


if __name__ == "__main__":
    typer.run(main)
