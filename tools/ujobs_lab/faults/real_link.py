"""Link faults on real sockets: boards under each fault profile, while the service is killed.

`ujobs serve` is killed with SIGKILL and started again with its data; real.Board.judge() checks the results.
"""

import contextlib
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ujobs_lab.faults.proxy import Profile
from ujobs_lab.faults.real import Board, Outcome, Service
from ujobs_tools.host.processes import NotReady, wait_until

_PATIENCE = 90.0  # seconds

PROFILES = {
    "cut-up-50": Profile(up=50), "cut-up-400": Profile(up=400), "cut-up-1100": Profile(up=1100),
    "cut-down-3": Profile(down=3), "cut-down-300": Profile(down=300), "cut-down-1500": Profile(down=1500),
    "silent-up-200": Profile(up=200, silent=True, connections=2),
    "silent-down-700": Profile(down=700, silent=True, connections=2),
    "one-byte": Profile(piece=1), "slow": Profile(piece=200, pause=0.05),
    "tls-cut-up-100": Profile(up=100), "tls-cut-down-600": Profile(down=600), "tls-cut-down-2500": Profile(down=2500),
    "tls-silent-up-1200": Profile(up=1200, silent=True), "tls-one-byte": Profile(piece=1),
}
"""What happens to which thing; those that begin with "tls" speak TLS."""


def run(names: Sequence[str]) -> list[Outcome]:
    """Run one thing for each of these PROFILES at the same time; return their outcomes."""
    with tempfile.TemporaryDirectory(prefix="ujobs-link-") as place, contextlib.ExitStack() as stack:
        service = stack.enter_context(Service(Path(place)))
        boards = [stack.enter_context(Board(name, Path(place) / name, service, PROFILES[name])) for name in names]
        # Kill it after the first effect, which is early for some boards and late for others.
        with contextlib.suppress(NotReady):
            wait_until(lambda: any(board.worked() for board in boards), "work", _PATIENCE)
        service.restart()
        with contextlib.suppress(NotReady):
            wait_until(lambda: all(board.ended() for board in boards), "end", _PATIENCE)
        return [board.judge(board.name) for board in boards]
