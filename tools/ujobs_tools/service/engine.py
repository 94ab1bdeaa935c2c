"""The Jobs service without any transport: states, versions, timers, notifications, jobs, things, thing groups,
certificates, fleet provisioning, streams.

Synchronous and single-threaded; it opens no socket and never sleeps. Time comes only from the injected clock. All state
is in the store: a service that is killed at any moment continues with everything that it has acknowledged."""

from typing import Any

from ujobs_tools.service import model
from ujobs_tools.service.device_operations import DeviceOperations
from ujobs_tools.service.errors import existing
from ujobs_tools.service.event_configurations import EventConfigurations
from ujobs_tools.service.job_control import JobControl
from ujobs_tools.service.managed_templates import ManagedTemplates
from ujobs_tools.service.provisioning import Provisioning
from ujobs_tools.service.streams import Streams
from ujobs_tools.service.tags import Tags


class Engine(DeviceOperations, JobControl, Provisioning, ManagedTemplates, Streams, Tags, EventConfigurations):
    """`Engine(store, clock, region="us-east-1", account="000000000000")`; see Core for these and for the hooks.

    The caller runs `expire()` when `next_deadline()` has come, and reads the deadline again after each on_change.
    """

    def next_deadline(self) -> float | None:
        """When the next timer of an execution expires or the next step of a job's rollout or schedule is due, in epoch
        seconds; None if nothing is due. Cheap."""
        moments = (self.store.next_deadline(), self.store.next_due_job())
        return min((moment for moment in moments if moment is not None), default=None)

    def expire(self) -> None:
        """Set executions whose step or in-progress timer has expired to TIMED_OUT, and advance rollouts and schedules.

        The timer that expires first applies (UpdateJobExecution, TimeoutConfig).
        """
        due = self.store.due(self.clock())
        if due:
            with self._change(execution.thing for execution in due) as now:
                for execution in due:
                    self._end(execution, model.TIMED_OUT, now)
        self.advance_jobs()

    def time_out(self, thing: str) -> None:
        """Set the thing's IN_PROGRESS execution to TIMED_OUT, as if its timer had expired. Raises ApiError
        ResourceNotFound if there is none."""
        front = next(iter(self.store.pending(thing, 1)), None)
        execution = existing(
            front if front and front.status == model.IN_PROGRESS else None, f"No execution of {thing} is IN_PROGRESS."
        )
        with self._change([thing]) as now:
            self._end(execution, model.TIMED_OUT, now)

    def history(self, thing: str, job_id: str, execution_number: int | None = None) -> list[dict[str, Any]]:
        """All versions of the execution (default: the latest), oldest first: versionNumber, status, statusDetails
        if set, at (epoch seconds). AWS has no such call. Raises ApiError ResourceNotFound."""
        execution = self._known_execution(thing, job_id, execution_number)
        return [
            {"versionNumber": version, "status": status}
            | ({} if details is None else {"statusDetails": details})
            | {"at": at}
            for version, status, details, at in self.store.history(execution)
        ]

    def latest_time(self) -> float | None:
        """The time of the latest change of a stored job or execution. After a restart, a clock that runs faster than
        real time must continue from there, or time would run backwards."""
        return self.store.latest_time()
