"""Static thing groups and their members in the database; no rules."""

from dataclasses import asdict, dataclass
from itertools import chain

from ujobs_tools.service.database import Database, decode


@dataclass(slots=True)
class ThingGroup:
    """A static thing group. id: its UUID. path: the names from the root of its hierarchy to its own, joined by `/`,
    which names cannot contain; it never changes, because a group's parent cannot change."""

    name: str
    id: str
    path: str
    description: str | None
    attributes: dict[str, str]
    created_at: float
    version: int = 1

    @property
    def line(self) -> list[str]:
        """The names in its path."""
        return self.path.split("/")


class GroupStore(Database):
    """The tables of thing groups."""

    def add_group(self, group: ThingGroup) -> None:
        self._insert("thing_groups", **asdict(group))

    def save_group(self, group: ThingGroup) -> None:
        self._update("thing_groups", "name", **asdict(group))

    def group(self, name: str | None, identity: str | None = None) -> ThingGroup | None:
        """The group with this name, this id, or both."""
        row = self._one(
            "SELECT * FROM thing_groups WHERE name = coalesce(?, name) AND id = coalesce(?, id)", name, identity
        )
        return None if row is None else ThingGroup(**{**row, "attributes": decode(row["attributes"])})

    def delete_group(self, name: str) -> None:
        """Delete a group and its memberships."""
        self._execute("DELETE FROM thing_groups WHERE name = ?", name)

    def groups_below(self, path: str, recursive: bool) -> list[str]:
        """The names of the groups whose parent has this path; recursive: also of all groups below them."""
        start = f"{path}/" if path else ""
        return self._column(
            "SELECT name FROM thing_groups WHERE instr(path, ?) = 1 AND (? OR path = ? || name)",
            start, recursive, start,
        )

    def add_member(self, group: str, thing: str) -> None:
        self._insert("thing_group_members", thing_group=group, thing=thing)

    def remove_member(self, group: str, thing: str) -> None:
        self._execute("DELETE FROM thing_group_members WHERE thing_group = ? AND thing = ?", group, thing)

    def members(self, group: ThingGroup, recursive: bool) -> list[str]:
        """The things in a group; recursive: also in all groups below it."""
        return self._column(
            "SELECT DISTINCT thing FROM thing_group_members JOIN thing_groups ON name = thing_group "
            "WHERE name = ? OR ? AND instr(path, ? || '/') = 1 ORDER BY thing",
            group.name, recursive, group.path,
        )

    def members_after(self, group: ThingGroup, recursive: bool, after: str, limit: int) -> list[str]:
        """The things in a group, sorted by name: at most `limit`, starting after the name `after`."""
        names = [group.name, *(self.groups_below(group.path, recursive=True) if recursive else ())]
        found = [
            self._column(
                "SELECT thing FROM thing_group_members WHERE thing_group = ? AND thing > ? ORDER BY thing LIMIT ?",
                name, after, limit,
            )
            for name in names
        ]
        return sorted(set(chain.from_iterable(found)))[:limit]

    def lines_of(self, thing: str) -> list[list[str]]:
        """For each group that a thing is directly in: the names in the group's path."""
        paths = self._column(
            "SELECT path FROM thing_group_members JOIN thing_groups ON name = thing_group WHERE thing = ?", thing
        )
        return [path.split("/") for path in paths]

    def groups_over(self, thing: str) -> set[str]:
        """The groups that a thing is in, directly or through a subgroup."""
        return {name for line in self.lines_of(thing) for name in line}
