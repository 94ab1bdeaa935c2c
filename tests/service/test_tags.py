"""Tags: given when a resource is created, changed later, gone with the resource."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from engine_service import NOTHING
from http_service import Server, refused

TAGS = [{"Key": "line", "Value": "2 ü"}, {"Key": "empty", "Value": ""}]
ROLE = "arn:aws:iam::000000000000:role/any"


def tags(server: Server, arn: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = server.iot.list_tags_for_resource(resourceArn=arn)["tags"]
    return found


def job(iot: Any, **given: Any) -> str:
    target = iot.create_thing(thingName="kiln")["thingArn"]
    return iot.create_job(jobId="tagged", targets=[target], document="{}", **given)["jobArn"]


def template(iot: Any, **given: Any) -> str:
    return iot.create_job_template(jobTemplateId="tagged", description="x", document="{}", **given)["jobTemplateArn"]


def group(iot: Any, **given: Any) -> str:
    return iot.create_thing_group(thingGroupName="tagged", **given)["thingGroupArn"]


def thing_type(iot: Any, **given: Any) -> str:
    return iot.create_thing_type(thingTypeName="tagged", **given)["thingTypeArn"]


def policy(iot: Any, **given: Any) -> str:
    return iot.create_policy(policyName="tagged", policyDocument=NOTHING, **given)["policyArn"]


def stream(iot: Any, **given: Any) -> str:
    files = [{"fileId": 0, "s3Location": {"bucket": "b", "key": "k"}}]
    return iot.create_stream(streamId="tagged", roleArn=ROLE, files=files, **given)["streamArn"]


def provisioning(iot: Any, **given: Any) -> str:
    body = '{"Resources": {"certificate": {"Type": "AWS::IoT::Certificate"}}}'
    return iot.create_provisioning_template(
        templateName="tagged", templateBody=body, provisioningRoleArn=ROLE, **given
    )["templateArn"]


KINDS = {
    job: lambda iot: iot.delete_job(jobId="tagged", force=True),
    template: lambda iot: iot.delete_job_template(jobTemplateId="tagged"),
    group: lambda iot: iot.delete_thing_group(thingGroupName="tagged"),
    policy: lambda iot: iot.delete_policy(policyName="tagged"),
    stream: lambda iot: iot.delete_stream(streamId="tagged"),
    provisioning: lambda iot: iot.delete_provisioning_template(templateName="tagged"),
}


@pytest.mark.parametrize("create", KINDS)
def test_a_resource_has_tags_until_it_is_deleted(server: Server, create: Callable[..., str]) -> None:
    server.objects.put("b", "k", b"x")
    iot = server.iot
    with refused("InvalidRequestException", 400):
        create(iot, tags=[{"Key": "aws:x", "Value": "y"}])
    arn = create(iot, tags=TAGS)
    assert tags(server, arn) == TAGS
    iot.tag_resource(resourceArn=arn, tags=[{"Key": "line", "Value": "3"}, {"Key": "new", "Value": "x"}])
    iot.untag_resource(resourceArn=arn, tagKeys=["empty", "never there"])
    assert tags(server, arn) == [{"Key": "line", "Value": "3"}, {"Key": "new", "Value": "x"}]
    KINDS[create](iot)
    assert tags(server, arn) == []
    with refused("ResourceNotFoundException", 404):
        iot.tag_resource(resourceArn=arn, tags=TAGS)
    assert tags(server, create(iot)) == []
    KINDS[create](iot)


def test_a_thing_type_has_tags_until_it_is_deleted(server: Server) -> None:
    arn = thing_type(server.iot, tags=TAGS)
    assert tags(server, arn) == TAGS
    server.iot.deprecate_thing_type(thingTypeName="tagged")
    server.run(lambda service: service.clock.forward(300))
    server.iot.delete_thing_type(thingTypeName="tagged")
    assert tags(server, arn) == []


def test_a_group_that_exists_keeps_its_tags(server: Server) -> None:
    arn = group(server.iot, tags=TAGS)
    assert group(server.iot, tags=TAGS[:1]) == arn
    assert tags(server, arn) == TAGS


@pytest.mark.parametrize(
    ("arn", "message"),
    [
        ("not an ARN", "Invalid arn in request"), ("arn:aws:s3:::bucket/k", "Invalid arn in request"),
        ("arn:aws:iot:us-east-1:000000000000:shadow/x", "Invalid arn in request"),
        ("arn:aws:iot:us-east-1:000000000000:thing/kiln", "Invalid resource type in ARN: thing"),
        ("arn:aws:iot:us-east-1:123456789012:job/tagged", "doesn't belong in requester's account"),
        ("arn:aws:iot:us-east-1:000000000000:job/none", "Job none cannot be found"),
        ("arn:aws:iot:us-east-1:000000000000:job/..%2F", "cannot be found"),
        ("arn:aws:iot:eu-west-1:000000000000:thinggroup/tagged", "Thing Group tagged does not exist"),
    ],
)
def test_resources_that_cannot_have_tags(server: Server, arn: str, message: str) -> None:
    group(server.iot)
    with pytest.raises(ClientError, match=message):
        server.iot.tag_resource(resourceArn=arn, tags=TAGS)
    with pytest.raises(ClientError, match=message):
        server.iot.untag_resource(resourceArn=arn, tagKeys=["x"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "validated collection is empty"), ([{"Key": "AWS:x", "Value": "y"}], 'cannot begin with "aws:"'),
        ([{"Key": "x"}], "should have keys and values"), ([{"Key": "x" * 129, "Value": ""}], "1 to 128 characters"),
        ([{"Key": "a*b", "Value": ""}], "must be 1 to 128 characters that match"),
        ([{"Key": "x", "Value": "y" * 257}], "256 characters"),
        ([{"Key": f"k{n}", "Value": ""} for n in range(51)], "Too many tags"),
    ],
)
def test_tags_that_are_refused(server: Server, given: list[dict[str, str]], message: str) -> None:
    arn = group(server.iot)
    with pytest.raises(server.iot.exceptions.InvalidRequestException, match=message):
        server.iot.tag_resource(resourceArn=arn, tags=given)


def test_at_most_fifty_tags(server: Server) -> None:
    arn = group(server.iot, tags=[{"Key": f"k{n}", "Value": ""} for n in range(50)])
    server.iot.tag_resource(resourceArn=arn, tags=[{"Key": "k1", "Value": "changed"}])
    with pytest.raises(ClientError, match="Too many tags"):
        server.iot.tag_resource(resourceArn=arn, tags=[{"Key": "more", "Value": ""}])
    with pytest.raises(ClientError, match="validated collection is empty"):
        server.iot.untag_resource(resourceArn=arn, tagKeys=[])
