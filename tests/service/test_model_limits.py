"""Every limit in the service models applies: boto3 checks neither lengths, patterns nor enumerations."""

from collections.abc import Iterator
from typing import Any

import pytest
from http_service import Server, refused

from ujobs_tools.service.http_model import all_operations
from ujobs_tools.service.model_limits import broken


def _beyond(shape: Any) -> Iterator[Any]:
    """Values of a shape with exactly one limit broken, wherever in it that limit is."""
    match shape.type_name:
        case "structure":
            yield from ({name: value} for name, member in shape.members.items() for value in _beyond(member))
        case "list":
            if "max" in shape.metadata:
                yield [{}] * (shape.metadata["max"] + 1)
            yield from ([value] for value in _beyond(shape.member))
        case "map":
            item: Any = {} if shape.value.type_name == "structure" else "a"
            yield from ({value: item} for value in _beyond(shape.key))
            yield from ({"a": value} for value in _beyond(shape.value))
        case "string":
            if "enum" in shape.metadata:
                yield "NONE_OF_THEM"
            if "pattern" in shape.metadata and shape.metadata["pattern"] != r"[\s\S]*":
                yield "a\x07b"
            if "max" in shape.metadata:
                yield "a" * (shape.metadata["max"] + 1)
        case "integer" | "long" | "double":
            if "max" in shape.metadata:
                yield shape.metadata["max"] + 1
            elif shape.type_name == "integer":
                yield 1 << 31


def test_each_limit_of_each_operation_is_noticed(server: Server) -> None:
    tried = 0
    for service, name in server.operations:
        shape = all_operations().named(service, name).input
        for value in _beyond(shape) if shape is not None else ():
            assert list(broken(shape, value)), (name, value)
            tried += 1
    assert tried > 300


def test_a_message_names_the_member_and_its_limit() -> None:
    shape = all_operations().named("iot", "CreateStream").input
    files = [{"fileId": 256, "s3Location": {"bucket": "b", "key": "k"}}]
    assert list(broken(shape, {"streamId": "a b", "description": "x" * 2029, "files": files})) == [
        "streamId 'a b' must be 1 to 128 characters that match [a-zA-Z0-9_-]+",
        f"description {'x' * 130!r} must be 0 to 2028 characters that match [^\\p{{C}}]+",
        "files[0].fileId must be 0 to 255",
    ]
    shape = all_operations().named("iot", "CreateThing").input
    assert list(broken(shape, {"thingName": "a", "attributePayload": {"attributes": {"a b": "c"}}})) == [
        "attributePayload.attributes key 'a b' must be 0 to 128 characters that match [a-zA-Z0-9_.,@/:#-]+"
    ]


def test_text_that_a_pattern_allows_is_accepted() -> None:
    shape = all_operations().named("iot", "CancelJob").input
    assert not list(broken(shape, {"jobId": "a-1_B", "reasonCode": "A_1", "comment": "Öfen: größer → heißer 🔥"}))
    shape = all_operations().named("iot", "CreateThingGroup").input
    assert not list(broken(shape, {"thingGroupProperties": {"thingGroupDescription": "kilns, 2nd floor"}}))


@pytest.mark.parametrize(
    "change", [{"streamId": "a b"}, {"description": "x" * 2029}, {"files": [{"fileId": 1 << 70}]}]
)
def test_a_request_beyond_a_limit_is_refused(server: Server, change: dict[str, Any]) -> None:
    with refused("InvalidRequestException", 400):
        server.iot.create_stream(**{"streamId": "s", "roleArn": "r" * 20, "files": [{"fileId": 1}], **change})
