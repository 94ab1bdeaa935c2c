"""Provisioning templates, ownership tokens and RegisterThing."""

import json
from typing import Any

import pytest
from engine_service import NOTHING, Service

from ujobs_tools.service.errors import ApiError

ROLE = "arn:aws:iam::000000000000:role/provisioning"
NAME = {"Fn::Join": ["-", ["kiln", {"Ref": "Line"}, {"Ref": "SerialNumber"}]]}
POLICY = {"Version": "2012-10-17", "Statement": []}
ID = "ab" * 32


def template(**resources: Any) -> dict[str, Any]:
    """A template's body; resources: by kind, instead of a thing called NAME and a certificate."""
    found = {"Thing": {"Properties": {"ThingName": NAME}}, "Certificate": {}} | resources
    kinds = [kind for kind, resource in found.items() if resource is not None]
    return {
        "Parameters": {"SerialNumber": {"Type": "String"}, "Line": {"Type": "String", "Default": "1"}},
        "Resources": {kind.lower(): {"Type": f"AWS::IoT::{kind}"} | found[kind] for kind in kinds},
    }


class Line(Service):
    """An engine with a template "line"."""

    def template(self, body: dict[str, Any] | None = None, enabled: bool = True, name: str = "line") -> None:
        self.engine.create_provisioning_template(name, json.dumps(body or template()), ROLE, enabled=enabled)

    def register(self, token: Any, name: str = "line", **parameters: Any) -> dict[str, Any]:
        request = {"certificateOwnershipToken": token, "parameters": {"SerialNumber": "77", **parameters}}
        return self.engine.register_thing(name, request)

    def token(self, certificate_id: str = ID) -> str:
        return self.engine.issue_ownership_token(certificate_id, "PEM")

    def status_of(self, certificate_id: str = ID) -> str:
        return self.engine.describe_certificate(certificate_id)["certificateDescription"]["status"]


@pytest.fixture
def line() -> Line:
    return Line()


def refused(code: str, text: str = "") -> Any:
    return pytest.raises(ApiError, match=f"^{code}: .*{text}")


def test_a_certificate_waits_for_register_thing_and_is_then_the_things(line: Line) -> None:
    line.template()
    token = line.token()
    assert line.status_of() == "PENDING_ACTIVATION"
    assert line.engine.store.things_of(ID) == []
    assert line.register(token) == {"deviceConfiguration": {}, "thingName": "kiln-1-77"}
    assert line.status_of() == "ACTIVE"
    assert line.engine.store.things_of(ID) == ["kiln-1-77"]


def test_a_token_is_valid_for_one_success(line: Line) -> None:
    line.template()
    token = line.token()
    with refused("InvalidTemplate"):
        line.register(token, "other")
    line.register(token)
    with refused("InvalidCertificateOwnershipToken", "is invalid"):
        line.register(token)


def test_a_token_outlives_a_restart_but_not_its_hour(tmp_path: Any) -> None:
    line = Line(str(tmp_path / "store"))
    line.template()
    token = line.token()
    line.clock.forward(3599)
    line.reopen()
    line.register(token)
    late = line.token(ID.upper())
    line.clock.forward(3600)
    with refused("InvalidCertificateOwnershipToken", "is invalid"):
        line.register(late)
    # The unused certificate is deleted with its token; the other one stays.
    with refused("ResourceNotFound"):
        line.status_of(ID.upper())
    assert line.status_of() == "ACTIVE"


@pytest.mark.parametrize(
    ("token", "text"), [(None, "cannot be empty"), ("", "cannot be empty"), ("x", "is invalid"), (5, "is invalid")]
)
def test_invalid_tokens(line: Line, token: Any, text: str) -> None:
    line.template()
    with refused("InvalidCertificateOwnershipToken", text):
        line.register(token)


def test_parameters(line: Line) -> None:
    line.template()
    token = line.token()
    with refused("InvalidParameters", "SerialNumber"):
        line.engine.register_thing("line", {"certificateOwnershipToken": token})
    with refused("InvalidParameters", "strings"):
        line.register(token, SerialNumber=77)
    assert line.register(token, Line="2", Unknown="x")["thingName"] == "kiln-2-77"


