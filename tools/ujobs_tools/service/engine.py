"""The Jobs service without any transport: states, versions, timers, notifications, jobs, things, thing groups,
certificates, fleet provisioning, streams.

Synchronous and single-threaded; it opens no socket and never sleeps. Time comes only from the injected clock, and all
that it knows is in the store: a service killed at any moment goes on with what it had acknowledged."""

from typing import Any

from ujobs_tools.service import model
from ujobs_tools.service.device_operations import DeviceOperations
from ujobs_tools.service.errors import existing
from ujobs_tools.service.job_control import JobControl
from ujobs_tools.service.managed_templates import ManagedTemplates
from ujobs_tools.service.provisioning import Provisioning
from ujobs_tools.service.streams import Streams


class Engine(DeviceOperations, JobControl, Provisioning, ManagedTemplates, Streams):
    """`Engine(store, clock, region="us-east-1", account="000000000000")`; see Core for these and for the hooks.

    Whoever runs it calls `expire()` when `next_deadline()` has come, and asks for the deadline again after on_change.
    """

    def next_deadline(self) -> float | None:
        """The epoch seconds at which the next timer of an execution runs out, or a job goes on by its rate or schedule;
        None while nothing is to come. Cheap."""
        moments = (self.store.next_deadline(), self.store.next_due_job())
        return min((moment for moment in moments if moment is not None), default=None)

    def expire(self) -> None:
        """Make TIMED_OUT every execution whose step or in-progress timer has run out, and let jobs go on.

        The effective timer is the one of the two that ends first (UpdateJobExecution, TimeoutConfig).
        """
        due = self.store.due(self.clock())
        if due:
            with self._change(execution.thing for execution in due) as now:
                for execution in due:
                    self._end(execution, model.TIMED_OUT, now)
        self.advance_jobs()

    def time_out(self, thing: str) -> None:
        """Make the thing's execution that is IN_PROGRESS TIMED_OUT, as if its timer had run out now. Raises ApiError
        ResourceNotFound when there is none."""
        front = next(iter(self.store.pending(thing, 1)), None)
        execution = existing(
            front if front and front.status == model.IN_PROGRESS else None, f"No execution of {thing} is IN_PROGRESS."
        )
        with self._change([thing]) as now:
            self._end(execution, model.TIMED_OUT, now)

    def history(self, thing: str, job_id: str, execution_number: int | None = None) -> list[dict[str, Any]]:
        """Every version the execution (default: the latest) has had, oldest first: versionNumber, status, statusDetails
        if set, at (epoch seconds). AWS has no such call. Raises ApiError ResourceNotFound."""
        execution = self._known_execution(thing, job_id, execution_number)
        return [
            {"versionNumber": version, "status": status}
            | ({} if details is None else {"statusDetails": details})
            | {"at": at}
            for version, status, details, at in self.store.history(execution)
        ]

    def latest_time(self) -> float | None:
        """The latest time at which a stored job or execution changed: a clock that runs faster than real time has to go
        on from there after a restart, or time would run backwards."""
        return self.store.latest_time()
