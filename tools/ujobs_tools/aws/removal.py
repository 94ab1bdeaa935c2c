"""Shows and deletes things, with boto3 calls that work on AWS, on `ujobs serve` and on MiniStack."""

from dataclasses import dataclass
from typing import Any

from ujobs_tools.aws import cloud, fleet
from ujobs_tools.aws.policy import PREFIX


@dataclass(frozen=True)
class Certificate:
    """A certificate of a thing. status: ACTIVE or another status of AWS. policies: names of its policies. things: names
    of all things that it is attached to."""

    arn: str
    status: str
    policies: list[str]
    things: list[str]

    @property
    def id(self) -> str:
        """The certificate id, the last part of the ARN."""
        return self.arn.rpartition("/")[2]


@dataclass(frozen=True)
class Registered:
    """A thing with its certificates and thing groups."""

    name: str
    arn: str
    attributes: dict[str, str]
    certificates: list[Certificate]
    groups: list[str]


def show_thing(iot: Any, name: str) -> Registered:
    """Return a thing. Raises ValueError if the name is invalid, CloudError if the thing does not exist or a call
    fails."""
    fleet.check_thing_name(name)
    with cloud.one_line_errors():
        thing = iot.describe_thing(thingName=name)
        arns = _all(iot, "list_thing_principals", "principals", thingName=name)
        groups = _all(iot, "list_thing_groups_for_thing", "thingGroups", thingName=name)
        return Registered(
            name, thing["thingArn"], thing.get("attributes", {}), [_certificate(iot, arn) for arn in arns],
            [group["groupName"] for group in groups],
        )


def delete_thing(iot: Any, name: str) -> list[str]:
    """Delete a thing, its certificates, and those policies of these tools that nothing else uses.

    A certificate that is also attached to other things is detached, not deleted. Returns names of what was deleted.
    Raises the errors of show_thing; after a failure, the call can be repeated to delete the rest.
    """
    thing = show_thing(iot, name)
    deleted: list[str] = []
    with cloud.one_line_errors():
        for certificate in thing.certificates:
            iot.detach_thing_principal(thingName=name, principal=certificate.arn)
            if certificate.things != [name]:
                continue
            iot.update_certificate(certificateId=certificate.id, newStatus="INACTIVE")
            for policy in certificate.policies:
                iot.detach_policy(policyName=policy, target=certificate.arn)
            iot.delete_certificate(certificateId=certificate.id)
            deleted.append(f"certificate {certificate.id}")
        iot.delete_thing(thingName=name)
        deleted.append(f"thing {name}")
        policies = {policy for one in thing.certificates if one.things == [name] for policy in one.policies}
        for policy in sorted(policies):
            if policy.startswith(PREFIX) and not iot.list_targets_for_policy(policyName=policy, pageSize=1)["targets"]:
                iot.delete_policy(policyName=policy)
                deleted.append(f"policy {policy}")
    return deleted


def _certificate(iot: Any, arn: str) -> Certificate:
    number = arn.rpartition("/")[2]
    policies = iot.list_attached_policies(target=arn)["policies"]
    return Certificate(
        arn, iot.describe_certificate(certificateId=number)["certificateDescription"]["status"],
        [policy["policyName"] for policy in policies], _all(iot, "list_principal_things", "things", principal=arn),
    )


def _all(iot: Any, operation: str, member: str, **parameters: Any) -> list[Any]:
    return [item for page in iot.get_paginator(operation).paginate(**parameters) for item in page[member]]
