"""Policies in the registry: their versions and attachments."""

import json
from typing import Any

import pytest
from engine_service import NOTHING, START, Service

from ujobs_tools.service.engine import Engine
from ujobs_tools.service.errors import ApiError

ID = "ab" * 32
OTHER = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]})


@pytest.fixture
def engine() -> Engine:
    found = Service().engine
    found.register_certificate(ID, "PEM", active=True)
    return found


@pytest.fixture
def certificate(engine: Engine) -> str:
    return engine.arn("cert", ID)


def refused(code: str) -> Any:
    return pytest.raises(ApiError, match=f"^{code}: ")


def test_a_policy(engine: Engine) -> None:
    created = engine.create_policy("connect", NOTHING)
    assert (created["policyName"], created["policyDocument"], created["policyVersionId"]) == ("connect", NOTHING, "1")
    assert engine.get_policy("connect")["policyDocument"] == NOTHING
    assert [policy["policyName"] for policy in engine.list_policies()["policies"]] == ["connect"]
    with refused("ResourceAlreadyExists"):
        engine.create_policy("connect", NOTHING)
    with refused("MalformedPolicy"):
        engine.create_policy("other", "[" * 10_000)
    with refused("InvalidRequest"):
        engine.create_policy("a b", NOTHING)
    engine.delete_policy("connect")
    with refused("ResourceNotFound"):
        engine.get_policy("connect")


def test_an_unsupported_policy_is_refused_with_a_reason(engine: Engine) -> None:
    condition = {"NumericLessThan": {"a": "1"}}
    statement = {"Effect": "Allow", "Action": "iot:Connect", "Resource": "*", "Condition": condition}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    for make in (engine.create_policy, engine.create_policy_version):
        with pytest.raises(ApiError, match=r"^NotImplemented: .*NumericLessThan"):
            make("connect", document)
        if make == engine.create_policy:
            engine.create_policy("connect", NOTHING)


def test_a_certificate_has_ten_policies_at_most(engine: Engine, certificate: str) -> None:
    for number in range(11):
        engine.create_policy(f"p-{number}", NOTHING)
        if number < 10:
            engine.attach_policy(f"p-{number}", certificate)
    engine.attach_policy("p-0", certificate)  # already is
    with refused("LimitExceeded"):
        engine.attach_policy("p-10", certificate)
    engine.detach_policy("p-0", certificate)
    engine.attach_policy("p-10", certificate)


def test_versions(engine: Engine, certificate: str) -> None:
    engine.create_policy("connect", NOTHING)
    engine.attach_policy("connect", certificate)
    assert engine.create_policy_version("connect", OTHER)["policyVersionId"] == "2"
    assert engine.policies_for(ID, None) == {"connect": NOTHING}
    version = engine.rights_version
    engine.set_default_policy_version("connect", "2")
    assert engine.rights_version > version
    assert engine.policies_for(ID, None) == {"connect": OTHER}
    assert engine.get_policy("connect")["defaultVersionId"] == "2"
    assert engine.get_policy_version("connect", "1")["policyDocument"] == NOTHING
    assert engine.list_policy_versions("connect")["policyVersions"] == [
        {"versionId": "2", "isDefaultVersion": True, "createDate": START},
        {"versionId": "1", "isDefaultVersion": False, "createDate": START},
    ]
    with refused("DeleteConflict"):
        engine.delete_policy_version("connect", "2")
    engine.delete_policy_version("connect", "1")
    assert engine.create_policy_version("connect", NOTHING, setAsDefault=True)["policyVersionId"] == "3"
    assert engine.policies_for(ID, None) == {"connect": NOTHING}
    for _ in range(3):
        engine.create_policy_version("connect", OTHER)
    with refused("VersionsLimitExceeded"):
        engine.create_policy_version("connect", OTHER)
    engine.detach_policy("connect", certificate)
    with refused("DeleteConflict"):
        engine.delete_policy("connect")
    for call in (engine.get_policy_version, engine.delete_policy_version, engine.set_default_policy_version):
        with refused("ResourceNotFound"):
            call("connect", "9")


def test_a_policy_of_a_thing_group_is_for_the_things_in_it_and_below(engine: Engine) -> None:
    for group, parent in (("site", None), ("hall", "site"), ("office", "site")):
        engine.create_thing_group(group, parent)
        engine.create_policy(group, NOTHING)
        engine.attach_policy(group, engine.arn("thinggroup", group))
    engine.create_thing("kiln")
    engine.add_thing_to_thing_group("hall", thingName="kiln")
    assert set(engine.policies_for(ID, "kiln")) == {"site", "hall"}
    assert engine.policies_for(ID, None) == {}
    hall = engine.arn("thinggroup", "hall")
    assert [one["policyName"] for one in engine.list_attached_policies(hall)["policies"]] == ["hall"]
    found = engine.list_attached_policies(hall, recursive=True)["policies"]
    assert [one["policyName"] for one in found] == ["hall", "site"]
    engine.delete_thing_group("hall")
    assert engine.policies_for(ID, "kiln") == {}
    engine.delete_policy("hall")


