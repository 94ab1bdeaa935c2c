"""Tags of jobs, job templates, thing groups, thing types, policies, streams and provisioning templates.

Method and parameter names are boto3's for the `iot` client; API reference TagResource. A resource takes its tags with
it when it is deleted. The messages are those that MiniStack's authors saw on AWS."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from ujobs_tools.service.core import Core
from ujobs_tools.service.errors import existing, invalid

MAX_TAGS = 50  # of a resource

_ARN = re.compile(r"arn:aws[a-z-]*:iot:([^:/]*):([^:/]*):([a-z]+)/(.+)")
_TOO_MANY = "Too many tags provided in the request. Please check the input."
_WITHOUT_VALUE = "All tags in request should have keys and values."

TagList = Sequence[dict[str, str]]


def checked_tags(tags: TagList | None) -> dict[str, str]:
    """The tags of a request by their keys; of a repeated key the last. Raises ApiError InvalidRequest."""
    for tag in tags or ():
        if "Value" not in tag:
            raise invalid(_WITHOUT_VALUE)
        _check_key(tag["Key"])
    found = {tag["Key"]: tag["Value"] for tag in tags or ()}
    if len(found) > MAX_TAGS:
        raise invalid(_TOO_MANY)
    return found


def _check_key(key: str) -> None:
    if key.lower().startswith("aws:"):
        raise invalid(f'Tags cannot begin with "aws:", offending tag: {key}')


class Tags(Core):
    """TagResource, UntagResource, ListTagsForResource; all raise ApiError."""

    def tag_resource(self, resourceArn: str, tags: TagList) -> dict[str, Any]:
        """Add tags, or change their values."""
        wanted = checked_tags(tags)
        if not wanted:
            raise invalid("The validated collection is empty")
        found = self.store.tags(self._taggable(resourceArn)) | wanted
        if len(found) > MAX_TAGS:
            raise invalid(_TOO_MANY)
        self.store.save_tags(resourceArn, found)
        return {}

    def untag_resource(self, resourceArn: str, tagKeys: Sequence[str]) -> dict[str, Any]:
        """Remove tags; keys that the resource does not have are ignored."""
        if not tagKeys:
            raise invalid("The validated collection is empty")
        for key in tagKeys:
            _check_key(key)
        found = self.store.tags(self._taggable(resourceArn))
        self.store.save_tags(resourceArn, {key: value for key, value in found.items() if key not in tagKeys})
        return {}

    def list_tags_for_resource(self, resourceArn: str, nextToken: str | None = None) -> dict[str, Any]:
        """All tags, on one page as on AWS; none for a resource that does not exist."""
        self._kind(resourceArn)
        return {"tags": [{"Key": key, "Value": value} for key, value in self.store.tags(resourceArn).items()]}

    def _taggable(self, arn: str) -> str:
        """The ARN. Raises ApiError unless its resource exists and can have tags."""
        kind, name = self._kind(arn)
        find, missing = self._kinds()[kind]
        message = missing.format(name)
        self._check_here(arn, kind, name, message)
        existing(find(name) or None, message)
        return arn

    def _kind(self, arn: str) -> tuple[str, str]:
        match = _ARN.fullmatch(arn)
        if match is None or match[3] not in (*self._kinds(), "thing", "cert"):
            raise invalid("Invalid arn in request")
        if match[2] != self.account:
            raise invalid("ResourceArn doesn't belong in requester's account")
        if match[3] not in self._kinds():
            raise invalid(f"Invalid resource type in ARN: {match[3]}")
        return match[3], match[4]

    def _kinds(self) -> dict[str, tuple[Callable[[str], object], str]]:
        """For each kind of resource: a function that finds one, and the message if it does not exist."""
        store = self.store
        return {
            "job": (store.job, "Job {} cannot be found."),
            "jobtemplate": (store.job_template, "Job Template {} cannot be found."),
            "thingtype": (store.thing_type, "Thing Type {} does not exist."),
            "thinggroup": (store.group, "Thing Group {} does not exist."),
            "policy": (store.policy_versions, "This resource is not found"),
            "stream": (store.stream, "Stream {} does not exist."),
            "provisioningtemplate": (store.provisioning_template, "Unable to get template id, template not found"),
        }
