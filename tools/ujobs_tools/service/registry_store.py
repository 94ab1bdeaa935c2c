"""Things, certificates and their attachments in the database; no rules."""

import sqlite3
from dataclasses import asdict, dataclass, fields

from ujobs_tools.service.database import Database, decode


@dataclass(slots=True)
class Thing:
    """A thing of the registry. id: its UUID."""

    name: str
    id: str
    attributes: dict[str, str]
    version: int = 1
    thing_type: str | None = None


@dataclass(slots=True)
class ThingType:
    """A thing type. id: its UUID. searchable: names of attributes. deprecated_at: None while it can get things."""

    name: str
    id: str
    description: str | None
    searchable: list[str]
    created_at: float
    deprecated_at: float | None = None


@dataclass(slots=True)
class Certificate:
    """A device certificate. id: SHA-256 of its DER form in hex. status: ACTIVE, INACTIVE, REVOKED, or
    PENDING_ACTIVATION before RegisterThing."""

    id: str
    pem: str
    status: str
    created_at: float
    last_updated_at: float


_CERTIFICATE = [field.name for field in fields(Certificate)]


def _thing(row: sqlite3.Row) -> Thing:
    return Thing(**{**row, "attributes": decode(row["attributes"])})


class RegistryStore(Database):
    """The registry's tables."""

    def add_thing(self, thing: Thing) -> None:
        self._insert("things", **asdict(thing))

    def save_thing(self, thing: Thing) -> None:
        self._update("things", "name", **asdict(thing))

    def thing(self, name: str) -> Thing | None:
        row = self._one("SELECT * FROM things WHERE name = ?", name)
        return None if row is None else _thing(row)

    def delete_thing(self, name: str) -> None:
        self._execute("DELETE FROM things WHERE name = ?", name)

    def things(
        self, after: str, limit: int, attribute: tuple[str, str] | None, prefix: bool = False,
        thing_type: str | None = None,
    ) -> list[Thing]:
        """Things sorted by name, starting after `after`; with attribute (name, value), only those that have it, or with
        `prefix` a value that begins so; with a type, only those that have it."""
        name, value = attribute or (None, None)
        rows = self._all(
            "SELECT * FROM things WHERE name > ? AND coalesce(thing_type, '') = coalesce(?, thing_type, '') "
            "AND (? IS NULL OR EXISTS (SELECT 1 FROM json_each(attributes) WHERE json_each.key = ? "
            "AND (json_each.value = ? OR ? AND instr(json_each.value, ?) = 1))) ORDER BY name LIMIT ?",
            after, thing_type, name, name, value, prefix, value, limit,
        )
        return [_thing(row) for row in rows]

    def add_thing_type(self, thing_type: ThingType) -> None:
        self._insert("thing_types", **asdict(thing_type))

    def save_thing_type(self, thing_type: ThingType) -> None:
        self._update("thing_types", "name", **asdict(thing_type))

    def thing_type(self, name: str) -> ThingType | None:
        row = self._one("SELECT * FROM thing_types WHERE name = ?", name)
        return None if row is None else ThingType(**{**row, "searchable": decode(row["searchable"])})

    def thing_type_names(self) -> list[str]:
        return self._column("SELECT name FROM thing_types")

    def delete_thing_type(self, name: str) -> None:
        self._execute("DELETE FROM thing_types WHERE name = ?", name)

    def has_type(self, name: str) -> bool:
        """Whether a thing has this type."""
        return self._one("SELECT 1 FROM things WHERE thing_type = ? LIMIT 1", name) is not None

    def add_certificate(self, certificate: Certificate) -> None:
        self._insert("certificates", **asdict(certificate))

    def certificates(self, ascending: bool, after: int | None, limit: int) -> list[tuple[int, Certificate]]:
        """(sequence, certificate), in the order of their creation or the reverse, starting after this one."""
        rows = self._all(
            f"SELECT rowid AS sequence, * FROM certificates WHERE ? IS NULL OR rowid {'>' if ascending else '<'} ? "
            f"ORDER BY rowid {'ASC' if ascending else 'DESC'} LIMIT ?",
            after, after, limit,
        )
        return [(row["sequence"], Certificate(**{name: row[name] for name in _CERTIFICATE})) for row in rows]

    def certificate(self, certificate_id: str) -> Certificate | None:
        row = self._one("SELECT * FROM certificates WHERE id = ?", certificate_id)
        return None if row is None else Certificate(**dict(row))

    def save_certificate_status(self, certificate_id: str, status: str, now: float) -> None:
        self._update("certificates", "id", id=certificate_id, status=status, last_updated_at=now)

    def delete_certificate(self, certificate_id: str) -> None:
        self._execute("DELETE FROM certificates WHERE id = ?", certificate_id)

    def attach_thing(self, certificate_id: str, thing: str) -> None:
        self._execute("INSERT OR IGNORE INTO certificate_things VALUES (?, ?)", certificate_id, thing)

    def detach_thing(self, certificate_id: str, thing: str) -> None:
        self._execute("DELETE FROM certificate_things WHERE certificate = ? AND thing = ?", certificate_id, thing)

    def certificates_of(self, thing: str) -> list[str]:
        return self._column("SELECT certificate FROM certificate_things WHERE thing = ? ORDER BY certificate", thing)

    def things_of(self, certificate_id: str) -> list[str]:
        return self._column("SELECT thing FROM certificate_things WHERE certificate = ? ORDER BY thing", certificate_id)
