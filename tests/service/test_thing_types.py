"""Thing types, and what things with one may do."""

from typing import Any

import pytest
from engine_service import START, Service

from ujobs_tools.service.errors import ApiError

MANY = {"attributes": {f"a{n}": "x" for n in range(50)}}


@pytest.fixture
def service() -> Service:
    found = Service()
    found.engine.create_thing_type("kiln", {"thingTypeDescription": "Kilns", "searchableAttributes": ["a", "b"]})
    return found


def refused(text: str) -> Any:
    return pytest.raises(ApiError, match=text)


def test_a_type_is_described(service: Service) -> None:
    described = service.engine.describe_thing_type("kiln")
    assert described["thingTypeArn"] == service.engine.arn("thingtype", "kiln")
    assert described["thingTypeProperties"] == {"thingTypeDescription": "Kilns", "searchableAttributes": ["a", "b"]}
    assert described["thingTypeMetadata"] == {"deprecated": False, "creationDate": START}
    service.engine.create_thing_type("oven")
    assert [found["thingTypeName"] for found in service.engine.list_thing_types()["thingTypes"]] == ["kiln", "oven"]
    assert len(service.engine.list_thing_types("oven")["thingTypes"]) == 1
    for call in (service.engine.describe_thing_type, service.engine.deprecate_thing_type):
        with refused("^ResourceNotFound: Thing type none not found"):
            call("none")


def test_creating_a_type_again_is_harmless_unless_it_differs(service: Service) -> None:
    again = {"thingTypeDescription": "Kilns", "searchableAttributes": ["b", "a"]}
    assert service.engine.create_thing_type("kiln", again)["thingTypeId"]
    with refused("^ResourceAlreadyExists"):
        service.engine.create_thing_type("kiln")
    with refused("the limit is 3"):
        service.engine.create_thing_type("more", {"searchableAttributes": ["a", "b", "c", "d"]})
    with refused("^NotImplemented: mqtt5Configuration"):
        service.engine.create_thing_type("more", {"mqtt5Configuration": {"propagatingAttributes": [{"x": "y"}]}})


def test_a_type_is_changed(service: Service) -> None:
    engine = service.engine

    def properties() -> Any:
        return engine.describe_thing_type("kiln")["thingTypeProperties"]

    engine.update_thing_type("kiln")
    assert properties() == {"thingTypeDescription": "Kilns", "searchableAttributes": ["a", "b"]}
    engine.update_thing_type("kiln", {"thingTypeDescription": "Ovens"})
    engine.update_thing_type("kiln", {"searchableAttributes": ["c"]})
    assert properties() == {"thingTypeDescription": "Ovens", "searchableAttributes": ["c"]}
    with refused("the limit is 3"):
        engine.update_thing_type("kiln", {"searchableAttributes": ["a", "b", "c", "d"]})
    with refused("^NotImplemented: mqtt5Configuration"):
        engine.update_thing_type("kiln", {"mqtt5Configuration": {"propagatingAttributes": [{"x": "y"}]}})
    with refused("^ResourceNotFound: Thing type none not found"):
        engine.update_thing_type("none", {})


def test_a_thing_with_a_type_may_have_fifty_attributes(service: Service) -> None:
    engine = service.engine
    engine.create_thing("k-1", MANY, "kiln")
    assert engine.create_thing("k-1", MANY, "kiln")["thingName"] == "k-1"
    with refused("^ResourceAlreadyExists"):
        engine.create_thing("k-1")
    with refused("the limit is 3"):
        engine.create_thing("k-2", MANY)
    with refused("the limit is 50"):
        engine.create_thing("k-2", {"attributes": MANY["attributes"] | {"b": "x"}}, "kiln")
    with refused("^ResourceNotFound"):
        engine.create_thing("k-2", thingTypeName="none")
    with refused("the limit is 3"):
        engine.update_thing("k-1", removeThingType=True)
    engine.update_thing("k-1", {"attributes": {"a": "x"}}, removeThingType=True)
    assert "thingTypeName" not in engine.describe_thing("k-1")
    engine.update_thing("k-1", thingTypeName="kiln")
    assert engine.describe_thing("k-1")["thingTypeName"] == "kiln"
    with refused("exclude each other"):
        engine.update_thing("k-1", thingTypeName="kiln", removeThingType=True)


def test_things_are_listed_by_type_and_by_the_beginning_of_a_value(service: Service) -> None:
    engine = service.engine
    for name, place, thing_type in (("a", "hall-1", "kiln"), ("b", "hall-2", None), ("c", "h_ll", "kiln")):
        engine.create_thing(name, {"attributes": {"place": place}}, thing_type)

    def listed(**wanted: Any) -> list[str]:
        return [thing["thingName"] for thing in engine.list_things(**wanted)["things"]]

    assert listed(thingTypeName="kiln") == ["a", "c"]
    assert listed(thingTypeName="none") == []
    hall: dict[str, Any] = {"attributeName": "place", "attributeValue": "hall"}
    assert listed(**hall) == []
    assert listed(**hall, usePrefixAttributeValue=True) == ["a", "b"]
    assert listed(**hall, usePrefixAttributeValue=True, thingTypeName="kiln") == ["a"]
    assert listed(attributeName="place", attributeValue="h_", usePrefixAttributeValue=True) == ["c"]


def test_a_deprecated_type_gets_no_things_and_can_be_deleted_later(service: Service) -> None:
    engine = service.engine
    engine.create_thing("k-1", thingTypeName="kiln")
    with refused("must be deprecated for at least 5 minutes"):
        engine.delete_thing_type("kiln")
    engine.deprecate_thing_type("kiln")
    for call in (engine.create_thing, engine.update_thing):
        if call == engine.update_thing:
            engine.create_thing("k-2")
        with refused("Thing type kiln is deprecated"):
            call("k-2", thingTypeName="kiln")
    engine.update_thing("k-1", {"attributes": {"a": "x"}}, thingTypeName="kiln")
    engine.deprecate_thing_type("kiln", undoDeprecate=True)
    engine.update_thing("k-2", thingTypeName="kiln")
    engine.deprecate_thing_type("kiln")
    service.clock.forward(299)
    with refused("must be deprecated for at least 5 minutes"):
        engine.delete_thing_type("kiln")
    service.clock.forward(1)
    with refused("with things associated"):
        engine.delete_thing_type("kiln")
    engine.delete_thing("k-1")
    engine.update_thing("k-2", removeThingType=True)
    engine.delete_thing_type("kiln")
    assert engine.list_thing_types()["thingTypes"] == []
