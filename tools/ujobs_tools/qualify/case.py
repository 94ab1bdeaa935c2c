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
    RESET_LINE: "no RTS line reaches the board's EN: give --reset-command, such as one that switches its USB power",
    TWO_PARTITIONS: "the board's firmware has one application partition",
    LOCAL: "needs a local endpoint, and the cloud is AWS",
    FIRMWARE: "no image: give --firmware",
    FILES: "needs a place for files: give --bucket and --role-arn",
}
"""What a case can need, and why it is skipped if that is missing."""


def share(resets: int, parts: int) -> int:
    """How many of --resets a case takes that gets one of so many parts, at least one."""
    return -(-resets // parts)


class Unexpected(Exception):
    """The board or the cloud did not do what the case expects; the text says what happened instead."""


@dataclass(frozen=True)
class Case:
    """name: group and case, such as "jobs.retry". expected: in words. run: does it, and returns what was seen in words.
    needs: of NEEDS. executions: how many job executions it takes, which AWS charges for; a function of --resets."""

    name: str
    expected: str
    run: Callable[["Bench"], str]
    needs: tuple[str, ...] = ()
    executions: Callable[[int], int] = lambda resets: 1


@dataclass
class Outcome:
    """How a case ended. result: PASSED, FAILED or SKIPPED. seen: in words, for a skipped one why. figures: by name,
    which has the unit. seconds: how long it took. console: the board's last lines, of a case that failed."""

    name: str
    expected: str
    result: str
    seen: str
    figures: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    console: list[str] = field(default_factory=list)
