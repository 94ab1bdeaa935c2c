"""Fleet provisioning templates and their versions.

Method and parameter names are boto3's for the `iot` client. Where a message differs between operations, it is the one
that MiniStack's authors saw on AWS."""

import re
from typing import Any

from ujobs_tools.service import limits, paging, provisioning_template
from ujobs_tools.service.core import Core
from ujobs_tools.service.errors import ApiError, already_exists, existing, invalid, not_found
from ujobs_tools.service.provisioning_store import ProvisioningTemplate, TemplateVersion
from ujobs_tools.service.tags import TagList, checked_tags

MAX_BODY = 10240
MAX_DESCRIPTION = 500
MAX_VERSIONS = 5
FLEET = "FLEET_PROVISIONING"

_NAME = re.compile(r"[0-9A-Za-z_-]{1,36}")


class ProvisioningTemplates(Core):
    """CreateProvisioningTemplate and related operations; all raise ApiError."""

    def create_provisioning_template(
        self, templateName: str, templateBody: str, provisioningRoleArn: str, description: str | None = None,
        enabled: bool = False, type: str = FLEET, tags: TagList | None = None,
    ) -> dict[str, Any]:
        """Create a template with its first version. Raises NotImplemented if it needs features that this service
        lacks."""
        if not _NAME.fullmatch(templateName):
            raise invalid("templateName must be 1 to 36 characters of 0-9 A-Z a-z _ -")
        if type != FLEET:
            raise ApiError("NotImplemented", f"type {type} is not implemented by this service.")
        _check_body(templateBody)
        arn = self.arn("provisioningtemplate", templateName)
        if self.store.provisioning_template(templateName) is not None:
            raise already_exists(f"Template with name {templateName} already exists", templateName, arn)
        limits.free_text("description", description, MAX_DESCRIPTION)
        labels, now = checked_tags(tags), self.clock()
        template = ProvisioningTemplate(
            templateName, templateBody, provisioningRoleArn, enabled, description, now, now,
            [TemplateVersion(1, templateBody, now)],
        )
        with self.store.transaction():
            self.store.add_provisioning_template(template)
            self.store.save_tags(arn, labels)
        return {"templateArn": arn, "templateName": templateName, "defaultVersionId": 1}

    def update_provisioning_template(
        self, templateName: str, description: str | None = None, enabled: bool | None = None,
        defaultVersionId: int | None = None, provisioningRoleArn: str | None = None,
        removePreProvisioningHook: bool = False,
    ) -> dict[str, Any]:
        """Change the given members. removePreProvisioningHook has no effect: there are no hooks."""
        template = self._known_provisioning_template(templateName)
        if defaultVersionId is not None:
            if template.version(defaultVersionId) is None:
                raise invalid(
                    f"Unable to set version {defaultVersionId} as the default, version does not exist"
                )
            template.default_version = defaultVersionId
        if description is not None:
            template.description = limits.free_text("description", description, MAX_DESCRIPTION) or None
        template.enabled = template.enabled if enabled is None else enabled
        template.role_arn = provisioningRoleArn or template.role_arn
        self._save_provisioning_template(template)
        return {}

    def describe_provisioning_template(self, templateName: str) -> dict[str, Any]:
        """The template with the body of its default version."""
        template = self._known_provisioning_template(templateName)
        return self._provisioning_summary(templateName) | {
            "templateBody": template.body, "provisioningRoleArn": template.role_arn,
            "defaultVersionId": template.default_version,
        }

    def _known_provisioning_template(self, name: str) -> ProvisioningTemplate:
        return existing(self.store.provisioning_template(name), f"Unable to find template named {name}")

    def _save_provisioning_template(self, template: ProvisioningTemplate) -> None:
        default = template.version(template.default_version)
        assert default is not None, "the default version cannot be deleted"
        template.body = default.body
        template.last_updated_at = self.clock()
        self.store.save_provisioning_template(template)

    def _provisioning_summary(self, name: str) -> dict[str, Any]:
        template = self._known_provisioning_template(name)
        return {
            "templateArn": self.arn("provisioningtemplate", name), "templateName": name,
            "creationDate": template.created_at, "lastModifiedDate": template.last_updated_at,
            "enabled": template.enabled, "type": FLEET,
        } | ({} if template.description is None else {"description": template.description})

    def list_provisioning_templates(
        self, maxResults: int | None = None, nextToken: str | None = None
    ) -> dict[str, Any]:
        """The templates, sorted by name."""
        names = self.store.provisioning_template_names()
        return paging.page_of_names("templates", names, self._provisioning_summary, maxResults, nextToken)

    def delete_provisioning_template(self, templateName: str) -> dict[str, Any]:
        """Delete a template with its versions; things and certificates created from it stay."""
        self._known_provisioning_template(templateName)
        self.store.delete_provisioning_template(templateName)
        self.store.delete_tags(self.arn("provisioningtemplate", templateName))
        return {}

    def create_provisioning_template_version(
        self, templateName: str, templateBody: str, setAsDefault: bool = False
    ) -> dict[str, Any]:
        """Add a version to a template, which can have five. Its number is never used again."""
        template = self._known_provisioning_template(templateName)
        _check_body(templateBody)
        if len(template.versions) >= MAX_VERSIONS:
            raise ApiError(
                "VersionsLimitExceeded",
                f"Can't create a template version for the template {templateName}, the maximum number of template "
                "versions has been reached",
            )
        template.last_version += 1
        template.versions.append(TemplateVersion(template.last_version, templateBody, self.clock()))
        if setAsDefault:
            template.default_version = template.last_version
        self._save_provisioning_template(template)
        return {
            "templateArn": self.arn("provisioningtemplate", templateName), "templateName": templateName,
            "versionId": template.last_version, "isDefaultVersion": setAsDefault,
        }

    def list_provisioning_template_versions(
        self, templateName: str, maxResults: int | None = None, nextToken: str | None = None
    ) -> dict[str, Any]:
        """The versions, oldest first; on one page, because there are five at most."""
        paging.size(maxResults)
        template = self._known_provisioning_template(templateName)
        return {"versions": [_version_view(template, version) for version in template.versions]}

    def describe_provisioning_template_version(self, templateName: str, versionId: int) -> dict[str, Any]:
        """One version with its body."""
        template = self._known_provisioning_template(templateName)
        version = existing(
            template.version(versionId),
            f"Unable to find a template version with ID {versionId} for template {templateName}",
        )
        return _version_view(template, version) | {"templateBody": version.body}

    def delete_provisioning_template_version(self, templateName: str, versionId: int) -> dict[str, Any]:
        """Delete a version that is not the default."""
        template = self._known_provisioning_template(templateName)
        version = template.version(versionId)
        if version is None:
            raise not_found(f"Unable to find template version {versionId}")
        if versionId == template.default_version:
            raise invalid(f"Unable to delete template version {versionId}, it is the default version")
        template.versions.remove(version)
        self._save_provisioning_template(template)
        return {}


def _check_body(body: str) -> None:
    if len(body) > MAX_BODY:
        raise invalid(f"templateBody has {len(body)} characters; the limit is {MAX_BODY}")
    provisioning_template.check(body)


def _version_view(template: ProvisioningTemplate, version: TemplateVersion) -> dict[str, Any]:
    return {
        "versionId": version.number, "creationDate": version.created_at,
        "isDefaultVersion": version.number == template.default_version,
    }
