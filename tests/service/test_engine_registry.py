"""Things, certificates and their attachments."""

from typing import Any

import pytest
from engine_service import NOTHING, START, Service

from ujobs_tools.service.engine import Engine
from ujobs_tools.service.errors import ApiError

ID = "ab" * 32


@pytest.fixture
def engine() -> Engine:
    return Service().engine


def refused(code: str) -> Any:
    return pytest.raises(ApiError, match=f"^{code}: ")


def test_things(engine: Engine) -> None:
    created = engine.create_thing("line:kiln_1-a", {"attributes": {"floor": "2"}})
    assert created["thingArn"] == "arn:aws:iot:us-east-1:000000000000:thing/line:kiln_1-a"
    assert engine.create_thing("line:kiln_1-a", {"attributes": {"floor": "2"}}) == created
    with refused("ResourceAlreadyExists"):
        engine.create_thing("line:kiln_1-a", {"attributes": {"floor": "3"}})
    assert engine.describe_thing("line:kiln_1-a") == {
        **created, "defaultClientId": "line:kiln_1-a", "attributes": {"floor": "2"}, "version": 1,
    }


@pytest.mark.parametrize("name", ["", "a b", "a/b", "x" * 129])
def test_thing_names_that_are_refused(engine: Engine, name: str) -> None:
    with refused("InvalidRequest"):
        engine.create_thing(name)


@pytest.mark.parametrize("attributes", [{f"a{index}": "" for index in range(4)}, {"a b": "v"}, {"a": "v v"}])
def test_attributes_that_are_refused(engine: Engine, attributes: dict[str, str]) -> None:
    with refused("InvalidRequest"):
        engine.create_thing("kiln", {"attributes": attributes})


def test_listing_things_by_name_and_attribute(engine: Engine) -> None:
    for index in range(5):
        engine.create_thing(f"thing-{index}", {"attributes": {"floor": str(index % 2)}})
    first = engine.list_things(maxResults=3)
    rest = engine.list_things(maxResults=3, nextToken=first["nextToken"])
    names = [thing["thingName"] for thing in first["things"] + rest["things"]]
    assert names == [f"thing-{index}" for index in range(5)]
    assert "nextToken" not in rest
    upstairs = engine.list_things(attributeName="floor", attributeValue="1")["things"]
    assert [thing["thingName"] for thing in upstairs] == ["thing-1", "thing-3"]


def test_deleting_things_keeps_their_executions() -> None:
    service = Service()
    service.job("a")
    with refused("VersionConflict"):
        service.engine.delete_thing("kiln", expectedVersion=2)
    service.engine.delete_thing("kiln", expectedVersion=1)
    service.engine.delete_thing("kiln")
    with refused("ResourceNotFound"):
        service.engine.describe_thing("kiln")
    assert len(service.engine.list_job_executions_for_thing("kiln")["executionSummaries"]) == 1


def test_changes_of_identity_and_permissions_are_reported(engine: Engine) -> None:
    reviews: list[int] = []
    engine.on_identity_change = lambda: reviews.append(engine.rights_version)
    engine.create_thing("kiln")
    engine.create_thing_group("kilns")
    arn = engine.register_certificate(ID, "PEM", active=False)
    engine.create_policy("connect", NOTHING)
    group = engine.arn("thinggroup", "kilns")
    more = (
        lambda: engine.update_certificate(ID, "ACTIVE"), lambda: engine.attach_thing_principal("kiln", arn),
        lambda: engine.attach_policy("connect", arn), lambda: engine.attach_policy("connect", group),
        lambda: engine.add_thing_to_thing_group("kilns", thingName="kiln"),
    )
    less = (
        lambda: engine.remove_thing_from_thing_group("kilns", thingName="kiln"),
        lambda: engine.detach_policy("connect", group), lambda: engine.detach_policy("connect", arn),
        lambda: engine.detach_thing_principal("kiln", arn), lambda: engine.update_certificate(ID, "REVOKED"),
        lambda: engine.update_thing("kiln", {"attributes": {"a": "1"}}),
    )
    for change in more + less:
        version = engine.rights_version
        reviews.clear()
        change()
        assert engine.rights_version > version, "clients read their permissions again"
        assert bool(reviews) == (change in less), "only a loss of permissions triggers a review of all clients"


def test_a_certificate_and_its_thing_are_deleted_in_order(engine: Engine) -> None:
    engine.create_thing("kiln")
    arn = engine.register_certificate(ID, "PEM", active=True)
    engine.attach_thing_principal("kiln", arn)
    engine.create_policy("connect", NOTHING)
    engine.attach_policy("connect", arn)
    with refused("InvalidRequest"):
        engine.delete_thing("kiln")
    with refused("CertificateState"):
        engine.delete_certificate(ID)
    engine.update_certificate(ID, "INACTIVE")
    with refused("DeleteConflict"):
        engine.delete_certificate(ID)
    with refused("DeleteConflict"):
        engine.delete_policy("connect")
    engine.detach_policy("connect", arn)
    engine.detach_thing_principal("kiln", arn)
    engine.delete_certificate(ID)
    with refused("ResourceNotFound"):
        engine.describe_certificate(ID)
    engine.delete_policy("connect")
    engine.delete_thing("kiln")


def test_describe_certificate(engine: Engine) -> None:
    arn = engine.register_certificate(ID, "PEM", active=True)
    described = engine.describe_certificate(ID)["certificateDescription"]
    assert (described["certificateArn"], described["status"], described["creationDate"]) == (arn, "ACTIVE", START)


def test_attaching_missing_objects(engine: Engine) -> None:
    engine.create_thing("kiln")
    arn = engine.register_certificate(ID, "PEM", active=True)
    unknown = arn.replace(ID, "cd" * 32)
    for call in (
        lambda: engine.attach_thing_principal("kiln", unknown), lambda: engine.attach_thing_principal("oven", arn),
        lambda: engine.attach_policy("connect", arn), lambda: engine.get_policy("connect"),
        lambda: engine.delete_policy("connect"), lambda: engine.update_certificate("cd" * 32, "ACTIVE"),
    ):
        with refused("ResourceNotFound"):
            call()
    with refused("InvalidRequest"):
        engine.attach_thing_principal("kiln", "arn:aws:iot:us-east-1:000000000000:thing/kiln")