def test_attachments_of_a_policy(engine: Engine, certificate: str) -> None:
    group = engine.create_thing_group("kilns")["thingGroupArn"]
    engine.create_policy("connect", NOTHING)
    for target in (certificate, group, certificate):
        engine.attach_policy("connect", target)
    first = engine.list_targets_for_policy("connect", pageSize=1)
    rest = engine.list_targets_for_policy("connect", marker=first["nextMarker"])
    assert first["targets"] + rest["targets"] == [certificate, group]
    with refused("DeleteConflict"):
        engine.delete_policy("connect")
    for target in (certificate, group):
        engine.detach_policy("connect", target)
    engine.delete_policy("connect")
    for target in ("arn:aws:iot:us-east-1:000000000000:thing/kiln", "kiln"):
        with refused("InvalidRequest"):
            engine.list_attached_policies(target)


def test_policies_are_listed_in_the_order_of_their_creation(engine: Engine) -> None:
    for name in ("b", "c", "a"):
        engine.create_policy(name, NOTHING)

    def listed(**wanted: Any) -> list[str]:
        found: list[str] = []
        marker: str | None = None
        while True:
            page = engine.list_policies(2, marker, **wanted)
            found += [policy["policyName"] for policy in page["policies"]]
            marker = page.get("nextMarker")
            if marker is None:
                return found

    assert listed(ascendingOrder=True) == ["b", "c", "a"]
    assert listed() == ["a", "c", "b"]


def test_the_former_names_of_the_operations(engine: Engine, certificate: str) -> None:
    engine.create_policy("connect", NOTHING)
    engine.create_thing_group("hall")
    engine.attach_policy("connect", engine.arn("thinggroup", "hall"))
    engine.attach_principal_policy("connect", certificate)
    assert [policy["policyName"] for policy in engine.list_principal_policies(certificate)["policies"]] == ["connect"]
    assert engine.list_policy_principals("connect")["principals"] == [certificate]
    engine.detach_principal_policy("connect", certificate)
    assert engine.list_principal_policies(certificate)["policies"] == []
    with refused("InvalidRequest"):
        engine.attach_principal_policy("connect", engine.arn("thinggroup", "hall"))


def test_the_policies_that_apply(engine: Engine, certificate: str) -> None:
    for name in ("of-certificate", "of-group"):
        engine.create_policy(name, NOTHING)
    engine.create_thing_group("hall")
    engine.create_thing("kiln")
    engine.add_thing_to_thing_group("hall", thingName="kiln")
    engine.attach_policy("of-certificate", certificate)
    engine.attach_policy("of-group", engine.arn("thinggroup", "hall"))

    def effective(**whose: str) -> list[str]:
        found = engine.get_effective_policies(**whose)["effectivePolicies"]
        assert all(policy["policyDocument"] == NOTHING for policy in found)
        return [policy["policyName"] for policy in found]

    assert effective(principal=certificate) == ["of-certificate"]
    assert effective(thingName="kiln") == ["of-group"]
    assert effective(principal=certificate, thingName="kiln") == ["of-certificate", "of-group"]
    with refused("InvalidRequest"):
        engine.get_effective_policies()


def test_a_forced_deletion_detaches_the_policies(engine: Engine, certificate: str) -> None:
    engine.create_policy("connect", NOTHING)
    engine.attach_policy("connect", certificate)
    engine.create_thing("kiln")
    engine.attach_thing_principal("kiln", certificate)
    with refused("CertificateState"):
        engine.delete_certificate(ID, forceDelete=True)
    engine.update_certificate(ID, "INACTIVE")
    with refused("DeleteConflict"):
        engine.delete_certificate(ID, forceDelete=True)
    engine.detach_thing_principal("kiln", certificate)
    with refused("DeleteConflict"):
        engine.delete_certificate(ID)
    engine.delete_certificate(ID, forceDelete=True)
    assert engine.list_targets_for_policy("connect")["targets"] == []


def test_certificates_are_listed_in_the_order_of_their_creation(engine: Engine) -> None:
    for number in range(3):
        engine.register_certificate(f"{number}" * 64, "PEM", active=False)
    first = engine.list_certificates(3, ascendingOrder=True)
    assert [found["certificateId"][0] for found in first["certificates"]] == ["a", "0", "1"]
    rest = engine.list_certificates(3, first["nextMarker"], ascendingOrder=True)
    assert [(found["certificateId"][0], found["status"]) for found in rest["certificates"]] == [("2", "INACTIVE")]
    assert [found["certificateId"][0] for found in engine.list_certificates()["certificates"]] == ["2", "1", "0", "a"]
