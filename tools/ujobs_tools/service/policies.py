"""Policies: their versions, and the certificates and thing groups that they are attached to.

Method and parameter names are boto3's for the `iot` client. `policy_evaluation` evaluates the default versions."""

import re
from functools import partial
from typing import Any

from ujobs_tools.service import paging, policy_evaluation
from ujobs_tools.service.errors import ApiError, already_exists, existing, invalid
from ujobs_tools.service.groups import Groups
from ujobs_tools.service.policy_store import PolicyVersion
from ujobs_tools.service.tags import TagList, checked_tags

MAX_VERSIONS = 5
MAX_OF_CERTIFICATE = 10  # policies

_NAME = re.compile(r"[\w+=,.@-]{1,128}", re.ASCII)
_TARGET = re.compile(r"arn:aws[\w-]*:iot:[\w-]*:\d*:(cert|thinggroup)/(.+)")


class Policies(Groups):
    """CreatePolicy and related operations; all raise ApiError."""

    def create_policy(self, policyName: str, policyDocument: str, tags: TagList | None = None) -> dict[str, Any]:
        """Create a policy. Its document must be one that `policy_evaluation` supports."""
        if not _NAME.fullmatch(policyName):
            raise invalid("policyName must be 1 to 128 characters of a-z A-Z 0-9 _ + = , . @ -")
        if self.store.policy_versions(policyName):
            raise already_exists(
                f"Policy cannot be created - name already exists (name={policyName})",
                policyName, self.arn("policy", policyName),
            )
        _check(policyDocument)
        labels = checked_tags(tags)
        with self.store.transaction():
            self.store.add_policy(policyName, policyDocument, self.clock())
            self.store.save_tags(self.arn("policy", policyName), labels)
        return self._policy_view(policyName) | {"policyDocument": policyDocument, "policyVersionId": "1"}

    def create_policy_version(
        self, policyName: str, policyDocument: str, setAsDefault: bool = False
    ) -> dict[str, Any]:
        """Add a version to a policy, which can have five."""
        versions = self._versions(policyName)
        _check(policyDocument)
        if len(versions) >= MAX_VERSIONS:
            raise ApiError(
                "VersionsLimitExceeded", f"The policy {policyName} already has the maximum number of versions (5)"
            )
        number = versions[-1].number + 1
        self.store.add_policy_version(policyName, number, policyDocument, self.clock())
        if setAsDefault:
            self.set_default_policy_version(policyName, str(number))
        return {
            "policyArn": self.arn("policy", policyName), "policyDocument": policyDocument,
            "policyVersionId": str(number), "isDefaultVersion": setAsDefault,
        }

    def get_policy(self, policyName: str) -> dict[str, Any]:
        """The policy with the document of its default version."""
        default = next(version for version in self._versions(policyName) if version.is_default)
        return self._policy_view(policyName) | {
            "policyDocument": default.document, "defaultVersionId": str(default.number),
        }

    def get_policy_version(self, policyName: str, policyVersionId: str) -> dict[str, Any]:
        """One version with its document."""
        version = self._version(policyName, policyVersionId)
        return self._policy_view(policyName) | {
            "policyDocument": version.document, "policyVersionId": policyVersionId,
            "isDefaultVersion": version.is_default,
        }

    def list_policy_versions(self, policyName: str) -> dict[str, Any]:
        """The versions, newest first."""
        return {
            "policyVersions": [
                {
                    "versionId": str(version.number), "isDefaultVersion": version.is_default,
                    "createDate": version.created_at,
                }
                for version in reversed(self._versions(policyName))
            ]
        }

    def set_default_policy_version(self, policyName: str, policyVersionId: str) -> dict[str, Any]:
        """Set the version that applies wherever the policy is attached."""
        version = self._version(policyName, policyVersionId)
        self.store.set_default_version(policyName, version.number)
        self._rights_changed()
        return {}

    def delete_policy_version(self, policyName: str, policyVersionId: str) -> dict[str, Any]:
        """Delete a version that is not the default."""
        version = self._version(policyName, policyVersionId)
        if version.is_default:
            raise ApiError(
                "DeleteConflict",
                f"Cannot delete a default policy version (name={policyName}, versionId={policyVersionId})",
            )
        self.store.delete_policy_version(policyName, version.number)
        return {}

    def list_policies(
        self, pageSize: int | None = None, marker: str | None = None, ascendingOrder: bool = False
    ) -> dict[str, Any]:
        """The policies, newest first, or in the order of their creation."""
        find = partial(self.store.policies, ascendingOrder)
        return paging.page_of_numbered("policies", find, self._policy_view, pageSize, marker)

    def delete_policy(self, policyName: str) -> dict[str, Any]:
        """Delete a policy, which must have one version and no attachments."""
        if len(self._versions(policyName)) > 1:
            raise ApiError("DeleteConflict", f"Cannot delete the policy: it has several versions (name={policyName})")
        if self.store.policy_targets(policyName):
            raise ApiError("DeleteConflict", f"Cannot delete the policy because it is attached (name={policyName})")
        self.store.delete_policy(policyName)
        self.store.delete_tags(self.arn("policy", policyName))
        return {}

    def attach_policy(self, policyName: str, target: str) -> dict[str, Any]:
        """Attach a policy to a certificate or a thing group, by its ARN."""
        self._versions(policyName)
        kind, name = self._target(target)
        attached = {*self.store.policies_of(kind, name), policyName}
        if kind == "cert" and len(attached) > MAX_OF_CERTIFICATE:
            raise ApiError("LimitExceeded", f"The certificate {name} already has {MAX_OF_CERTIFICATE} policies")
        self.store.attach_policy(policyName, kind, name)
        self._rights_changed(fewer=False)
        return {}

    def detach_policy(self, policyName: str, target: str) -> dict[str, Any]:
        """Undo attach_policy."""
        self.store.detach_policy(policyName, *self._target(target))
        self._rights_changed()
        return {}

    def list_attached_policies(
        self, target: str, recursive: bool = False, pageSize: int | None = None, marker: str | None = None
    ) -> dict[str, Any]:
        """The policies attached to a certificate or a thing group; with `recursive` also those of the groups above."""
        kind, name = self._target(target)
        names = set(self.store.policies_of(kind, name))
        if recursive and kind == "thinggroup":
            for above in self._known_group(name).line:
                names |= set(self.store.policies_of(kind, above))
        return _by_marker("policies", names, self._policy_view, pageSize, marker)

    def list_targets_for_policy(
        self, policyName: str, pageSize: int | None = None, marker: str | None = None
    ) -> dict[str, Any]:
        """The ARNs of the certificates and thing groups that a policy is attached to."""
        self._versions(policyName)
        arns = [self.arn(*target) for target in self.store.policy_targets(policyName)]
        return _by_marker("targets", arns, str, pageSize, marker)

    def attach_principal_policy(self, policyName: str, principal: str) -> dict[str, Any]:
        """The former name of AttachPolicy, for certificates."""
        self._principal(principal)
        return self.attach_policy(policyName, principal)

    def detach_principal_policy(self, policyName: str, principal: str) -> dict[str, Any]:
        """The former name of DetachPolicy, for certificates."""
        self._principal(principal)
        return self.detach_policy(policyName, principal)

    def list_principal_policies(
        self, principal: str, marker: str | None = None, pageSize: int | None = None
    ) -> dict[str, Any]:
        """The former name of ListAttachedPolicies, for certificates."""
        self._principal(principal)
        return self.list_attached_policies(principal, pageSize=pageSize, marker=marker)

    def list_policy_principals(
        self, policyName: str, marker: str | None = None, pageSize: int | None = None
    ) -> dict[str, Any]:
        """The ARNs of the certificates that a policy is attached to."""
        self._versions(policyName)
        arns = [self.arn(*target) for target in self.store.policy_targets(policyName) if target[0] == "cert"]
        return _by_marker("principals", arns, str, pageSize, marker)

    def get_effective_policies(self, principal: str | None = None, thingName: str | None = None) -> dict[str, Any]:
        """The policies that apply to a certificate, and to a thing through its groups."""
        if principal is None and thingName is None:
            raise invalid("principal or thingName is required")
        certificate_id = "" if principal is None else self._principal(principal)
        thing = None if thingName is None else self._known_thing(thingName).name
        documents = self.policies_for(certificate_id, thing)
        return {
            "effectivePolicies": [
                self._policy_view(name) | {"policyDocument": documents[name]} for name in sorted(documents)
            ]
        }

    def policies_for(self, certificate_id: str, thing: str | None) -> dict[str, str]:
        """The policy documents of a client, by policy name: those of its certificate and of its thing's groups."""
        names = set(self.store.policies_of("cert", certificate_id))
        for group in () if thing is None else self.store.groups_over(thing):
            names |= set(self.store.policies_of("thinggroup", group))
        return self.store.default_documents(names)

    def _policy_view(self, name: str) -> dict[str, Any]:
        return {"policyName": name, "policyArn": self.arn("policy", name)}

    def _versions(self, name: str) -> list[PolicyVersion]:
        return existing(self.store.policy_versions(name) or None, f"Policy not found (name={name})")

    def _version(self, name: str, number: str) -> PolicyVersion:
        found = [version for version in self._versions(name) if str(version.number) == number]
        missing = f"Policy version does not exist (name={name}, versionId={number})"
        return existing(found[0] if found else None, missing)

    def _target(self, arn: str) -> tuple[str, str]:
        match = _TARGET.fullmatch(arn)
        if match is None:
            raise invalid(f"target {arn!r} must be the ARN of a certificate or a thing group")
        kind, name = match.groups()
        if kind == "cert":
            return kind, self._certificate_by_arn(arn, name).id
        self._check_here(arn, kind, name, f"Thing group {name} not found.")
        return kind, self._known_group(name).name


def _check(document: str) -> None:
    try:
        policy_evaluation.parse(document)
    except (ValueError, RecursionError) as error:
        raise ApiError("MalformedPolicy", f"policyDocument: {error}") from None
    except policy_evaluation.Unsupported as error:
        raise ApiError("NotImplemented", f"policyDocument: {error} is not implemented by this service.") from None


def _by_marker(name: str, names: Any, view: Any, size: int | None, marker: str | None) -> dict[str, Any]:
    return paging.by_marker(paging.page_of_names(name, names, view, size, marker))
