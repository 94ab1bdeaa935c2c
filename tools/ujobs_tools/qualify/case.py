"""A case of the programme, and its outcome."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ujobs_tools.qualify.bench import Bench

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"

LEAST_HEAP = "least free heap, bytes"
SENT, RECEIVED = "bytes sent per job, before TLS", "bytes received per job, before TLS"
STREAM = "KB/s by stream"

WIFI = "Wi-Fi"
RESET_LINE = "reset line"
TWO_PARTITIONS = "two partitions"
LOCAL = "local endpoint"
FILES = "files in the cloud"
FIRMWARE = "firmware image"
NEEDS = {
    WIFI: "the board uses no Wi-Fi: give --wifi-ssid",
    RESET_LINE: "RTS does not reset the board: give --reset-command, such as one that switches its USB power",
    TWO_PARTITIONS: "the board's firmware has one application partition",
    LOCAL: "needs a local endpoint, and the cloud is AWS",
    FIRMWARE: "no image: give --firmware",
    FILES: "needs a place for files: give --bucket and --role-arn",
}
"""The needs of cases, and the reason for skipping a case if a need is not met."""


def share(resets: int, parts: int) -> int:
    """Return the number of resets of a case that gets one of `parts` parts of --resets; at least one."""
    return -(-resets // parts)


class Unexpected(Exception):
    """The board or the cloud behaved differently than the case expects; the text says how."""


@dataclass(frozen=True)
class Case:
    """A case. name: group and case, such as "jobs.retry". expected: expected behaviour, as text. run: runs the case;
    returns the observed behaviour, as text. needs: keys of NEEDS. executions: number of job executions, which AWS
    charges for, as a function of --resets."""

    name: str
    expected: str
    run: Callable[["Bench"], str]
    needs: tuple[str, ...] = ()
    executions: Callable[[int], int] = lambda resets: 1


@dataclass
class Outcome:
    """The outcome of a case. result: PASSED, FAILED or SKIPPED. seen: observed behaviour, or the reason for skipping.
    figures: measurements, by a name that includes the unit. seconds: duration. console: the board's last lines, if the
    case failed."""

    name: str
    expected: str
    result: str
    seen: str
    figures: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    console: list[str] = field(default_factory=list)
