"""The AWS IoT policy of a device that runs ujobs: its own client id, its own Jobs and streams topics, nothing else.

One policy serves all things of an account and region: the policy variable `iot:Connection.Thing.ThingName` stands for
the thing that the certificate is attached to, when the client id is that thing's name (AWS IoT Core Developer Guide,
"Thing policy variables").
"""

import hashlib
import json
from collections.abc import Sequence

PREFIX = "ujobs-"  # of the names of all policies that the tools make
_THING = "${iot:Connection.Thing.ThingName}"
_JOBS = f"$aws/things/{_THING}/jobs"
_STREAMS = f"$aws/things/{_THING}/streams"
# The four operations: GetPendingJobExecutions, StartNextPendingJobExecution, DescribeJobExecution,
# UpdateJobExecution; and the request for a stream's blocks, which the library makes in CBOR. Replies and notifications
# are only received: AWS forbids devices to publish them.
_REQUESTS = (
    f"{_JOBS}/get", f"{_JOBS}/start-next", f"{_JOBS}/*/get", f"{_JOBS}/*/update", f"{_STREAMS}/*/get/cbor",
)


def device_policy(thing_arn: str) -> str:
    """The policy document as JSON text.

    thing_arn: of any thing of the account and region, "arn:{partition}:iot:{region}:{account}:thing/{name}".
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
    """The policy document, as JSON text, that lets an application publish, subscribe and receive on its own topics.

    thing_arn: as for device_policy. topics: as policies have them, where `*` is any text and
    `${iot:Connection.Thing.ThingName}` the thing; none of them reserved (`$`).
    """
    for topic in topics:
        if not topic or topic.startswith("$aws"):
            raise ValueError(f"topic {topic!r} must be an application's own: $aws topics are not")
    prefix = thing_arn.partition(":thing/")[0]
    messages = [f"{prefix}:topic/{topic}" for topic in topics]
    filters = [f"{prefix}:topicfilter/{topic}" for topic in topics]
    allowed = [
        {"Effect": "Allow", "Action": ["iot:Publish", "iot:RetainPublish", "iot:Receive"], "Resource": messages},
        {"Effect": "Allow", "Action": "iot:Subscribe", "Resource": filters},
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": allowed})


def policy_name(document: str, kind: str = "device") -> str:
    """A name that goes with the content, so that a policy of this name is this policy and can be shared.

    kind: "device", or "topics" for a topics_policy.
    """
    return f"{PREFIX}{kind}-" + hashlib.sha256(document.encode()).hexdigest()[:8]
