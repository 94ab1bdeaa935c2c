"""MiniStack's known deviations from AWS IoT: the only accepted differences between it and `ujobs serve`.

docs/ministack.md has them as a table; a test compares both."""

import re
from dataclasses import dataclass

from comparison import MISSING, Difference
from scenarios import SCENARIOS


@dataclass(frozen=True)
class Seen:
    """The differences between the records of scenarios that a gap explains.

    where: regular expression for Difference.where. lacks_it: the cloud that has nothing there. scenarios: names.
    """

    where: str
    lacks_it: str
    scenarios: tuple[str, ...] = tuple(SCENARIOS)

    def explains(self, difference: Difference) -> bool:
        """Whether the gap explains this difference."""
        return (
            difference.scenario in self.scenarios
            and re.fullmatch(self.where, difference.where) is not None
            and (difference.ministack == MISSING) == (self.lacks_it == "MiniStack")
            and (difference.serve == MISSING) == (self.lacks_it == "ujobs serve")
        )


@dataclass(frozen=True)
class Gap:
    """One gap. aws: AWS's behaviour. source: its documentation. ministack: MiniStack's behaviour. seen: None if no
    scenario shows the gap; gap_probes.py then has a probe for it."""

    name: str
    aws: str
    source: str
    ministack: str
    seen: Seen | None = None


GAPS = (
    Gap(
        "step timer over MQTT",
        "`stepTimeoutInMinutes` starts a timer, `approximateSecondsBeforeTimedOut` says how much is left",
        "API reference: StartNextPendingJobExecution",
        "start-next ignores the field, and replies lack the member",
        Seen(
            r"MQTT/(start-next|.*/get)/accepted to the board/\d+/payload/execution/approximateSecondsBeforeTimedOut",
            "MiniStack",
        ),
    ),
    Gap(
        "seconds left on the control plane",
        "DescribeJobExecution has `approximateSecondsBeforeTimedOut` until the execution ends",
        "API reference: JobExecution",
        "never",
        Seen(
            r"control plane/.*/DescribeJobExecution/execution/approximateSecondsBeforeTimedOut",
            "MiniStack", ("several_queued",),
        ),
    ),
    Gap(
        "forceCanceled of an execution",
        "DescribeJobExecution has `forceCanceled` after a forced cancellation",
        "API reference: JobExecution",
        "never",
        Seen(
            r"control plane/.*/DescribeJobExecution/execution/forceCanceled",
            "MiniStack", ("cancelled_while_it_runs", "execution_cancelled", "cancelled_while_the_power_is_off"),
        ),
    ),
    Gap(
        "forceCanceled of a job",
        "DescribeJob has `forceCanceled` true after a forced cancellation; false is not documented",
        "API reference: Job",
        "false after a cancellation that was not forced",
        Seen(r"control plane/.*/DescribeJob/job/forceCanceled", "ujobs serve", ("cancelled_while_queued",)),
    ),
    Gap(
        "IN_PROGRESS first",
        "`$next` is the oldest execution IN_PROGRESS, or else the oldest QUEUED; notify-next reports a change",
        "Developer Guide: Jobs device MQTT API operations, Jobs notifications",
        "`$next` is the oldest, whatever its status; no notification",
    ),
    Gap(
        "step timer of an update, and over HTTP",
        "`stepTimeoutInMinutes` does the same in an update, and in start-next over HTTP",
        "API reference: StartNextPendingJobExecution, UpdateJobExecution",
        "only an update over HTTP accepts it",
    ),
    Gap(
        "range of the step timeout",
        "1 to 10080 minutes, or -1 in UpdateJobExecution",
        "API reference: UpdateJobExecution",
        "any value is accepted",
    ),
    Gap(
        "discarded step timer",
        "-1 ends the step timer, and the execution continues",
        "API reference: UpdateJobExecution",
        "over HTTP -1 makes the execution TIMED_OUT",
    ),
    Gap(
        "earlier of two timers",
        "the step timer and the job's in-progress timer both run; the first to expire ends the execution",
        "Developer Guide: Job configurations, timeouts",
        "a step timer replaces the in-progress timer",
    ),
    Gap(
        "timeout notification",
        "a timeout is a change of the pending executions: notify, and notify-next if it was the first",
        "Developer Guide: Jobs notifications",
        "it becomes TIMED_OUT at the next request for it, without a notification",
    ),
    Gap(
        "retries",
        "`jobExecutionsRetryConfig` queues a new execution, with the next number, after a failure",
        "API reference: JobExecutionsRetryConfig",
        "the configuration is stored only",
    ),
    Gap(
        "replies without subscription",
        "a reply goes to the requester, subscribed or not",
        "Developer Guide: Jobs device MQTT API operations",
        "only to subscribers",
    ),
    Gap(
        "replies to others",
        "other clients cannot subscribe to replies",
        "Developer Guide: Jobs device MQTT API operations",
        "they can",
    ),
    Gap(
        "ten in a list",
        "GetPendingJobExecutions and notify list at most 10 executions (15 with scheduling)",
        "Developer Guide: Job limits",
        "all of them",
    ),
    Gap(
        "paging",
        "ListJobs and ListJobExecutionsForThing return at most `maxResults` entries, and a `nextToken` for the rest",
        "API reference: ListJobs, ListJobExecutionsForThing",
        "everything on one page",
    ),
    Gap(
        "limits of status details",
        "at most 10 pairs; keys of `[a-zA-Z0-9:_-]`, at most 128 characters; values of at most 1024 characters",
        "API reference: UpdateJobExecution, CancelJobExecution",
        "no limits",
    ),
    Gap(
        "InvalidTopic",
        "an unknown operation in a Jobs topic is rejected with InvalidTopic",
        "Developer Guide: Jobs MQTT and HTTPS APIs, ErrorCode",
        "no reply",
    ),
    Gap(
        "streams",
        "a request for blocks of a stream is answered or rejected",
        "Developer Guide: Using MQTT-based file delivery in devices",
        "no answer",
    ),
    Gap(
        "executions of a deleted thing",
        "they stay (according to MiniStack's source; AWS does not document it)",
        "MiniStack: services/iot.py, jobs_notify_thing",
        "DeleteThing deletes them",
    ),
    Gap(
        "client certificate",
        "MQTT on port 8883 requires one",
        "Developer Guide: Device communication protocols",
        "a client without a certificate can connect",
    ),
    Gap(
        "policies of thing groups",
        "a policy attached to a thing group applies to the certificates of its things",
        "API reference: AttachPolicy; Developer Guide: Static thing groups",
        "only policies attached to the certificate apply",
    ),
    Gap(
        "limits of the broker",
        "a payload of more than 128 KB, or a SUBSCRIBE of more than 8 filters, closes the connection",
        "General Reference: AWS IoT Core quotas",
        "neither does",
    ),
)


def closed(gap: str) -> str:
    """The message of a test that finds a gap closed."""
    return f"MiniStack has closed the gap {gap!r}: remove it from ministack_gaps.py, gap_probes.py, docs/ministack.md"


def table() -> str:
    """The gaps as a table for the documentation."""
    rows = [("gap", "AWS", "MiniStack"), ("---",) * 3, *((gap.name, gap.aws, gap.ministack) for gap in GAPS)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
