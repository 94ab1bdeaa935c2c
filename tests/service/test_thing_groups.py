"""Static thing groups: hierarchies, members, and SNAPSHOT jobs for them; UpdateThing."""

from typing import Any

import pytest
from engine_service import START, Service

from ujobs_tools.service.engine import Engine
from ujobs_tools.service.errors import ApiError

ARN = "arn:aws:iot:us-east-1:000000000000"


@pytest.fixture
def engine() -> Engine:
    """An engine with the groups plant, plant/hall, plant/hall/line and spare."""
    found = Service().engine
    found.create_thing_group("plant")
    found.create_thing_group("hall", "plant")
    found.create_thing_group("line", "hall")
    found.create_thing_group("spare")
    return found


def refused(code: str) -> Any:
    return pytest.raises(ApiError, match=f"^{code}: ")


def names(reply: dict[str, Any]) -> list[str]:
    return [group["groupName"] for group in reply["thingGroups"]]


def join(engine: Engine, group: str, *things: str) -> None:
    for thing in things:
        engine.create_thing(thing)
        engine.add_thing_to_thing_group(group, thingName=thing)


def test_create_and_describe() -> None:
    engine = Service().engine
    created = engine.create_thing_group(
        "plant", thingGroupProperties={"thingGroupDescription": "all", "attributePayload": {"attributes": {"a": "1"}}}
    )
    assert created["thingGroupArn"] == f"{ARN}:thinggroup/plant"
    assert engine.describe_thing_group("plant") == {
        **created, "version": 1, "thingGroupMetadata": {"creationDate": START},
        "thingGroupProperties": {"thingGroupDescription": "all", "attributePayload": {"attributes": {"a": "1"}}},
    }


def test_a_group_knows_the_groups_above_it(engine: Engine) -> None:
    assert engine.describe_thing_group("line")["thingGroupMetadata"] == {
        "creationDate": START, "parentGroupName": "hall",
        "rootToParentThingGroups": [
            {"groupName": "plant", "groupArn": f"{ARN}:thinggroup/plant"},
            {"groupName": "hall", "groupArn": f"{ARN}:thinggroup/hall"},
        ],
    }


def test_creating_a_group_again(engine: Engine) -> None:
    hall = engine.describe_thing_group("hall")
    assert engine.create_thing_group("hall", "plant")["thingGroupId"] == hall["thingGroupId"]
    for parent, properties in (("spare", {}), (None, {}), ("plant", {"thingGroupDescription": "other"})):
        with refused("ResourceAlreadyExists"):
            engine.create_thing_group("hall", parent, properties)
    assert engine.describe_thing_group("hall") == hall


@pytest.mark.parametrize(
    ("name", "parent", "properties"),
    [
        ("a b", None, {}),
        ("x" * 129, None, {}),
        ("new", "none", {}),
        ("new", None, {"thingGroupDescription": "x" * 2029}),
        ("new", None, {"attributePayload": {"attributes": {f"a{index}": "1" for index in range(51)}}}),
    ],
)
def test_groups_that_are_refused(engine: Engine, name: str, parent: str | None, properties: dict[str, Any]) -> None:
    with refused("InvalidRequest"):
        engine.create_thing_group(name, parent, properties)


def test_a_hierarchy_has_seven_levels() -> None:
    engine = Service().engine
    parent = None
    for level in range(7):
        engine.create_thing_group(f"level-{level}", parent)
        parent = f"level-{level}"
    with refused("InvalidRequest"):
        engine.create_thing_group("level-7", parent)


def test_update_thing_group(engine: Engine) -> None:
    def properties() -> dict[str, Any]:
        return engine.describe_thing_group("plant")["thingGroupProperties"]

    first = {"thingGroupDescription": "all", "attributePayload": {"attributes": {"a": "1", "b": "2"}}}
    assert engine.update_thing_group("plant", first) == {"version": 2}
    assert engine.update_thing_group("plant", {}, expectedVersion=2) == {"version": 3}
    assert properties() == first
    engine.update_thing_group("plant", {"attributePayload": {"attributes": {"b": "", "c": "3"}, "merge": True}})
    assert properties()["attributePayload"] == {"attributes": {"a": "1", "c": "3"}}
    with refused("VersionConflict"):
        engine.update_thing_group("plant", {}, expectedVersion=3)
    with refused("ResourceNotFound"):
        engine.update_thing_group("none", {})


def test_delete_thing_group(engine: Engine) -> None:
    join(engine, "line", "kiln")
    with refused("InvalidRequest"):
        engine.delete_thing_group("hall")
    with refused("VersionConflict"):
        engine.delete_thing_group("line", expectedVersion=2)
    engine.delete_thing_group("line", expectedVersion=1)
    engine.delete_thing_group("line")
    engine.delete_thing_group("hall")
    assert engine.list_thing_groups_for_thing("kiln") == {"thingGroups": []}
    with refused("ResourceNotFound"):
        engine.describe_thing_group("line")


