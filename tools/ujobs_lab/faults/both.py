"""Power loss and link faults at once: boards with random link faults are killed at random times, as is the service.

The seed decides which board has which fault profile and when each is killed; the rest depends on the processes.
"""

import contextlib
import random
import tempfile
import time
from pathlib import Path

from ujobs_lab.faults.proxy import Profile
from ujobs_lab.faults.real import Board, Outcome, Service
from ujobs_tools.host.processes import NotReady, wait_until

_PATIENCE = 120.0  # seconds
_POWER_CUTS = 4  # of each board
_RESTARTS = 2  # of the service


def run(seed: int, boards: int, span: float = 8.0) -> list[Outcome]:
    """Run one round with so many boards; return their outcomes, with the faults of each in words.

    span: seconds within which boards and service are killed.
    """
    chosen = random.Random(seed)
    names = [f"{'tls' if number % 3 == 0 else 'plain'}-{number}" for number in range(boards)]
    profiles = {name: _profile(chosen) for name in names}
    plan = [(chosen.random() * span, name) for name in names * _POWER_CUTS]
    plan += [(chosen.random() * span, "service") for _ in range(_RESTARTS)]
    with tempfile.TemporaryDirectory(prefix="ujobs-both-") as place, contextlib.ExitStack() as stack:
        service = stack.enter_context(Service(Path(place)))
        running = {
            name: stack.enter_context(Board(name, Path(place) / name, service, profile))
            for name, profile in profiles.items()
        }
        start = time.monotonic()
        for moment, name in sorted(plan):
            time.sleep(max(0.0, start + moment - time.monotonic()))
            if name == "service":
                service.restart()
            else:
                running[name].cut_power()
        with contextlib.suppress(NotReady):
            wait_until(lambda: all(board.ended() for board in running.values()), "end", _PATIENCE)
        return [board.judge(f"seed {seed}, {name}: {profiles[name]}") for name, board in running.items()]


def _profile(chosen: random.Random) -> Profile:
    return Profile(
        up=chosen.choice((None, chosen.randrange(3000))),
        down=chosen.choice((None, chosen.randrange(5000))),
        connections=chosen.randrange(1, 8),
        silent=chosen.random() < 0.3,
        piece=chosen.choice((1, 7, 200, 65536)),
    )
