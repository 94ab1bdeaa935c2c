"""Policies, their versions and their attachments in the database; no rules."""

from dataclasses import dataclass

from ujobs_tools.service.database import Database


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """One version of a policy. number: from 1. document: JSON text, as it was given."""

    number: int
    document: str
    created_at: float
    is_default: bool


class PolicyStore(Database):
    """The tables of policies."""

    def add_policy(self, name: str, document: str, now: float) -> None:
        """Add a policy with its first version, which is the default; in a transaction."""
        self._insert("policies", name=name, default_version=1, created_at=now)
        self.add_policy_version(name, 1, document, now)

    def add_policy_version(self, name: str, number: int, document: str, now: float) -> None:
        self._insert("policy_versions", policy=name, version=number, document=document, created_at=now)

    def set_default_version(self, name: str, number: int) -> None:
        self._update("policies", "name", name=name, default_version=number)

    def delete_policy_version(self, name: str, number: int) -> None:
        self._execute("DELETE FROM policy_versions WHERE policy = ? AND version = ?", name, number)

    def policy_versions(self, name: str) -> list[PolicyVersion]:
        """The versions, oldest first; none when there is no such policy."""
        rows = self._all(
            "SELECT version, document, policy_versions.created_at, version = default_version FROM policy_versions "
            "JOIN policies ON name = policy WHERE policy = ? ORDER BY version",
            name,
        )
        return [PolicyVersion(row[0], row[1], row[2], bool(row[3])) for row in rows]

    def policies(self, ascending: bool, after: int | None, limit: int) -> list[tuple[int, str]]:
        """(sequence, name), in the order of their creation or the reverse, starting after this one."""
        rows = self._all(
            f"SELECT rowid, name FROM policies WHERE ? IS NULL OR rowid {'>' if ascending else '<'} ? "
            f"ORDER BY rowid {'ASC' if ascending else 'DESC'} LIMIT ?",
            after, after, limit,
        )
        return [tuple(row) for row in rows]

    def delete_policy(self, name: str) -> None:
        """Delete a policy and its versions."""
        self._execute("DELETE FROM policies WHERE name = ?", name)

    def attach_policy(self, name: str, kind: str, target: str) -> None:
        """kind: "cert", target: its id; or "thinggroup", and its name."""
        self._execute(f"INSERT OR IGNORE INTO {_TABLES[kind]} VALUES (?, ?)", name, target)

    def detach_policy(self, name: str, kind: str, target: str) -> None:
        self._execute(f"DELETE FROM {_TABLES[kind]} WHERE policy = ? AND {_COLUMNS[kind]} = ?", name, target)

    def policy_targets(self, name: str) -> list[tuple[str, str]]:
        """A policy's attachments, as (kind, target) of attach_policy."""
        return [
            (kind, target)
            for kind, table in _TABLES.items()
            for target in self._column(f"SELECT {_COLUMNS[kind]} FROM {table} WHERE policy = ?", name)
        ]

    def policies_of(self, kind: str, target: str) -> list[str]:
        """The names of the policies attached to a target."""
        return self._column(f"SELECT policy FROM {_TABLES[kind]} WHERE {_COLUMNS[kind]} = ?", target)

    def default_documents(self, names: set[str]) -> dict[str, str]:
        """The documents of these policies' default versions, by policy name."""
        marks = ", ".join("?" * len(names))
        rows = self._all(
            "SELECT name, document FROM policies JOIN policy_versions ON policy = name AND version = default_version "
            f"WHERE name IN ({marks})",
            *names,
        )
        return {row["name"]: row["document"] for row in rows}


_TABLES = {"cert": "policy_certificates", "thinggroup": "policy_groups"}
_COLUMNS = {"cert": "certificate", "thinggroup": "thing_group"}
