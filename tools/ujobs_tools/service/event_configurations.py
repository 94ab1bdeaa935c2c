"""Which events are published: UpdateEventConfigurations, DescribeEventConfigurations. At first none are."""

from collections.abc import Mapping
from typing import Any

from ujobs_tools.service import events
from ujobs_tools.service.core import Core
from ujobs_tools.service.errors import ApiError

TYPES = (
    "THING", "THING_GROUP", "THING_TYPE", "THING_GROUP_MEMBERSHIP", "THING_GROUP_HIERARCHY", "THING_TYPE_ASSOCIATION",
    events.JOB, events.EXECUTION, "POLICY", "CERTIFICATE", "CA_CERTIFICATE",
)


class EventConfigurations(Core):
    """Both operations; they raise ApiError."""

    def update_event_configurations(
        self, eventConfigurations: Mapping[str, Mapping[str, bool]] | None = None
    ) -> dict[str, Any]:
        """Enable or disable the types given. This service has the events of jobs and their executions."""
        wanted = {name: bool(given.get("Enabled")) for name, given in (eventConfigurations or {}).items()}
        for name, enabled in wanted.items():
            if enabled and name not in (events.JOB, events.EXECUTION):
                raise ApiError("NotImplemented", f"Events of type {name} are not implemented by this service.")
        with self.store.transaction():
            for name, enabled in wanted.items():
                self.store.save_event_type(name, enabled, self.clock())
        return {}

    def describe_event_configurations(self) -> dict[str, Any]:
        """All types, and when any of them was first and last changed."""
        stored = self.store.event_types()
        enabled = {name for name, is_enabled, _, _ in stored if is_enabled}
        reply: dict[str, Any] = {"eventConfigurations": {name: {"Enabled": name in enabled} for name in TYPES}}
        if stored:
            reply["creationDate"] = min(created_at for _, _, created_at, _ in stored)
            reply["lastModifiedDate"] = max(changed_at for _, _, _, changed_at in stored)
        return reply