def test_listing_groups(engine: Engine) -> None:
    assert names(engine.list_thing_groups()) == ["hall", "line", "plant", "spare"]
    assert names(engine.list_thing_groups(parentGroup="plant")) == ["hall"]
    assert names(engine.list_thing_groups(parentGroup="plant", recursive=True)) == ["hall", "line"]
    assert names(engine.list_thing_groups(namePrefixFilter="l", parentGroup="plant", recursive=True)) == ["line"]
    assert names(engine.list_thing_groups(parentGroup="line")) == []
    first = engine.list_thing_groups(maxResults=3)
    rest = engine.list_thing_groups(maxResults=3, nextToken=first["nextToken"])
    assert (names(first), names(rest), "nextToken" in rest) == (["hall", "line", "plant"], ["spare"], False)
    with refused("ResourceNotFound"):
        engine.list_thing_groups(parentGroup="none")


def test_groups_whose_names_begin_alike_are_not_below_each_other(engine: Engine) -> None:
    engine.create_thing_group("plant-2")
    engine.create_thing_group("hall-2", "plant-2")
    join(engine, "hall-2", "press")
    assert names(engine.list_thing_groups(parentGroup="plant", recursive=True)) == ["hall", "line"]
    assert engine.list_things_in_thing_group("plant", recursive=True)["things"] == []


def test_members_of_a_group(engine: Engine) -> None:
    join(engine, "plant", "kiln")
    join(engine, "line", "oven", "press")
    join(engine, "spare", "kiln")
    assert engine.list_things_in_thing_group("plant")["things"] == ["kiln"]
    first = engine.list_things_in_thing_group("plant", recursive=True, maxResults=2)
    rest = engine.list_things_in_thing_group("plant", recursive=True, maxResults=2, nextToken=first["nextToken"])
    assert (first["things"], rest) == (["kiln", "oven"], {"things": ["press"]})
    assert names(engine.list_thing_groups_for_thing("oven")) == ["hall", "line", "plant"]
    assert names(engine.list_thing_groups_for_thing("kiln")) == ["plant", "spare"]
    with refused("ResourceNotFound"):
        engine.list_things_in_thing_group("none")
    with refused("ResourceNotFound"):
        engine.list_thing_groups_for_thing("none")


def test_a_thing_is_in_one_group_of_a_hierarchy_and_in_ten_at_most(engine: Engine) -> None:
    join(engine, "line", "kiln")
    for group in ("plant", "hall"):
        with refused("InvalidRequest"):
            engine.add_thing_to_thing_group(group, thingName="kiln")
    for index in range(9):
        engine.create_thing_group(f"more-{index}")
        join(engine, f"more-{index}", "kiln")
    with refused("InvalidRequest"):
        engine.add_thing_to_thing_group("spare", thingName="kiln")
    engine.add_thing_to_thing_group("line", thingName="kiln")
    engine.remove_thing_from_thing_group("more-0", thingName="kiln")
    engine.add_thing_to_thing_group("spare", thingName="kiln")


def test_members_by_name_and_by_arn(engine: Engine) -> None:
    engine.create_thing("kiln")
    group, thing = f"{ARN}:thinggroup/spare", f"{ARN}:thing/kiln"
    engine.add_thing_to_thing_group(thingGroupArn=group, thingArn=thing)
    assert engine.list_things_in_thing_group("spare")["things"] == ["kiln"]
    engine.remove_thing_from_thing_group(thingGroupName="spare", thingGroupArn=group, thingArn=thing)
    engine.add_thing_to_thing_group("spare", thingArn="arn:aws:iot:eu-west-1:000000000000:thing/kiln")
    engine.remove_thing_from_thing_group("spare", thingName="kiln")
    assert engine.list_things_in_thing_group("spare")["things"] == []
    for change in (engine.add_thing_to_thing_group, engine.remove_thing_from_thing_group):
        foreign = {"thingArn": "arn:aws:iot:us-east-1:123456789012:thing/kiln"}
        for wrong in ({}, {"thingArn": group}, {"thingArn": "kiln"}, {"thingArn": thing, "thingName": "oven"}, foreign):
            with refused("InvalidRequest"):
                change("spare", **wrong)
        with refused("ResourceNotFound"):
            change("none", thingName="kiln")
        with refused("ResourceNotFound"):
            change("spare", thingName="oven")


def test_a_deleted_thing_leaves_its_groups(engine: Engine) -> None:
    join(engine, "line", "kiln", "oven")
    engine.delete_thing("kiln")
    engine.create_thing("kiln")
    assert engine.list_things_in_thing_group("plant", recursive=True)["things"] == ["oven"]


