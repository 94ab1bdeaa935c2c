"""Deep sleep: the board wakes, runs the waiting job, and reports why it woke."""

import time

from ujobs_tools.aws.executions import details_of
from ujobs_tools.deploy.provision import CONNECTED
from ujobs_tools.qualify.bench import Bench
from ujobs_tools.qualify.case import Case, Unexpected

_ASLEEP = 5000  # ms
_PATIENCE = 120.0  # seconds


def _slept(bench: Bench) -> str:
    account, board = bench.account, bench.board
    since = len(board.lines)
    account.expect(account.create({"operation": "sleep", "ms": _ASLEEP}), "SUCCEEDED")
    board.wait_for("qualify: sleeps", _PATIENCE, since)
    wakes = time.monotonic() + _ASLEEP / 1000
    job = account.create({"operation": "facts"})
    board.wait_for(f"job {job}: SUCCEEDED", _PATIENCE, since)
    bench.figure("wake to done, ms", max(0.0, 1000 * (time.monotonic() - wakes)))
    details = details_of(account.expect(job, "SUCCEEDED"))
    if details.get("cause") != "DEEPSLEEP_RESET":
        raise Unexpected(f"woke by {details.get('cause')}")
    if not any(CONNECTED in line for line in board.lines[since:]):
        raise Unexpected("it has not connected again")
    return "woke by DEEPSLEEP_RESET, connected, and ran the waiting job"


CASES = (
    Case("updates.deep-sleep", "deep sleep of 5 s: the board wakes automatically and runs the waiting job", _slept,
         executions=lambda resets: 2),
)
