"""The IAM role with which a cloud creates things; MiniStack requires one, like AWS."""

import json

from clouds import Cloud
from ujobs_tools.aws import cloud

_ACTIONS = (
    "AddThingToThingGroup", "AttachPolicy", "AttachThingPrincipal", "CreatePolicy", "CreateThing", "UpdateCertificate",
)  # of those in the managed policy AWSIoTThingsRegistration


def make_role(where: Cloud) -> str | None:
    """Return the ARN of a new role in MiniStack; None for `ujobs serve`, which does not need one."""
    if where.serve:
        return None
    iam = cloud.client("iam", where.endpoint_url)
    trust = {"Effect": "Allow", "Principal": {"Service": "iot.amazonaws.com"}, "Action": "sts:AssumeRole"}
    allowed = {"Effect": "Allow", "Action": [f"iot:{action}" for action in _ACTIONS], "Resource": "*"}
    role = iam.create_role(RoleName="provisioning", AssumeRolePolicyDocument=_policy(trust))["Role"]
    iam.put_role_policy(RoleName="provisioning", PolicyName="provisioning", PolicyDocument=_policy(allowed))
    return role["Arn"]


def _policy(statement: dict[str, object]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
