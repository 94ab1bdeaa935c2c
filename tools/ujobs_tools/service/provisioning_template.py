"""Evaluates fleet provisioning templates with a device's parameters ("Provisioning templates" in the developer guide).

Implemented: the intrinsic functions `Ref` and `Fn::Join`; the resources thing (name, attributes, groups, type),
certificate and policy. Creating a template that uses more fails."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ujobs_tools.service import limits
from ujobs_tools.service.errors import ApiError, invalid

CERTIFICATE_ID = "AWS::IoT::Certificate::Id"  # a parameter that every fleet provisioning template has

_THING, _CERTIFICATE, _POLICY = "AWS::IoT::Thing", "AWS::IoT::Certificate", "AWS::IoT::Policy"
_TEXT = (str, dict)  # a string, or a function that returns one
_PROPERTIES = {
    _THING: {"ThingName": _TEXT, "AttributePayload": dict, "ThingGroups": list, "ThingTypeName": _TEXT},
    _CERTIFICATE: {"CertificateId": _TEXT, "Status": _TEXT},
    _POLICY: {"PolicyName": _TEXT, "PolicyDocument": _TEXT},
}
_SECTIONS = {"Parameters", "Resources", "DeviceConfiguration"}
_OVERRIDES = {
    "AttributePayload": {"DO_NOTHING", "REPLACE", "MERGE", "FAIL"}, "ThingGroups": {"DO_NOTHING", "FAIL"},
    "ThingTypeName": {"DO_NOTHING", "REPLACE", "FAIL"},
}


@dataclass(frozen=True)
class Evaluated:
    """A template's resources. thing: its properties; None: no thing. overrides: by property, what to do if the thing
    exists and differs. status: of the certificate. policies: the properties of each."""

    thing: dict[str, Any] | None
    overrides: dict[str, str]
    status: str
    policies: list[dict[str, Any]]
    device_configuration: dict[str, Any]


def check(body: str) -> None:
    """Raises ApiError InvalidRequest for an invalid template, NotImplemented for features that this service lacks."""
    try:
        lacking, wrong = _faults(limits.parse_json(body))
    except (ValueError, LookupError, TypeError, AttributeError):
        raise invalid("The template body is invalid") from None
    if lacking:
        raise ApiError("NotImplemented", f"templateBody: {lacking[0]} is not implemented by this service.")
    if wrong:
        raise invalid(f"The template body is invalid: {wrong[0]}")


def _faults(template: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The features of a template that this service lacks, and its mistakes."""
    lacking = [name for name in template if name not in _SECTIONS]
    wrong = []
    kinds = []
    for resource in template["Resources"].values():
        kind = resource["Type"]
        kinds.append(kind)
        known = _PROPERTIES.get(kind)
        if known is None:
            lacking.append(kind)
            continue
        for name, value in resource.get("Properties", {}).items():
            if name not in known:
                lacking.append(f"{kind} {name}")
            elif not isinstance(value, known[name]):
                wrong.append(f"{name} has the wrong type")
        for name, way in resource.get("OverrideSettings", {}).items():
            if way not in _OVERRIDES.get(name, ()):
                lacking.append(f"OverrideSettings {name} {way}")
    if kinds.count(_CERTIFICATE) != 1 or kinds.count(_THING) > 1:
        wrong.append("Template must have one certificate resource and at most one thing resource")
    for name, argument in _functions(template):
        if name not in ("Ref", "Fn::Join"):
            lacking.append(name)
        elif not isinstance(argument, str) if name == "Ref" else not _is_join(argument):
            wrong.append(f"{name} has wrong arguments")
    if not all(isinstance(about.get("Default", ""), str) for about in template.get("Parameters", {}).values()):
        wrong.append("the default of a parameter must be a string")
    if not isinstance(template.get("DeviceConfiguration", {}), dict):
        wrong.append("DeviceConfiguration must be an object")
    return lacking, wrong


def _functions(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, member in value.items():
            if len(value) == 1 and (name == "Ref" or name.startswith("Fn::")):
                yield name, member
            yield from _functions(member)
    elif isinstance(value, list):
        for item in value:
            yield from _functions(item)


def _is_join(argument: Any) -> bool:
    return (
        isinstance(argument, list) and len(argument) == 2
        and isinstance(argument[0], str) and isinstance(argument[1], list)
    )


def evaluate(body: str, parameters: Mapping[str, str], certificate_id: str) -> Evaluated:
    """Fill in a template that `check` has passed. Raises ApiError InvalidParameters when a parameter is missing."""
    template = json.loads(body)
    declared = template.get("Parameters", {})
    values = {name: about["Default"] for name, about in declared.items() if "Default" in about}
    values |= {**parameters, CERTIFICATE_ID: certificate_id}

    def resolve(value: Any) -> Any:
        match value:
            case {"Ref": name, **others} if not others:
                if name not in values:
                    raise ApiError("InvalidParameters", f"Cannot resolve reference value: {name}")
                return values[name]
            case {"Fn::Join": [delimiter, items], **others} if not others:
                return delimiter.join(str(resolve(item)) for item in items)
            case dict():
                return {name: resolve(member) for name, member in value.items()}
            case list():
                return [resolve(item) for item in value]
        return value

    def of(kind: str) -> list[dict[str, Any]]:
        found = (resource for resource in template["Resources"].values() if resource["Type"] == kind)
        return [{"Properties": {}, **resource} for resource in found]

    things = of(_THING)
    return Evaluated(
        resolve(things[0]["Properties"]) if things else None,
        things[0].get("OverrideSettings", {}) if things else {},
        str(resolve(of(_CERTIFICATE)[0]["Properties"]).get("Status", "ACTIVE")).upper(),
        [resolve(policy["Properties"]) for policy in of(_POLICY)],
        resolve(template.get("DeviceConfiguration", {})),
    )
