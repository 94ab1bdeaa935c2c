"""The policy of `ujobs thing create`: it allows the topics that boards of all versions use, and no others."""

import json
import re
from pathlib import Path

import pytest

from ujobs_tools.aws import policy
from ujobs_tools.service.policy_evaluation import MAX_DOCUMENT, evaluate, parse

PREFIX = "arn:aws:iot:eu-west-1:123456789012"
NAME = "kiln:7"
STREAMS = Path(__file__).parents[2] / "lib" / "ujobs" / "streams.py"


def allows(action: str, kind: str, name: str, thing: str = NAME) -> bool:
    values = {"iot:clientid": thing, "iot:connection.thing.thingname": thing}
    document = policy.device_policy(f"{PREFIX}:thing/any")
    return evaluate({"p": document}, f"iot:{action}", f"{PREFIX}:{kind}/{name}", values).allowed


@pytest.mark.parametrize(
    ("action", "kind", "name"),
    [
        ("Connect", "client", NAME),
        *(("Publish", "topic", f"$aws/things/{NAME}/jobs/{rest}") for rest in (
            "get", "start-next", "$next/get", "job-1/get", "job-1/update")),
        ("Publish", "topic", f"$aws/things/{NAME}/streams/AFR_OTA-1/get/cbor"),
        # Boards of every version: one filter for all, or one for each kind of message.
        *(("Subscribe", "topicfilter", f"$aws/things/{NAME}/jobs/{rest}") for rest in (
            "#", "notify", "notify-next", "get/+", "start-next/+", "+/get/+", "+/update/+", "+/+/accepted")),
        *(("Receive", "topic", f"$aws/things/{NAME}/jobs/{rest}") for rest in (
            "notify", "notify-next", "start-next/accepted", "job-1/update/rejected", "$next/get/accepted")),
        *((action, kind, f"$aws/things/{NAME}/streams/s/{rest}/cbor") for rest in ("data", "rejected")
          for action, kind in (("Subscribe", "topicfilter"), ("Receive", "topic"))),
    ],
)
def test_it_allows_the_topics_of_boards(action: str, kind: str, name: str) -> None:
    assert allows(action, kind, name)
    assert not allows(action, kind, name, thing="lathe"), "but for its own thing only"


@pytest.mark.parametrize(
    ("action", "kind", "name"),
    [
        ("Connect", "client", "other"), ("Publish", "topic", "application"), ("Subscribe", "topicfilter", "#"),
        ("Publish", "topic", f"$aws/things/{NAME}/shadow/update"), ("Subscribe", "topicfilter", "$aws/things/+/jobs/#"),
        ("Publish", "topic", f"$aws/things/{NAME}/jobs/notify-next"),
        ("Publish", "topic", f"$aws/things/{NAME}/jobs/start-next/accepted"),
        ("Publish", "topic", f"$aws/things/{NAME}/streams/s/get/json"),
        ("RetainPublish", "topic", f"$aws/things/{NAME}/jobs/get"), ("DeleteThing", "topic", "a"),
    ],
)
def test_it_allows_nothing_else(action: str, kind: str, name: str) -> None:
    assert not allows(action, kind, name)


def test_the_forms_of_streams_are_those_of_the_library() -> None:
    source = STREAMS.read_text()
    forms = set(re.findall(r'b"(get|data|rejected)/(\w+)"', source))
    assert forms == {("get", "cbor"), ("data", "cbor"), ("rejected", "cbor")}
    for operation, form in forms:
        action = "Publish" if operation == "get" else "Receive"
        assert allows(action, "topic", f"$aws/things/{NAME}/streams/s/{operation}/{form}")


def test_the_policy_fits_with_the_longest_account_prefix() -> None:
    longest = f"arn:aws-us-gov:iot:ap-southeast-99:{'9' * 12}:thing/any"
    document = policy.device_policy(longest)
    assert parse(document)
    assert len("".join(document.split())) <= MAX_DOCUMENT


def test_topics_of_the_application() -> None:
    document = policy.topics_policy(f"{PREFIX}:thing/any", ["sensors/${iot:Connection.Thing.ThingName}", "all/*"])
    values = {"iot:connection.thing.thingname": NAME}
    for action, kind in (
        ("Publish", "topic"), ("RetainPublish", "topic"), ("Receive", "topic"), ("Subscribe", "topicfilter")
    ):
        for name, expected in ((f"sensors/{NAME}", True), ("sensors/x", False), ("all/x/y", True), ("other", False)):
            found = evaluate({"p": document}, f"iot:{action}", f"{PREFIX}:{kind}/{name}", values)
            assert found.allowed == expected, (action, name)
    for wrong in ("", "$aws/things/x"):
        with pytest.raises(ValueError, match="topic"):
            policy.topics_policy(f"{PREFIX}:thing/any", [wrong])
    assert json.loads(document)["Version"] == "2012-10-17"