def test_all_features_of_a_template(line: Line) -> None:
    attributes = {"serial": {"Ref": "SerialNumber"}}
    body = template(
        Thing={"Properties": {"ThingName": NAME, "AttributePayload": attributes, "ThingGroups": ["kilns"]}},
        Certificate={"Properties": {"CertificateId": {"Ref": "AWS::IoT::Certificate::Id"}, "Status": "Inactive"}},
        Policy={"Properties": {"PolicyDocument": POLICY}},
    ) | {"DeviceConfiguration": {"certificate": {"Ref": "AWS::IoT::Certificate::Id"}, "list": [{"Ref": "Line"}]}}
    line.template(body)
    line.engine.create_thing_group("kilns")
    reply = line.register(line.token())
    assert reply["deviceConfiguration"] == {"certificate": ID, "list": ["1"]}
    assert line.status_of() == "INACTIVE"
    assert line.engine.describe_thing("kiln-1-77")["attributes"] == {"serial": "77"}
    assert line.engine.list_things_in_thing_group("kilns")["things"] == ["kiln-1-77"]
    [policy] = line.engine.store.policies_of("cert", ID)
    assert json.loads(line.engine.get_policy(policy)["policyDocument"]) == POLICY


def test_a_thing_that_joins_a_group_gets_the_groups_continuous_job(line: Line) -> None:
    line.template(template(Thing={"Properties": {"ThingName": NAME, "ThingGroups": ["kilns"]}}))
    arn = line.engine.create_thing_group("kilns")["thingGroupArn"]
    line.engine.create_job("first", [arn], '{"operation": "x"}', targetSelection="CONTINUOUS")
    name = line.register(line.token())["thingName"]
    assert line.status("first", name) == "QUEUED"


def test_a_template_without_a_thing_activates_the_certificate(line: Line) -> None:
    line.template(template(Thing=None))
    assert line.register(line.token()) == {"deviceConfiguration": {}}
    assert line.status_of() == "ACTIVE"


def test_the_token_stays_valid_after_a_failure(line: Line) -> None:
    thing = {"Properties": {"ThingName": NAME, "ThingGroups": ["kilns"]}}
    line.template(template(Thing=thing, Policy={"Properties": {"PolicyName": "boards"}}))
    token = line.token()
    for make in (
        lambda: line.engine.create_policy("boards", NOTHING), lambda: line.engine.create_thing_group("kilns")
    ):
        with refused("ProvisioningFailed"):
            line.register(token)
        assert line.status_of() == "PENDING_ACTIVATION"
        make()
    with refused("ProvisioningFailed", "thingName"):
        line.register(token, SerialNumber="7/7")
    line.register(token)
    assert line.engine.store.policies_of("cert", ID) == ["boards"]


@pytest.mark.parametrize(
    ("override", "attributes"),
    [
        (None, None), ("FAIL", None), ("DO_NOTHING", {"a": "1"}), ("REPLACE", {"b": "2"}),
        ("MERGE", {"a": "1", "b": "2"}),
    ],
)
def test_a_thing_that_exists(line: Line, override: str | None, attributes: dict[str, str] | None) -> None:
    overrides = {} if override is None else {"OverrideSettings": {"AttributePayload": override}}
    line.template(template(Thing={"Properties": {"ThingName": NAME, "AttributePayload": {"b": "2"}}, **overrides}))
    line.engine.create_thing("kiln-1-77", {"attributes": {"a": "1"}})
    if attributes is None:
        with refused("ProvisioningFailed", "AttributePayload"):
            line.register(line.token())
    else:
        line.register(line.token())
        assert line.engine.describe_thing("kiln-1-77")["attributes"] == attributes
        assert line.engine.store.things_of(ID) == ["kiln-1-77"]


@pytest.mark.parametrize(
    ("override", "thing_type"), [(None, None), ("FAIL", None), ("DO_NOTHING", "old"), ("REPLACE", "new")]
)
def test_the_type_of_a_thing(line: Line, override: str | None, thing_type: str | None) -> None:
    for name in ("old", "new"):
        line.engine.create_thing_type(name)
    overrides = {} if override is None else {"OverrideSettings": {"ThingTypeName": override}}
    line.template(template(Thing={"Properties": {"ThingName": NAME, "ThingTypeName": "new"}, **overrides}))
    line.engine.create_thing("kiln-1-77", thingTypeName="old")
    if thing_type is None:
        with refused("ProvisioningFailed", "ThingTypeName"):
            line.register(line.token())
    else:
        line.register(line.token())
        assert line.engine.describe_thing("kiln-1-77")["thingTypeName"] == thing_type
    line.register(line.token("cd" * 32), SerialNumber="78")
    assert line.engine.describe_thing("kiln-1-78")["thingTypeName"] == "new"


def test_templates_as_the_control_plane_has_them(line: Line) -> None:
    line.template(enabled=False)
    with refused("InvalidTemplate", "not enabled"):
        line.register(line.token())
    with refused("ResourceAlreadyExists"):
        line.template()
    line.template(name="other")
    first = line.engine.list_provisioning_templates(maxResults=1)
    rest = line.engine.list_provisioning_templates(nextToken=first["nextToken"])
    assert [item["templateName"] for item in first["templates"] + rest["templates"]] == ["line", "other"]
    found = line.engine.describe_provisioning_template("line")
    assert json.loads(found["templateBody"]) == template()
    assert not found["enabled"]
    line.engine.delete_provisioning_template("line")
    for operation in (line.engine.describe_provisioning_template, line.engine.delete_provisioning_template):
        with refused("ResourceNotFound"):
            operation("line")


