"""AWS managed job templates: AWS's documents for common tasks, and how parameters are filled in.

`managed_templates.json` has the templates of "AWS managed job templates" in the developer guide. AWS does not document
what a device gets for an optional parameter that is not given; here it is an empty string."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ujobs_tools.service import limits, paging
from ujobs_tools.service.core import Core
from ujobs_tools.service.errors import existing, invalid, not_found

VERSION = "1.0"

_DATA = Path(__file__).with_suffix(".json")
_ARN = re.compile(r"arn:aws[a-z-]*:iot:([^:/]*)::jobtemplate/([^:]+)(?::(.+))?")
_PLACEHOLDER = re.compile(r"\$\{aws:iot:parameter:([a-zA-Z0-9_-]+)\}")


@dataclass(frozen=True)
class Template:
    """A managed template. document: JSON with `${aws:iot:parameter:NAME}` placeholders. parameters: by name, as
    DescribeManagedJobTemplate returns them."""

    name: str
    description: str
    document: str
    parameters: dict[str, dict[str, Any]]

    def fill(self, values: dict[str, str]) -> str:
        """The document with parameters filled in. Raises ApiError for unknown, missing and invalid ones."""
        for name, value in values.items():
            if name not in self.parameters:
                raise invalid(f"documentParameters {name}: {self.name} only has {', '.join(self.parameters)}")
            limits.free_text(f"documentParameters {name}", value, limits.MAX_PARAMETER)
            if not re.fullmatch(self.parameters[name]["regex"], value):
                raise invalid(f"documentParameters {name} must match {self.parameters[name]['regex']}")
        for name, parameter in self.parameters.items():
            if name not in values and not parameter["optional"]:
                raise invalid(f"documentParameters {name} is required by {self.name}")
        # All placeholders are inside JSON strings.
        return _PLACEHOLDER.sub(
            lambda match: json.dumps(values.get(match[1], ""), ensure_ascii=False)[1:-1], self.document
        )


def _load() -> dict[str, Template]:
    data = json.loads(_DATA.read_text("utf-8"))
    templates = {}
    for item in data["templates"]:
        document = json.dumps(item["document"], separators=(",", ":"))
        used = set(_PLACEHOLDER.findall(document))
        parameters = {name: about for name, about in data["parameters"].items() if name in used}
        templates[item["name"]] = Template(item["name"], item["description"], document, parameters)
    return templates


TEMPLATES = _load()


def find(name: str, version: str | None = None) -> Template:
    """The template with this name. Raises ApiError ResourceNotFound, also for an unknown version."""
    template = TEMPLATES.get(name) if version in (None, VERSION) else None
    return existing(template, f"Managed job template {name} {version or VERSION} cannot be found.")


def is_managed(arn: str) -> bool:
    """Whether this is the ARN of a managed template: one without an account."""
    return _ARN.fullmatch(arn) is not None


def by_arn(arn: str, region: str) -> Template:
    """The template of this region with this ARN. Raises ApiError ResourceNotFound."""
    match = _ARN.fullmatch(arn)
    if match is None:
        raise not_found(f"{arn} is not a managed job template.")
    if match[1] != region:
        raise not_found(f"Managed job template {match[2]} cannot be found. {arn} is not of {region}.")
    return find(match[2], match[3])


class ManagedTemplates(Core):
    """ListManagedJobTemplates and DescribeManagedJobTemplate."""

    def list_managed_job_templates(
        self, templateName: str | None = None, maxResults: int | None = None, nextToken: str | None = None
    ) -> dict[str, Any]:
        """The templates sorted by name; with a name only that one."""
        names = [name for name in TEMPLATES if templateName in (None, name)]
        return paging.page_of_names(
            "managedJobTemplates", names, lambda name: self._template_summary(TEMPLATES[name]), maxResults, nextToken
        )

    def _template_summary(self, template: Template) -> dict[str, Any]:
        return {
            "templateArn": f"arn:aws:iot:{self.region}::jobtemplate/{template.name}:{VERSION}",
            "templateName": template.name, "description": template.description, "environments": ["LINUX"],
            "templateVersion": VERSION,
        }

    def describe_managed_job_template(self, templateName: str, templateVersion: str | None = None) -> dict[str, Any]:
        """The template with its document and parameters."""
        template = find(templateName, templateVersion)
        return self._template_summary(template) | {
            "document": template.document,
            "documentParameters": [{"key": name, **about} for name, about in template.parameters.items()],
        }
