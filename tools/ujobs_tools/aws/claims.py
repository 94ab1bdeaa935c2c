"""Creates claims, with boto3 calls that work on AWS, on `ujobs serve` and on MiniStack.

With a claim, every board of a production line can start from the same image. A claim is a certificate with one
permission: to request a certificate of its own, for which a provisioning template creates the thing (AWS IoT Core
Developer Guide, "Provisioning devices that don't have device certificates using fleet provisioning").
"""

import json
import re
from pathlib import Path
from typing import Any

from ujobs_tools.aws import cloud, fleet
from ujobs_tools.aws.cloud import WrongInput
from ujobs_tools.host.processes import uninterrupted
from ujobs_tools.keys import credentials

MAX_BODY = 10240
_NAME = re.compile(r"[0-9A-Za-z_-]{1,36}")
_ANY_ROLE = "arn:aws:iam::000000000000:role/provisioning"  # `ujobs serve` and MiniStack do not check roles


class Claim(fleet.Identity):
    """A new provisioning template and the certificate that is a claim for it."""


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
    """Create an enabled provisioning template and a claim for it; write the claim's key and certificates to `out`.

    name: name of the template, 1 to 36 characters of [0-9A-Za-z_-]. body: the template as JSON, at most 10240
    characters; None for `default_template`. role_arn: IAM role with which AWS IoT creates things; it has the managed
    policy AWSIoTThingsRegistration. Only AWS needs it. Other arguments and errors: see fleet.create_thing. If a step
    fails, everything that was created in the cloud is removed, except policies.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"template name {name!r} must be 1 to 36 characters of 0-9 A-Z a-z _ -")
    if body is not None and len(body) > MAX_BODY:
        raise ValueError(f"templateBody has {len(body)} characters; the limit is {MAX_BODY}")
    if role_arn is None and endpoint_url is None:
        raise WrongInput("on AWS, --role-arn must name an IAM role that has the policy AWSIoTThingsRegistration")
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
        with uninterrupted():
            template_arn = iot.create_provisioning_template(
                templateName=name, templateBody=body, enabled=True, provisioningRoleArn=role_arn or _ANY_ROLE
            )["templateArn"]
            undo(f"template {name}", iot.delete_provisioning_template, templateName=name)
        policy = f"ujobs-claim-{name}"
        fleet.make_policy(iot, policy, claim_policy(prefix, name))
        with uninterrupted():
            iot.attach_policy(policyName=policy, target=certificate_arn)
            undo(f"attachment of {policy}", iot.detach_policy, policyName=policy, target=certificate_arn)
        credentials.write(out, authority, made["certificatePem"].encode(), made["keyPair"]["PrivateKey"].encode())
    return Claim(name, template_arn, certificate_arn, policy, host, port, out)


def default_template(name: str, policy: str) -> str:
    """Return a template that names things NAME-SERIALNUMBER and gives them one policy.

    name: name of the template. policy: name of the policy, for example of fleet.make_device_policy.
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
    """Return the policy document of a claim, as JSON. prefix: "arn:{partition}:iot:{region}:{account}"."""
    topics = ("$aws/certificates/create/*", f"$aws/provisioning-templates/{template}/provision/*")
    statements = [
        {"Action": "iot:Connect", "Resource": f"{prefix}:client/claim-*"},
        {"Action": ["iot:Publish", "iot:Receive"], "Resource": [f"{prefix}:topic/{topic}" for topic in topics]},
        {"Action": "iot:Subscribe", "Resource": [f"{prefix}:topicfilter/{topic}" for topic in topics]},
    ]
    allowed = [{"Effect": "Allow", **statement} for statement in statements]
    return json.dumps({"Version": "2012-10-17", "Statement": allowed})
