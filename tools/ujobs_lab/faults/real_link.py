"""The link broken on real sockets: boards in weathers of all kinds, and the service killed while they work.

`ujobs serve` is killed with SIGKILL and started again on its data; what came of it, real.Board.judge() says.
"""

import contextlib
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ujobs_lab.faults.proxy import Weather
from ujobs_lab.faults.real import Board, Outcome, Service
from ujobs_tools.host.processes import NotReady, wait_until

_PATIENCE = 90.0  # seconds

WEATHERS = {
    "cut-up-50": Weather(up=50), "cut-up-400": Weather(up=400), "cut-up-1100": Weather(up=1100),
    "cut-down-3": Weather(down=3), "cut-down-300": Weather(down=300), "cut-down-1500": Weather(down=1500),
    "silent-up-200": Weather(up=200, silent=True, connections=2),
    "silent-down-700": Weather(down=700, silent=True, connections=2),
    "one-byte": Weather(piece=1), "slow": Weather(piece=200, pause=0.05),
    "tls-cut-up-100": Weather(up=100), "tls-cut-down-600": Weather(down=600), "tls-cut-down-2500": Weather(down=2500),
    "tls-silent-up-1200": Weather(up=1200, silent=True), "tls-one-byte": Weather(piece=1),
}
"""What happens to which thing; those that begin with "tls" speak TLS."""


def run(names: Sequence[str]) -> list[Outcome]:
    """Let the things named, some of WEATHERS, work at the same time; return what became of each."""
    with tempfile.TemporaryDirectory(prefix="ujobs-link-") as place, contextlib.ExitStack() as stack:
        service = stack.enter_context(Service(Path(place)))
        boards = [stack.enter_context(Board(name, Path(place) / name, service, WEATHERS[name])) for name in names]
        # When the first work is done, which is early for some and late for others.
        with contextlib.suppress(NotReady):
            wait_until(lambda: any(board.worked() for board in boards), "work", _PATIENCE)
        service.restart()
        with contextlib.suppress(NotReady):
            wait_until(lambda: all(board.ended() for board in boards), "end", _PATIENCE)
        return [board.judge(board.name) for board in boards]
