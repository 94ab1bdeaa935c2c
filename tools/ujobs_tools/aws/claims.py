"""Claims, which let one image serve a whole production line, by boto3 calls that do the same on AWS and its stand-ins.

A claim is a certificate that may do one thing: ask for a certificate of its own and have a provisioning template make
a thing for that ("Provisioning devices that don't have device certificates using fleet provisioning")."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ujobs_tools.aws import cloud, fleet
from ujobs_tools.aws.cloud import CloudError
from ujobs_tools.keys import credentials

MAX_BODY = 10240
_NAME = re.compile(r"[0-9A-Za-z_-]{1,36}")
_ANY_ROLE = "arn:aws:iam::000000000000:role/provisioning"  # stand-ins that check no permissions take any


@dataclass(frozen=True)
class Claim:
    """A provisioning template and the certificate that is a claim for it.

    template: its name. template_arn, certificate_arn: of the two. policy: name of the claim's policy. host, port: where
    boards connect to; port is None when the service does not say. directory: holds ca, cert and key of the claim, each
    as .pem and .der.
    """

    template: str
    template_arn: str
    certificate_arn: str
    policy: str
    host: str
    port: int | None
    directory: Path


def create_claim(
    name: str,
    out: Path,
    body: str | None = None,
    role_arn: str | None = None,
    endpoint_url: str | None = None,
    region: str | None = None,
    profile: str | None = None,
    ca: Path | None = None,
) -> Claim:
    """Make a provisioning template, enabled, and a certificate that is a claim for it; write its key and certificates.

    name: of the template, 1 to 36 characters of [0-9A-Za-z_-]. body: the template as JSON, at most 10240 characters;
    None for `default_template`. role_arn: of the IAM role by which AWS IoT makes things, with the managed policy
    AWSIoTThingsRegistration; stand-ins do without. out, endpoint_url, region, profile, ca, and what is raised: as for
    fleet.create_thing. What was made in the cloud, but for policies, is removed again when a later step fails.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"templateName {name!r} must be 1 to 36 characters of [0-9A-Za-z_-]")
    if body is not None and len(body) > MAX_BODY:
        raise ValueError(f"templateBody has {len(body)} characters; the limit is {MAX_BODY}")
    if role_arn is None and endpoint_url is None:
        raise CloudError("on AWS, --role-arn must name an IAM role that has the policy AWSIoTThingsRegistration")
    credentials.check_folder(out)
    authority = fleet.authority_certificate(ca, endpoint_url)
    iot = cloud.client("iot", endpoint_url, region, profile)
    with fleet.all_or_nothing() as undo, cloud.one_line_errors():
        host, port = fleet.mqtt_endpoint(iot, endpoint_url)
        made = fleet.make_certificate(iot, undo)
        certificate_arn: str = made["certificateArn"]
        prefix = certificate_arn.partition(":cert/")[0]
        if body is None:
            body = default_template(name, fleet.make_device_policy(iot, f"{prefix}:thing/{name}"))
        template_arn = iot.create_provisioning_template(
            templateName=name, templateBody=body, enabled=True, provisioningRoleArn=role_arn or _ANY_ROLE
        )["templateArn"]
        undo(f"template {name}", iot.delete_provisioning_template, templateName=name)
        policy = f"ujobs-claim-{name}"
        fleet.make_policy(iot, policy, claim_policy(prefix, name))
        iot.attach_policy(policyName=policy, target=certificate_arn)
        undo(f"attachment of {policy}", iot.detach_policy, policyName=policy, target=certificate_arn)
        credentials.write(out, authority, made["certificatePem"].encode(), made["keyPair"]["PrivateKey"].encode())
    return Claim(name, template_arn, certificate_arn, policy, host, port, out)


def default_template(name: str, policy: str) -> str:
    """A template whose things are called NAME-SERIALNUMBER and may do what `ujobs thing create` lets a thing do.

    name: of the template. policy: name of the policy for devices.
    """
    certificate_id = "AWS::IoT::Certificate::Id"
    text = {"Type": "String"}
    thing_name = {"Fn::Join": ["", [f"{name}-", {"Ref": "SerialNumber"}]]}
    resources: dict[str, Any] = {
        "thing": {"Type": "AWS::IoT::Thing", "Properties": {"ThingName": thing_name}},
        "certificate": {
            "Type": "AWS::IoT::Certificate",
            "Properties": {"CertificateId": {"Ref": certificate_id}, "Status": "Active"},
        },
        "policy": {"Type": "AWS::IoT::Policy", "Properties": {"PolicyName": policy}},
    }
    return json.dumps({"Parameters": {"SerialNumber": text, certificate_id: text}, "Resources": resources})


def claim_policy(prefix: str, template: str) -> str:
    """The policy document of a claim for a template, as JSON text. prefix: "arn:{partition}:iot:{region}:{account}"."""
    topics = ("$aws/certificates/create/*", f"$aws/provisioning-templates/{template}/provision/*")
    statements = [
        {"Action": "iot:Connect", "Resource": f"{prefix}:client/claim-*"},
        {"Action": ["iot:Publish", "iot:Receive"], "Resource": [f"{prefix}:topic/{topic}" for topic in topics]},
        {"Action": "iot:Subscribe", "Resource": [f"{prefix}:topicfilter/{topic}" for topic in topics]},
    ]
    allowed = [{"Effect": "Allow", **statement} for statement in statements]
    return json.dumps({"Version": "2012-10-17", "Statement": allowed})
