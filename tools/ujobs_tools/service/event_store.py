"""Which types of events are enabled, in the database; no rules."""

from ujobs_tools.service.database import Database


class EventStore(Database):
    """The table of event types; one that was never changed is not in it, and disabled."""

    def save_event_type(self, name: str, enabled: bool, now: float) -> None:
        self._execute(
            "INSERT INTO event_types VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET enabled = excluded.enabled, "
            "changed_at = excluded.changed_at", name, enabled, now, now,
        )

    def event_types(self) -> list[tuple[str, bool, float, float]]:
        """(name, whether it is enabled, time of its first change, time of its last change) of each type."""
        rows = self._all("SELECT name, enabled, created_at, changed_at FROM event_types")
        return [(row["name"], bool(row["enabled"]), row["created_at"], row["changed_at"]) for row in rows]

    def is_event_type_enabled(self, name: str) -> bool:
        return bool(self._value("SELECT enabled FROM event_types WHERE name = ?", name))
