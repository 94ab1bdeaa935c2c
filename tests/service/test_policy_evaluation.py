"""Evaluation of policies without a service: AWS IoT's rules for statements, wildcards, variables and conditions."""

import itertools
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ujobs_tools.service import policy_evaluation
from ujobs_tools.service.policy_evaluation import Unsupported, evaluate, parse
from ujobs_tools.service.policy_template import Template, Values

ARN = "arn:aws:iot:us-east-1:000000000000"
THING = "${iot:Connection.Thing.ThingName}"
KILN: dict[str, Any] = {
    "iot:clientid": "kiln", "iot:connection.thing.thingname": "kiln", "iot:connection.thing.isattached": "true",
    "iot:connection.thing.attributes[line]": "7", "aws:sourceip": "192.168.4.7",
}


def statement(effect: str = "Allow", action: Any = "iot:Publish", resource: Any = f"{ARN}:topic/a", **more: Any) -> Any:
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


def document(*statements: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allowed(
    *statements: Any, action: str = "iot:Publish", name: str = "topic/a", values: Values | None = None
) -> bool:
    found = evaluate({"p": document(*statements)}, action, f"{ARN}:{name}", KILN if values is None else values)
    assert found.allowed == (not found.reason)
    return found.allowed


def test_nothing_is_allowed_without_a_statement_that_allows_it() -> None:
    assert not evaluate({}, "iot:Connect", f"{ARN}:client/kiln", {}).allowed
    assert not allowed()
    assert allowed(statement())
    assert not allowed(statement(), name="topic/b")
    assert not allowed(statement(), action="iot:Receive")
    assert not allowed(statement("Deny"))


def test_a_deny_wins_in_any_place() -> None:
    allow, deny = statement(resource="*"), statement("Deny")
    for order in itertools.permutations([allow, deny, allow]):
        assert not allowed(*order)
        assert allowed(*order, name="topic/b")
    both = {"one": document(allow), "two": document(deny)}
    assert evaluate(both, "iot:Publish", f"{ARN}:topic/a", {}).reason == (
        "statement 1 of policy two denies iot:Publish"
    )


@pytest.mark.parametrize(
    ("action", "matches"),
    [
        ("iot:Publish", True), ("iot:*", True), ("*", True), ("iot:P*", True), ("iot:Publis?", True),
        ("iot:publish", True), ("iot:RetainPublish", False), ("iot:Pub", False), ("iotjobsdata:*", False),
        (["iot:Connect", "iot:Publish"], True), (["iot:Connect"], False),
    ],
)
def test_actions(action: Any, matches: bool) -> None:
    assert allowed(statement(action=action)) == matches


@pytest.mark.parametrize(
    ("resource", "name", "matches"),
    [
        ("*", "topic/a", True),
        (f"{ARN}:*", "topic/a", True),
        ("arn:aws:iot:*:*:topic/a", "topic/a", True),
        ("arn:aws:iot:eu-west-1:000000000000:topic/a", "topic/a", False),
        (f"{ARN}:topic/*", "topic/a/b/c", True),
        (f"{ARN}:topic/*", "topicfilter/a", False),
        (f"{ARN}:topic/a*", "topic/a", True),
        (f"{ARN}:topic/a/*", "topic/a", False),
        (f"{ARN}:topic/*/c", "topic/a/b/c", True),
        (f"{ARN}:topic/*b*", "topic/abc", True),
        (f"{ARN}:topic/*b*b*", "topic/abc", False),
        (f"{ARN}:topic/a*a", "topic/a", False),
        (f"{ARN}:topic/a?", "topic/ab", True),
        (f"{ARN}:topic/a?", "topic/a", False),
        (f"{ARN}:topic/a?c*", "topic/abcd", True),
        (f"{ARN}:topic/a?c", "topic/a\nc", True),
        (f"{ARN}:topic/A", "topic/a", False),
        # MQTT's wildcards are ordinary characters.
        (f"{ARN}:topicfilter/a/+", "topicfilter/a/b", False),
        (f"{ARN}:topicfilter/a/+", "topicfilter/a/+", True),
        (f"{ARN}:topicfilter/a/#", "topicfilter/a/#", True),
        (f"{ARN}:topicfilter/a/#", "topicfilter/a/b", False),
        (f"{ARN}:topicfilter/a/*", "topicfilter/a/#", True),
        # Special characters of regular expressions are ordinary characters.
        (f"{ARN}:topic/a.c?", "topic/abcd", False),
        (f"{ARN}:topic/(a)?", "topic/(a)b", True),
        # Escapes.
        (f"{ARN}:topic/a${{*}}", "topic/a*", True),
        (f"{ARN}:topic/a${{*}}", "topic/ab", False),
        (f"{ARN}:topic/a${{?}}", "topic/a?", True),
        (f"{ARN}:topic/${{$}}aws", "topic/$aws", True),
        (f"{ARN}:topic/$aws/things/*", "topic/$aws/things/kiln/jobs/get", True),
        ([f"{ARN}:topic/x", f"{ARN}:topic/a"], "topic/a", True),
    ],
)
def test_resources(resource: Any, name: str, matches: bool) -> None:
    assert allowed(statement(resource=resource), name=name) == matches


@given(st.text("ab*?/$", max_size=8), st.text("ab*?/$", max_size=8))
def test_wildcards_as_a_regular_expression_has_them(pattern: str, text: str) -> None:
    expression = "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern)
    filled = Template(pattern).fill({})
    assert filled is not None
    assert filled.matches(text) == bool(re.fullmatch(expression, text))


@pytest.mark.parametrize(
    ("resource", "name", "matches"),
    [
        (f"{ARN}:client/{THING}", "client/kiln", True),
        (f"{ARN}:client/{THING}", "client/lathe", False),
        (f"{ARN}:topic/$aws/things/{THING}/jobs/*/get", "topic/$aws/things/kiln/jobs/x/get", True),
        (f"{ARN}:topic/{THING}/{THING}", "topic/kiln/kiln", True),
        (f"{ARN}:topic/${{iot:ClientId}}", "topic/kiln", True),
        (f"{ARN}:topic/${{IOT:clientid}}", "topic/kiln", True),
        (f"{ARN}:topic/${{iot:Connection.Thing.Attributes[line]}}/x", "topic/7/x", True),
        (f"{ARN}:topic/${{iot:Connection.Thing.Attributes[none]}}", "topic/", False),
        # A variable without a value does not match its own text, either.
        (f"{ARN}:topic/${{none}}", "topic/${none}", False),
        ("*${none}", "topic/a", False),
    ],
)
def test_variables(resource: str, name: str, matches: bool) -> None:
    assert allowed(statement(resource=resource), name=name) == matches


@pytest.mark.parametrize("client_id", ["*", "a?", "kiln*"])
def test_a_value_with_a_wildcard_is_treated_as_missing(client_id: str) -> None:
    resource = f"{ARN}:topic/${{iot:ClientId}}"
    for name in ("topic/kiln", "topic/ab", f"topic/{client_id}"):
        assert not allowed(statement(resource=resource), name=name, values={"iot:clientid": client_id})


def test_a_deny_whose_variable_has_no_value_denies_nothing() -> None:
    deny = statement("Deny", resource=f"{ARN}:topic/${{none}}*")
    assert allowed(statement(), deny)


def test_the_reason_names_the_missing_statement() -> None:
    assert evaluate({}, "iot:Connect", "x", {}).reason == (
        "no policy is attached to its certificate, so iot:Connect is not allowed"
    )
    one = {"boards": document(statement(action="iot:Connect", resource=f"{ARN}:client/{THING}"), statement())}
    assert evaluate(one, "iot:Connect", f"{ARN}:client/x", {}).reason == (
        f"no statement of policy boards allows iot:Connect on {ARN}:client/x; {THING} has no value"
    )
    two = one | {"application": document(statement())}
    assert evaluate(two, "iot:Publish", f"{ARN}:topic/b", KILN).reason == (
        f"no statement of the policies application, boards allows iot:Publish on {ARN}:topic/b"
    )


ATTRIBUTES = "iot:ConnectAttributes"
LISTS: list[Any] = [[], ["PersistentConnect"], ["LastWill"], ["PersistentConnect", "LastWill"]]
NONE, STAYS, WILL, BOTH = LISTS


@pytest.mark.parametrize(
    ("operator", "expected", "holds"),
    [
        # The examples of "Connect policy examples", with each of the four kinds of CONNECT.
        ("ForAllValues:StringEquals", STAYS, [True, True, False, False]),
        ("ForAllValues:StringNotEquals", STAYS, [True, False, True, False]),
        ("ForAnyValue:StringEquals", STAYS, [False, True, False, True]),
        ("ForAllValues:StringEquals", BOTH, [True, True, True, True]),
        ("ForAllValues:StringEquals", WILL, [True, False, True, False]),
        ("ForAllValues:StringEquals", NONE, [True, False, False, False]),
        ("ForAnyValue:StringNotEquals", STAYS, [False, False, True, True]),
        ("StringEquals", "LastWill", [False, False, True, True]),
        ("StringNotEquals", "LastWill", [True, True, False, False]),
    ],
)
def test_conditions_on_lists(operator: str, expected: Any, holds: list[bool]) -> None:
    condition = {operator: {ATTRIBUTES: expected}}
    for attributes, expected_result in zip(LISTS, holds, strict=True):
        values = {"iot:connectattributes": tuple(attributes)}
        assert allowed(statement(Condition=condition), values=values) == expected_result, attributes


@pytest.mark.parametrize(
    ("operator", "key", "expected", "holds"),
    [
        ("Bool", "iot:Connection.Thing.IsAttached", "true", True),
        ("Bool", "iot:Connection.Thing.IsAttached", ["true"], True),
        ("Bool", "iot:Connection.Thing.IsAttached", True, True),
        ("Bool", "iot:Connection.Thing.IsAttached", "false", False),
        ("Bool", "iot:connection.thing.isattached", "True", True),
        ("StringEquals", "iot:Connection.Thing.ThingName", "kiln", True),
        ("StringEquals", "iot:Connection.Thing.ThingName", ["lathe", "kiln"], True),
        ("StringEquals", "iot:Connection.Thing.ThingName", "k*", False),
        ("StringEquals", "iot:Connection.Thing.ThingName", "${iot:ClientId}", True),
        ("StringEquals", "iot:Connection.Thing.ThingName", "${none}", False),
        ("StringEquals", "iot:Connection.Thing.ThingName", "Kiln", False),
        ("StringEqualsIgnoreCase", "iot:Connection.Thing.ThingName", "Kiln", True),
        ("StringNotEqualsIgnoreCase", "iot:Connection.Thing.ThingName", "Kiln", False),
        ("StringLike", "iot:Connection.Thing.ThingName", "k*n", True),
        ("StringLike", "iot:Connection.Thing.ThingName", "k?n", False),
        ("StringNotLike", "iot:Connection.Thing.ThingName", ["x*", "k*"], False),
        ("StringNotLike", "iot:Connection.Thing.ThingName", ["x*", "y*"], True),
        ("ArnEquals", "iot:LastWillTopic", "arn:aws:iot:*:*:topic/my/*", False),
        ("IpAddress", "aws:SourceIp", "192.168.0.0/16", True),
        ("IpAddress", "aws:SourceIp", ["10.0.0.0/8", "192.168.4.7"], True),
        ("IpAddress", "aws:SourceIp", "10.0.0.0/8", False),
        ("NotIpAddress", "aws:SourceIp", "10.0.0.0/8", True),
        # Keys without a value.
        ("StringEquals", "none", "x", False), ("StringNotEquals", "none", "x", True),
        ("StringEqualsIfExists", "none", "x", True), ("ForAllValues:StringEquals", "none", "x", True),
        ("ForAnyValue:StringEquals", "none", "x", False), ("ForAnyValue:StringNotEquals", "none", "x", False),
        ("StringEqualsIfExists", "iot:ClientId", "x", False),
    ],
)
def test_conditions(operator: str, key: str, expected: Any, holds: bool) -> None:
    assert allowed(statement(Condition={operator: {key: expected}})) == holds


def test_every_condition_of_a_statement_has_to_hold() -> None:
    good, bad = {"iot:ClientId": "kiln"}, {"aws:SourceIp": "1.2.3.4"}
    assert allowed(statement(Condition={"StringEquals": good}))
    assert not allowed(statement(Condition={"StringEquals": {**good, **bad}}))
    assert not allowed(statement(Condition={"StringEquals": good, "StringLike": bad}))


def test_a_will_on_a_topic() -> None:
    condition = {"ArnEquals": {"iot:LastWillTopic": "arn:aws:iot:*:*:topic/*my/topic"}}
    for topic, expected in (("my/topic", True), ("my/other", False)):
        values = {"iot:lastwilltopic": f"{ARN}:topic/{topic}"}
        assert allowed(statement(Condition=condition), values=values) == expected


@pytest.mark.parametrize(
    "wrong",
    [
        "", "{", "[]", "{}", '"text"', '{"Statement": "text"}', '{"Version": "2020-01-01", "Statement": []}',
        document("text"), document({}), document(statement("allow")), document(statement(action=[])),
        document(statement(action="Publish")), document(statement(action=5)), document(statement(resource=None)),
        document(statement(resource=[])), document(statement(resource="${unclosed")),
        document(statement(resource="a\0")), document(statement(action="iot:${x}")),
        document(statement(NotAction="iot:Connect")), document(statement(Principal="*")),
        document(statement(Condition=[])), document(statement(Condition={"StringEquals": "x"})),
        document(statement(Condition={"ForSome:StringEquals": {"a": "b"}})),
        document(statement(Condition={"StringEquals": {"a": 5}})),
        document(statement(Condition={"IpAddress": {"aws:SourceIp": "here"}})),
        document(statement(resource="x" * policy_evaluation.MAX_DOCUMENT)),
    ],
)
def test_malformed_policies(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse(wrong)


def test_unsupported_policies_are_refused() -> None:
    for operator in ("NumericEquals", "DateGreaterThan", "Null", "BinaryEquals"):
        with pytest.raises(Unsupported, match=operator):
            parse(document(statement(Condition={operator: {"a": "1"}})))


def test_white_space_does_not_count_towards_the_size() -> None:
    assert parse(document(statement()) + " " * policy_evaluation.MAX_DOCUMENT)


def test_statements_may_be_given_alone_and_policies_may_be_empty() -> None:
    assert len(parse(json.dumps({"Version": "2012-10-17", "Statement": statement()}))) == 1
    assert parse(document()) == ()
