"""Thing types. Method and parameter names are boto3's for the `iot` client.

A thing with a type can have more attributes. A type whose use is deprecated gets no more things, and can be deleted
five minutes later ("Thing types" in the developer guide)."""

import uuid
from collections.abc import Mapping
from typing import Any

from ujobs_tools.service import limits, paging
from ujobs_tools.service.core import Core
from ujobs_tools.service.errors import ApiError, already_exists, existing, invalid
from ujobs_tools.service.registry_store import ThingType
from ujobs_tools.service.tags import TagList, checked_tags

DEPRECATED_FOR = 300  # seconds before a type can be deleted
MAX_SEARCHABLE = 3


class ThingTypes(Core):
    """CreateThingType and related operations; all raise ApiError."""

    def create_thing_type(
        self, thingTypeName: str, thingTypeProperties: Mapping[str, Any] | None = None, tags: TagList | None = None
    ) -> dict[str, Any]:
        """Create a type. Repeating the call is harmless; with other properties it raises ResourceAlreadyExists."""
        name = limits.thing_name(thingTypeName, "thingTypeName")
        description, searchable = _checked(thingTypeProperties or {})
        labels, arn, found = checked_tags(tags), self.arn("thingtype", name), self.store.thing_type(name)
        if found is None:
            found = ThingType(name, str(uuid.uuid4()), description, searchable, self.clock())
            with self.store.transaction():
                self.store.add_thing_type(found)
                self.store.save_tags(arn, labels)
        elif (found.description, found.searchable) != (description, searchable):
            raise already_exists(f"ThingType {name} already exists with different properties", found.id, arn)
        return {"thingTypeName": name, "thingTypeArn": arn, "thingTypeId": found.id}

    def update_thing_type(
        self, thingTypeName: str, thingTypeProperties: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Change the description and the searchable attributes, of these what is given; things keep the type."""
        found, properties = self._known_type(thingTypeName), thingTypeProperties or {}
        description, searchable = _checked(properties)
        if properties.get("thingTypeDescription") is not None:
            found.description = description
        if properties.get("searchableAttributes") is not None:
            found.searchable = searchable
        self.store.save_thing_type(found)
        return {}

    def describe_thing_type(self, thingTypeName: str) -> dict[str, Any]:
        """The type."""
        found = self._known_type(thingTypeName)
        return self._type_view(found) | {"thingTypeId": found.id}

    def list_thing_types(
        self, thingTypeName: str | None = None, maxResults: int | None = None, nextToken: str | None = None
    ) -> dict[str, Any]:
        """The types, sorted by name; with a name only that one."""
        names = [name for name in self.store.thing_type_names() if thingTypeName in (None, name)]
        return paging.page_of_names(
            "thingTypes", names, lambda name: self._type_view(self._known_type(name)), maxResults, nextToken
        )

    def deprecate_thing_type(self, thingTypeName: str, undoDeprecate: bool = False) -> dict[str, Any]:
        """Allow no more things to have this type, or allow it again."""
        found = self._known_type(thingTypeName)
        found.deprecated_at = None if undoDeprecate else found.deprecated_at or self.clock()
        self.store.save_thing_type(found)
        return {}

    def delete_thing_type(self, thingTypeName: str) -> dict[str, Any]:
        """Delete a type that has been deprecated for five minutes and has no things."""
        found = self._known_type(thingTypeName)
        if found.deprecated_at is None or self.clock() < found.deprecated_at + DEPRECATED_FOR:
            raise invalid(f"Thing type {found.name} must be deprecated for at least 5 minutes before deletion")
        if self.store.has_type(found.name):
            raise invalid(f"Can not delete thing type {found.name} with things associated with it")
        self.store.delete_thing_type(found.name)
        self.store.delete_tags(self.arn("thingtype", found.name))
        return {}

    def _known_type(self, name: str) -> ThingType:
        return existing(self.store.thing_type(name), f"Thing type {name} not found.")

    def _usable_type(self, name: str) -> str:
        """The name of a type for another thing. Raises ApiError if it is deprecated."""
        if self._known_type(name).deprecated_at is not None:
            raise invalid(f"Thing type {name} is deprecated")
        return name

    def _type_view(self, found: ThingType) -> dict[str, Any]:
        properties: dict[str, Any] = {"searchableAttributes": found.searchable}
        if found.description is not None:
            properties["thingTypeDescription"] = found.description
        metadata: dict[str, Any] = {"deprecated": found.deprecated_at is not None, "creationDate": found.created_at}
        if found.deprecated_at is not None:
            metadata["deprecationDate"] = found.deprecated_at
        return {
            "thingTypeName": found.name, "thingTypeArn": self.arn("thingtype", found.name),
            "thingTypeProperties": properties, "thingTypeMetadata": metadata,
        }


def _checked(properties: Mapping[str, Any]) -> tuple[str | None, list[str]]:
    """The description and the searchable attributes of thingTypeProperties. Raises ApiError."""
    if properties.get("mqtt5Configuration"):
        raise ApiError("NotImplemented", "mqtt5Configuration is not implemented by this service.")
    searchable: list[str] = sorted(set(properties.get("searchableAttributes") or ()))
    if len(searchable) > MAX_SEARCHABLE:
        raise invalid(f"searchableAttributes has {len(searchable)} names; the limit is {MAX_SEARCHABLE}")
    return limits.free_text("thingTypeDescription", properties.get("thingTypeDescription") or None), searchable