def test_versions_of_a_template(line: Line) -> None:
    line.template()
    engine = line.engine
    other = json.dumps(template(Thing={"Properties": {"ThingName": "other"}}))
    line.clock.forward(5)
    assert engine.create_provisioning_template_version("line", other)["versionId"] == 2
    assert line.register(line.token())["thingName"] == "kiln-1-77"
    engine.update_provisioning_template("line", defaultVersionId=2, description="text", provisioningRoleArn=ROLE + "2")
    assert line.register(line.token("cd" * 32))["thingName"] == "other"
    found = engine.describe_provisioning_template("line")
    assert (found["defaultVersionId"], found["templateBody"], found["description"]) == (2, other, "text")
    assert (found["lastModifiedDate"] - found["creationDate"], found["provisioningRoleArn"]) == (5, ROLE + "2")
    versions = engine.list_provisioning_template_versions("line")["versions"]
    assert [(version["versionId"], version["isDefaultVersion"]) for version in versions] == [(1, False), (2, True)]
    assert json.loads(engine.describe_provisioning_template_version("line", 1)["templateBody"]) == template()
    engine.delete_provisioning_template_version("line", 1)
    created = engine.create_provisioning_template_version("line", other, setAsDefault=True)
    assert (created["versionId"], created["isDefaultVersion"]) == (3, True)
    engine.update_provisioning_template("line", enabled=False)
    assert engine.describe_provisioning_template("line")["defaultVersionId"] == 3
    for wrong in (
        lambda: engine.delete_provisioning_template_version("line", 3),
        lambda: engine.update_provisioning_template("line", defaultVersionId=1),
        lambda: engine.create_provisioning_template_version("line", "{"),
    ):
        with refused("InvalidRequest"):
            wrong()
    for missing in (engine.describe_provisioning_template_version, engine.delete_provisioning_template_version):
        with refused("ResourceNotFound"):
            missing("line", 1)
        with refused("ResourceNotFound"):
            missing("none", 1)
    for _ in range(3):
        engine.create_provisioning_template_version("line", other)
    with refused("VersionsLimitExceeded"):
        engine.create_provisioning_template_version("line", other)


def test_a_template_of_an_earlier_service_has_one_version(line: Line) -> None:
    line.template()
    line.engine.store._execute("UPDATE provisioning_templates SET versions = NULL, last_updated_at = NULL")
    assert line.engine.create_provisioning_template_version("line", json.dumps(template()))["versionId"] == 2
    versions = line.engine.list_provisioning_template_versions("line")["versions"]
    assert [version["isDefaultVersion"] for version in versions] == [True, False]


@pytest.mark.parametrize(
    "body",
    [
        [], {}, {"Resources": []}, {"Resources": {"a": 5}}, {"Resources": {"a": {}}}, {"Resources": {}},
        template(Certificate=None), {"Resources": {"a": {"Type": []}}},
        template(Thing={"Properties": {"ThingName": 5}}), template(Thing={"Properties": {"ThingGroups": "kilns"}}),
        template(Thing={"Properties": {"ThingName": {"Ref": 5}}}),
        template(Thing={"Properties": {"ThingName": {"Fn::Join": ["", "kiln"]}}}),
        template() | {"Parameters": {"A": {"Default": 5}}}, template() | {"DeviceConfiguration": []},
    ],
)
def test_invalid_template_bodies(line: Line, body: Any) -> None:
    with refused("InvalidRequest", "The template body is invalid"):
        line.engine.create_provisioning_template("line", json.dumps(body), ROLE)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (template() | {"Mappings": {}}, "Mappings"),
        (template(Thing={"Properties": {"BillingGroup": "kiln"}}), "BillingGroup"),
        (template(Thing={"Properties": {"ThingName": {"Fn::Sub": "x"}}}), "Fn::Sub"),
        (template(Thing={"OverrideSettings": {"ThingGroups": "REPLACE"}}), "OverrideSettings ThingGroups REPLACE"),
        (template(Rule={"Properties": {}}), "AWS::IoT::Rule"),
    ],
)
def test_unsupported_templates_are_refused_with_a_reason(line: Line, body: Any, text: str) -> None:
    with refused("NotImplemented", text):
        line.engine.create_provisioning_template("line", json.dumps(body), ROLE)
