"""Static thing groups: their hierarchies, their members, and how joining or leaving a group affects jobs.

Method and parameter names are boto3's for the `iot` client. When a thing joins a group, it gets an execution of each
CONTINUOUS job for that group or a group above it. When it is no longer a target, its QUEUED execution is removed."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from ujobs_tools.service import limits, model, paging
from ujobs_tools.service.errors import already_exists, existing, invalid
from ujobs_tools.service.group_store import ThingGroup
from ujobs_tools.service.job_course import JobCourse
from ujobs_tools.service.model import Job
from ujobs_tools.service.registry import Registry
from ujobs_tools.service.tags import TagList, checked_tags

MAX_ATTRIBUTES = 50
MAX_DEPTH = 7
MAX_GROUPS = 10  # of one thing


class Groups(JobCourse, Registry):
    """CreateThingGroup and related operations; all raise ApiError."""

    def create_thing_group(
        self, thingGroupName: str, parentGroupName: str | None = None,
        thingGroupProperties: Mapping[str, Any] | None = None, tags: TagList | None = None,
    ) -> dict[str, Any]:
        """Create a group. Repeating the call is harmless; with other properties or another parent it raises
        ResourceAlreadyExists."""
        name = limits.thing_name(thingGroupName, "thingGroupName")
        above = []
        if parentGroupName is not None:
            parent = self.store.group(parentGroupName)
            if parent is None:
                raise invalid(f"Cannot create group using non-existing group as parent : {parentGroupName}")
            above = parent.line
        if len(above) >= MAX_DEPTH:
            raise invalid(f"parentGroupName {parentGroupName}: a hierarchy has at most {MAX_DEPTH} levels")
        wanted = ThingGroup(name, str(uuid.uuid4()), "/".join([*above, name]), None, {}, self.clock())
        _set_properties(wanted, thingGroupProperties or {})
        labels, group = checked_tags(tags), self.store.group(name)
        if group is None:
            group = wanted
            with self.store.transaction():
                self.store.add_group(group)
                self.store.save_tags(self.arn("thinggroup", name), labels)
        elif (group.path, group.description, group.attributes) != (wanted.path, wanted.description, wanted.attributes):
            raise already_exists(
                f"Thing Group {name} already exists in current account with different properties",
                group.id, self.arn("thinggroup", name),
            )
        return self._group_identity(group)

    def _group_identity(self, group: ThingGroup) -> dict[str, Any]:
        return {
            "thingGroupName": group.name, "thingGroupArn": self.arn("thinggroup", group.name),
            "thingGroupId": group.id,
        }

    def _group_view(self, name: str) -> dict[str, Any]:
        return {"groupName": name, "groupArn": self.arn("thinggroup", name)}

    def _known_group(self, name: str) -> ThingGroup:
        return existing(self.store.group(name), f"Thing group {name} not found.")

    def describe_thing_group(self, thingGroupName: str) -> dict[str, Any]:
        """The group and the groups above it."""
        group = self._known_group(thingGroupName)
        properties: dict[str, Any] = {"attributePayload": {"attributes": group.attributes}}
        if group.description is not None:
            properties["thingGroupDescription"] = group.description
        metadata: dict[str, Any] = {"creationDate": group.created_at}
        if above := group.line[:-1]:
            metadata["parentGroupName"] = above[-1]
            metadata["rootToParentThingGroups"] = [self._group_view(name) for name in above]
        return self._group_identity(group) | {
            "version": group.version, "thingGroupProperties": properties, "thingGroupMetadata": metadata,
        }

    def update_thing_group(
        self, thingGroupName: str, thingGroupProperties: Mapping[str, Any], expectedVersion: int | None = None
    ) -> dict[str, Any]:
        """Change the description, if one is given, and the attributes as UpdateThing does."""
        group = self._known_group(thingGroupName)
        limits.expected_version(expectedVersion, group.version)
        _set_properties(group, thingGroupProperties)
        group.version += 1
        self.store.save_group(group)
        return {"version": group.version}

    def delete_thing_group(self, thingGroupName: str, expectedVersion: int | None = None) -> dict[str, Any]:
        """Delete a group without subgroups; its things leave it."""
        group = self.store.group(thingGroupName)
        if group is None:
            return {}
        limits.expected_version(expectedVersion, group.version)
        if self.store.groups_below(group.path, recursive=False):
            raise invalid(f"Cannot delete thing group : {group.name} when there are still child groups attached to it.")
        self._leave(group, self.store.members(group, recursive=False))
        self.store.delete_group(group.name)
        self.store.delete_tags(self.arn("thinggroup", group.name))
        return {}

    def list_thing_groups(
        self, parentGroup: str | None = None, namePrefixFilter: str = "", recursive: bool = False,
        maxResults: int | None = None, nextToken: str | None = None,
    ) -> dict[str, Any]:
        """All groups sorted by name, or those directly below one; with `recursive` all below it."""
        path = "" if parentGroup is None else self._known_group(parentGroup).path
        names = self.store.groups_below(path, recursive or parentGroup is None)
        found = [name for name in names if name.startswith(namePrefixFilter)]
        return paging.page_of_names("thingGroups", found, self._group_view, maxResults, nextToken)

    def list_thing_groups_for_thing(
        self, thingName: str, maxResults: int | None = None, nextToken: str | None = None
    ) -> dict[str, Any]:
        """The groups that a thing is in and the groups above them, sorted by name."""
        names = self.store.groups_over(self._known_thing(thingName).name)
        return paging.page_of_names("thingGroups", names, self._group_view, maxResults, nextToken)

    def list_things_in_thing_group(
        self, thingGroupName: str, recursive: bool = False, maxResults: int | None = None, nextToken: str | None = None
    ) -> dict[str, Any]:
        """The names of the things in a group; with `recursive` also of those in the groups below it."""
        limit = paging.size(maxResults)
        group, after = self._known_group(thingGroupName), paging.position("things", nextToken) or ""
        return paging.page("things", self.store.members_after(group, recursive, after, limit + 1), limit, str, str)

    def add_thing_to_thing_group(
        self, thingGroupName: str | None = None, thingGroupArn: str | None = None, thingName: str | None = None,
        thingArn: str | None = None, overrideDynamicGroups: bool = False,
    ) -> dict[str, Any]:
        """Add a thing to a group. It can be in at most 10 groups, each of another hierarchy. overrideDynamicGroups has
        no effect: there are no dynamic groups."""
        group = self._known_group(self._name("thinggroup", thingGroupName, thingGroupArn))
        thing = self._known_thing(self._name("thing", thingName, thingArn)).name
        lines = self.store.lines_of(thing)
        if group.line in lines:
            return {}
        if len(lines) >= MAX_GROUPS:
            raise invalid(f"Thing {thing} is in {MAX_GROUPS} thing groups already, which is the limit")
        for line in lines:
            if line[0] == group.line[0]:
                raise invalid(f"Thing {thing} is in thing group {line[-1]}, of the same hierarchy as {group.name}")
        with self._change([thing]) as now:
            self.store.add_member(group.name, thing)
            for job in self._continuous_jobs(group):
                self._join(job, [thing], now)
        self._rights_changed(fewer=False)
        return {}

    def remove_thing_from_thing_group(
        self, thingGroupName: str | None = None, thingGroupArn: str | None = None, thingName: str | None = None,
        thingArn: str | None = None,
    ) -> dict[str, Any]:
        """Remove a thing from a group; nothing happens if it is not in it."""
        group = self._known_group(self._name("thinggroup", thingGroupName, thingGroupArn))
        self._leave(group, [self._known_thing(self._name("thing", thingName, thingArn)).name])
        return {}

    def update_thing_groups_for_thing(
        self, thingName: str, thingGroupsToAdd: Sequence[str] = (), thingGroupsToRemove: Sequence[str] = (),
        overrideDynamicGroups: bool = False,
    ) -> dict[str, Any]:
        """Remove a thing from groups, then add it to others."""
        for name in (*thingGroupsToRemove, *thingGroupsToAdd):
            self._known_group(name)
        for name in thingGroupsToRemove:
            self.remove_thing_from_thing_group(name, thingName=thingName)
        for name in thingGroupsToAdd:
            self.add_thing_to_thing_group(name, thingName=thingName)
        return {}

    def _leave(self, group: ThingGroup, things: Sequence[str]) -> None:
        jobs = self._continuous_jobs(group)
        with self._change(things) as now:
            for thing in things:
                self.store.remove_member(group.name, thing)
                for job in jobs:
                    latest = self.store.execution(thing, job.job_id, None)
                    if latest is not None and latest.status == model.QUEUED and not self._is_target(job, thing):
                        self._end(latest, model.REMOVED, now)
        self._rights_changed()

    def _name(self, kind: str, name: str | None, arn: str | None) -> str:
        """The name of a thing or thing group, which a request gives by name, by ARN, or by both. As seen on AWS, the
        ARN's region is not checked here."""
        if arn is None:
            if name is None:
                raise invalid(f"The {kind} must be given by name or by ARN")
            return name
        found_kind, found = limits.target(arn)
        if arn.split(":")[4] != self.account:
            raise invalid(f"ResourceArn doesn't belong in requester's account: {arn}")
        if found_kind != kind or name not in (None, found):
            raise invalid(f"{arn!r} is not the ARN of the {kind} {name or ''}")
        return found

    def _continuous_jobs(self, group: ThingGroup) -> list[Job]:
        """The CONTINUOUS jobs that have not ended and target this group or one above it, oldest first."""
        found = [item for status in model.UNDER_WAY for item in self.store.jobs(status, "CONTINUOUS", group.line)]
        return [job for _, job in sorted(found, key=lambda item: item[0])]


def _set_properties(group: ThingGroup, properties: Mapping[str, Any]) -> None:
    description = limits.free_text("thingGroupDescription", properties.get("thingGroupDescription"))
    group.description = group.description if description is None else description
    group.attributes = limits.attributes(properties.get("attributePayload"), MAX_ATTRIBUTES, group.attributes)
