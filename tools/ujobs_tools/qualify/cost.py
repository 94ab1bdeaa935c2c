"""Estimates, before a run, what it costs on AWS.

The prices are AWS's list prices for us-east-1 without the free tier ("AWS IoT Device Management pricing", "AWS IoT Core
pricing"). Prices change, so the estimate gives only the order of magnitude."""

from collections.abc import Sequence
from dataclasses import dataclass

from ujobs_tools.qualify.case import Case

_EXECUTION = 0.3  # cents: a "remote action" of AWS IoT Device Management
_MESSAGE = 0.0001  # cents: a message of up to 5 KB
_REGISTRY = 0.00015  # cents: an operation of the registry
_MESSAGES_EACH = 12  # per execution: start-next, updates, replies, notifications and their acknowledgements
_REGISTRY_CALLS = 20  # to create and remove thing, certificate and policy


@dataclass(frozen=True)
class Estimate:
    """executions: number of job executions. messages: number of MQTT messages. cents: cost, including the registry."""

    executions: int
    messages: int
    cents: float

    def in_words(self) -> str:
        """Describe the calls of the run and their cost."""
        return (
            f"{self.executions} job executions (CreateJob, DescribeJobExecution, CancelJob, DeleteJob), about "
            f"{self.messages} MQTT messages, one thing with certificate and policy "
            f"(CreateThing, CreateCertificateFromCsr, CreatePolicy): about {self.cents:.0f} US cents at list price"
        )


def estimate(cases: Sequence[Case], resets: int) -> Estimate:
    """Estimate the cost of cases. resets: value of --resets."""
    executions = sum(case.executions(resets) for case in cases)
    messages = executions * _MESSAGES_EACH
    return Estimate(
        executions, messages, executions * _EXECUTION + messages * _MESSAGE + _REGISTRY_CALLS * _REGISTRY
    )
