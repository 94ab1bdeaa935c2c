"""The AWS IoT policy of a device with ujobs: it allows only the thing's own client id, Jobs topics and stream topics.

All things of an account and region share one policy. AWS replaces its variable `iot:Connection.Thing.ThingName` with
the name of the thing that the certificate is attached to, if the client id is that name (AWS IoT Core Developer Guide,
"Thing policy variables").
"""

import hashlib
import json
from collections.abc import Sequence

PREFIX = "ujobs-"  # begins the name of every policy that the tools create
_THING = "${iot:Connection.Thing.ThingName}"
_JOBS = f"$aws/things/{_THING}/jobs"
_STREAMS = f"$aws/things/{_THING}/streams"
# GetPendingJobExecutions, StartNextPendingJobExecution, DescribeJobExecution, UpdateJobExecution, and the request for
# a stream's blocks in CBOR. Replies and notifications are not listed: AWS forbids devices to publish them.
_REQUESTS = (
    f"{_JOBS}/get", f"{_JOBS}/start-next", f"{_JOBS}/*/get", f"{_JOBS}/*/update", f"{_STREAMS}/*/get/cbor",
)


def device_policy(thing_arn: str) -> str:
    """Return the policy document as JSON.

    thing_arn: ARN of any thing of the account and region, "arn:{partition}:iot:{region}:{account}:thing/{name}".
    """
    prefix = thing_arn.partition(":thing/")[0]
    statements = [
        {"Action": "iot:Connect", "Resource": f"{prefix}:client/{_THING}"},
        {"Action": "iot:Publish", "Resource": [f"{prefix}:topic/{topic}" for topic in _REQUESTS]},
        {"Action": "iot:Receive", "Resource": [f"{prefix}:topic/{_JOBS}/*", f"{prefix}:topic/{_STREAMS}/*"]},
        {
            "Action": "iot:Subscribe",
            "Resource": [f"{prefix}:topicfilter/{_JOBS}/*", f"{prefix}:topicfilter/{_STREAMS}/*"],
        },
    ]
    allowed = [{"Effect": "Allow", **statement} for statement in statements]
    return json.dumps({"Version": "2012-10-17", "Statement": allowed})


def topics_policy(thing_arn: str, topics: Sequence[str]) -> str:
    """Return the policy document, as JSON, that lets an application publish to its own topics and subscribe to them.

    thing_arn: see device_policy. topics: may contain `*` for any text and `${iot:Connection.Thing.ThingName}` for the
    thing name. Raises ValueError if one is empty, begins with $aws, or has a wildcard of MQTT, which policies read as
    that character.
    """
    for topic in topics:
        if not topic or topic.startswith("$aws"):
            raise ValueError(f"topic {topic!r} must not be empty or begin with $aws")
        if "#" in topic or "+" in topic:
            raise ValueError(f"topic {topic!r} has a wildcard of MQTT: write * for any text")
    prefix = thing_arn.partition(":thing/")[0]
    messages = [f"{prefix}:topic/{topic}" for topic in topics]
    filters = [f"{prefix}:topicfilter/{topic}" for topic in topics]
    allowed = [
        {"Effect": "Allow", "Action": ["iot:Publish", "iot:RetainPublish", "iot:Receive"], "Resource": messages},
        {"Effect": "Allow", "Action": "iot:Subscribe", "Resource": filters},
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": allowed})


def policy_name(document: str, kind: str = "device") -> str:
    """Return a policy name made from a hash of the document, so that policies with the same content have the same name.

    kind: "device", or "topics" for a topics_policy.
    """
    return f"{PREFIX}{kind}-" + hashlib.sha256(document.encode()).hexdigest()[:8]