def test_a_snapshot_job_is_for_the_members_at_its_creation() -> None:
    service = Service()
    engine = service.engine
    engine.create_thing_group("plant")
    engine.create_thing_group("hall", "plant")
    join(engine, "plant", "kiln")
    join(engine, "hall", "oven")
    engine.create_job("a", [f"{ARN}:thinggroup/plant", f"{ARN}:thing/oven", f"{ARN}:thinggroup/hall"], "{}")
    heard = service.heard()
    assert sorted(heard) == [(thing, suffix) for thing in ("kiln", "oven") for suffix in ("notify", "notify-next")]
    join(engine, "hall", "press")
    engine.remove_thing_from_thing_group("plant", thingName="kiln")
    listed = engine.list_job_executions_for_job("a")["executionSummaries"]
    assert [item["thingArn"] for item in listed] == [f"{ARN}:thing/oven", f"{ARN}:thing/kiln"]
    assert (service.status("a", "kiln"), service.heard()) == ("QUEUED", [])


def test_a_snapshot_job_without_things_is_completed(engine: Engine) -> None:
    engine.create_job("a", [f"{ARN}:thinggroup/spare"], "{}")
    assert engine.describe_job("a")["job"]["status"] == "COMPLETED"
    with refused("ResourceNotFound"):
        engine.create_job("b", [f"{ARN}:thinggroup/none"], "{}")


def test_jobs_by_thing_group(engine: Engine) -> None:
    join(engine, "hall", "kiln")
    for job_id, group in (("a", "plant"), ("b", "hall"), ("c", "plant")):
        engine.create_job(job_id, [f"{ARN}:thinggroup/{group}", f"{ARN}:thing/kiln"], "{}")

    def listed(**options: Any) -> list[str]:
        return [job["jobId"] for job in engine.list_jobs(**options)["jobs"]]

    plant = engine.describe_thing_group("plant")["thingGroupId"]
    assert listed(thingGroupName="plant") == listed(thingGroupId=plant) == ["c", "a"]
    assert listed(thingGroupName="hall", targetSelection="SNAPSHOT") == ["b"]
    assert listed(thingGroupName="hall", targetSelection="CONTINUOUS") == listed(thingGroupName="line") == []
    first = engine.list_jobs(thingGroupName="plant", maxResults=1)
    assert listed(thingGroupName="plant", maxResults=1, nextToken=first["nextToken"]) == ["a"]
    both = {"thingGroupId": plant, "thingGroupName": "hall"}
    for wrong in ({"thingGroupName": "none"}, {"thingGroupId": "none"}, both):
        with refused("ResourceNotFound"):
            engine.list_jobs(**wrong)


def test_groups_survive_a_restart(tmp_path: Any) -> None:
    service = Service(str(tmp_path / "jobs.db"))
    service.engine.create_thing_group("plant")
    service.engine.create_thing_group("hall", "plant")
    join(service.engine, "hall", "kiln")

    def everything() -> list[Any]:
        engine = service.engine
        return [engine.describe_thing_group("hall"), engine.list_thing_groups_for_thing("kiln")]

    before = everything()
    service.reopen()
    assert everything() == before


def test_update_thing() -> None:
    engine = Service().engine
    engine.create_thing("kiln", {"attributes": {"floor": "2", "zone": "a"}})

    def thing() -> tuple[dict[str, str], int]:
        found = engine.describe_thing("kiln")
        return found["attributes"], found["version"]

    engine.update_thing("kiln", {"attributes": {"zone": "", "row": "7"}, "merge": True}, expectedVersion=1)
    assert thing() == ({"floor": "2", "row": "7"}, 2)
    engine.update_thing("kiln", {"attributes": {"zone": "b"}})
    assert thing() == ({"zone": "b"}, 3)
    with refused("VersionConflict"):
        engine.update_thing("kiln", {"attributes": {}}, expectedVersion=2)
    with refused("InvalidRequest"):
        engine.update_thing("kiln", {"attributes": {"a": "1", "b": "2", "c": "3"}, "merge": True})
    with refused("ResourceNotFound"):
        engine.update_thing("none", {"attributes": {}})
    assert thing() == ({"zone": "b"}, 3)


def test_changing_several_groups_of_a_thing() -> None:
    service = Service()
    engine = service.engine
    for name in ("old", "kept", "new"):
        engine.create_thing_group(name)
    engine.create_thing("kiln")
    join(engine, "old", "kiln")
    join(engine, "kept", "kiln")
    with refused("ResourceNotFound"):
        engine.update_thing_groups_for_thing("kiln", ["new", "none"], ["old"])
    engine.update_thing_groups_for_thing("kiln", ["new"], ["old"], overrideDynamicGroups=True)
    assert names(engine.list_thing_groups_for_thing("kiln")) == ["kept", "new"]
