"""The identity and permissions of a client with a certificate and a client id, without a network."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from engine_service import Service

from ujobs_tools.aws.policy import device_policy
from ujobs_tools.keys.pki import Authority, Issued
from ujobs_tools.service.access import Client, clients
from ujobs_tools.service.engine import Engine
from ujobs_tools.service.packets import Message

PREFIX = "arn:aws:iot:us-east-1:000000000000"


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory) -> Issued:
    return Authority(tmp_path_factory.mktemp("pki")).issue("Kilns Ltd")


@pytest.fixture
def engine() -> Engine:
    return Service().engine


Connect = Callable[..., Client]


@pytest.fixture
def client(engine: Engine, issued: Issued) -> Connect:
    """Creates a client whose certificate is registered and has these policies and things."""

    def make(client_id: str, *statements: dict[str, Any], things: tuple[str, ...] = ()) -> Client:
        certificate_id = hashlib.sha256(issued.certificate_der).hexdigest()
        if engine.store.certificate(certificate_id) is None:
            engine.register_certificate(certificate_id, "PEM", active=True)
        principal = engine.arn("cert", certificate_id)
        for thing in things:
            engine.create_thing(thing)
            engine.attach_thing_principal(thing, principal)
        if statements:
            name = f"policy-{len(engine.list_policies()['policies'])}"
            document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **one} for one in statements]}
            engine.create_policy(name, json.dumps(document))
            engine.attach_policy(name, principal)
        return clients(engine)(issued.certificate_der, client_id, "127.0.0.1")

    return make


EVERYTHING = {"Action": "iot:*", "Resource": "*"}
DEVICE = json.loads(device_policy(f"{PREFIX}:thing/any"))["Statement"]


def test_the_policy_of_devices_is_for_the_thing_of_the_client_id(client: Connect) -> None:
    kiln = client("kiln", *DEVICE, things=("kiln", "lathe"))
    assert (kiln.name, kiln.connect(True, None), kiln.review()) == ("kiln", "", "")
    for topic in ("get", "start-next", "$next/get", "job/get", "job/update"):
        assert kiln.publish(f"$aws/things/kiln/jobs/{topic}", False) == ""
        assert kiln.publish(f"$aws/things/lathe/jobs/{topic}", False)
        assert kiln.receive(f"$aws/things/kiln/jobs/{topic}/accepted") == ""
    assert kiln.publish("$aws/things/kiln/streams/s/get/cbor", False) == ""
    assert kiln.publish("$aws/things/kiln/streams/s/describe/cbor", False)
    for name in ("#", "notify-next", "+/get/+"):
        assert kiln.subscribe(f"$aws/things/kiln/jobs/{name}") == ""
        assert kiln.subscribe(f"$aws/things/lathe/jobs/{name}")
    assert kiln.publish("workshop", False)
    assert client("lathe").publish("$aws/things/lathe/jobs/get", False) == ""


def test_a_retained_message_needs_a_permission_of_its_own(client: Connect) -> None:
    kiln = client("kiln", {"Action": ["iot:Publish", "iot:Connect"], "Resource": "*"})
    assert kiln.publish("state", False) == ""
    assert "iot:RetainPublish" in kiln.publish("state", True)
    assert "iot:RetainPublish" in kiln.connect(True, Message("state", b"", 0, True))
    kiln = client("kiln", {"Action": "iot:RetainPublish", "Resource": f"{PREFIX}:topic/state"})
    assert kiln.publish("state", True) == kiln.connect(True, Message("state", b"", 0, True)) == ""


def test_a_will_has_to_be_allowed(client: Connect) -> None:
    kiln = client("kiln", {"Action": "iot:Connect", "Resource": "*"})
    assert kiln.connect(True, None) == ""
    assert "iot:Publish" in kiln.connect(True, Message("state", b""))


@pytest.mark.parametrize("persistent", [True, False])
@pytest.mark.parametrize("will", [Message("state", b""), None])
def test_how_it_connects_can_be_a_condition(client: Connect, persistent: bool, will: Message | None) -> None:
    condition = {"ForAllValues:StringEquals": {"iot:ConnectAttributes": ["LastWill"]}}
    kiln = client(
        "kiln", {"Action": "iot:Connect", "Resource": "*", "Condition": condition},
        {"Action": "iot:Publish", "Resource": "*"},
    )
    assert bool(kiln.connect(not persistent, will)) == persistent


def test_a_certificate_is_valid_while_it_is_registered_and_active(engine: Engine, client: Connect) -> None:
    kiln = client("kiln", *DEVICE, things=("kiln",))
    [principal] = engine.list_thing_principals("kiln")["principals"]
    certificate_id = principal.rpartition("/")[2]
    for status in ("INACTIVE", "REVOKED"):
        engine.update_certificate(certificate_id, status)
        assert kiln.review() == f"its certificate is {status}"
    engine.detach_thing_principal("kiln", principal)
    engine.detach_policy("policy-0", principal)
    engine.delete_certificate(certificate_id)
    assert kiln.review() == "its certificate is not registered"


def test_changes_of_the_registry_take_effect_at_once(engine: Engine, client: Connect) -> None:
    kiln = client("kiln", *DEVICE, things=("kiln",))
    topic = "$aws/things/kiln/jobs/get"
    assert kiln.publish(topic, False) == ""
    [principal] = engine.list_thing_principals("kiln")["principals"]
    engine.detach_policy("policy-0", principal)
    assert kiln.publish(topic, False).startswith("no policy is attached")
    engine.attach_policy("policy-0", principal)
    assert kiln.publish(topic, False) == ""
    engine.detach_thing_principal("kiln", principal)
    assert kiln.publish(topic, False) == "it does not act for the thing kiln"
    assert "not attached to the thing kiln" in kiln.review()
    assert "iot:Subscribe" in kiln.subscribe("$aws/things/kiln/jobs/#")


def test_shared_subscriptions(client: Connect) -> None:
    allowed = [f"{PREFIX}:topicfilter/$share/*/{name}" for name in ("kilns/+", "$aws/things/kiln/jobs/notify", "$x/a")]
    kiln = client("kiln", {"Action": "iot:Subscribe", "Resource": allowed}, things=("kiln",))
    assert kiln.subscribe("$share/hall/kilns/+") == kiln.subscribe("$share/a/$aws/things/kiln/jobs/notify") == ""
    assert "iot:Subscribe" in kiln.subscribe("kilns/+")
    assert "iot:Subscribe" in kiln.subscribe("$share/hall/ovens/+")
    assert "reserved" in kiln.subscribe("$share/hall/$x/a")
    assert "reserved" in kiln.publish("$share/hall/kilns/1", False)


def test_the_type_of_the_thing_in_a_policy(engine: Engine, client: Connect) -> None:
    engine.create_thing_type("ovens")
    resource = f"{PREFIX}:topic/types/${{iot:Connection.Thing.ThingTypeName}}"
    kiln = client("kiln", {"Action": "iot:Publish", "Resource": resource}, things=("kiln",))
    assert kiln.publish("types/ovens", False)
    engine.update_thing("kiln", thingTypeName="ovens")
    assert kiln.publish("types/ovens", False) == ""
    assert kiln.publish("types/kilns", False)


def test_attributes_of_the_thing_and_the_certificate(engine: Engine, client: Connect) -> None:
    variables = ("iot:Connection.Thing.Attributes[line]", "iot:Certificate.Subject.CommonName", "aws:SourceIp")
    resource = f"{PREFIX}:topic/" + "/".join(f"${{{name}}}" for name in variables)
    kiln = client("kiln", {"Action": "iot:Publish", "Resource": resource}, things=("kiln",))
    assert "Attributes[line]" in kiln.publish("7/Kilns Ltd/127.0.0.1", False)
    engine.update_thing("kiln", {"attributes": {"line": "7"}})
    assert kiln.publish("7/Kilns Ltd/127.0.0.1", False) == ""
    assert kiln.publish("8/Kilns Ltd/127.0.0.1", False)


def test_a_policy_of_a_thing_group_applies(engine: Engine, client: Connect) -> None:
    kiln = client("kiln", things=("kiln",))
    engine.create_thing_group("kilns")
    engine.create_policy("group", json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", **EVERYTHING}}))
    engine.attach_policy("group", engine.arn("thinggroup", "kilns"))
    assert kiln.connect(True, None)
    engine.add_thing_to_thing_group("kilns", thingName="kiln")
    assert kiln.connect(True, None) == ""


def test_no_policy_makes_a_client_another_thing(engine: Engine, client: Connect) -> None:
    engine.create_thing("lathe")
    for things in ((), ("kiln",)):
        thief = client("lathe", EVERYTHING, things=things)
        assert "not attached to the thing lathe" in thief.connect(True, None)
        other = client("anything", EVERYTHING)
        assert other.connect(True, None) == ""
        assert other.publish("$aws/things/lathe/jobs/get", False) == "it does not act for the thing lathe"
    assert client("anything").publish("$aws/things/kiln/jobs/get", False) == "", "attached to it"


@pytest.mark.parametrize(
    "topic",
    [
        "$aws/things/kiln/jobs/notify", "$aws/things/kiln/jobs/notify-next", "$aws/things/kiln/jobs/get/accepted",
        "$aws/things/kiln/jobs/x/update/rejected", "$aws/things/kiln/jobs", "$aws/things/kiln/jobs/",
        "$aws/things/kiln/shadow/update", "$aws/things/kiln/streams/s/data/cbor", "$aws/things/kiln/streams/s/get/xml",
        "$aws/things//jobs/get", "$aws/events/job/x/completed", "$SYS/broker", "$aws/certificates/create/xml",
        "$aws/certificates/create/json/accepted", "$aws/provisioning-templates/a b/provision/json",
    ],
)
def test_no_policy_allows_publishing_where_the_service_publishes(client: Connect, topic: str) -> None:
    assert client("kiln", EVERYTHING, things=("kiln",)).publish(topic, False) == (
        f"{topic} is a reserved topic that clients cannot publish to"
    )


@pytest.mark.parametrize(
    ("name", "may"),
    [
        ("$aws/things/+/jobs/notify-next", True), ("$aws/events/job/#", True), ("#", True),
        ("$aws/certificates/create/json/accepted", True), ("$aws/#", False), ("$SYS/#", False), ("$share/a/b", True),
        ("$share/a/$SYS/#", False),
    ],
)
def test_reserved_filters(client: Connect, name: str, may: bool) -> None:
    assert (client("kiln", EVERYTHING).subscribe(name) == "") == may


def test_without_tls_a_client_is_the_thing_that_its_client_id_names(engine: Engine) -> None:
    kiln = clients(engine)(None, "kiln", "127.0.0.1")
    assert (kiln.name, kiln.connect(False, Message("state", b"", 1, True))) == ("kiln", "")
    engine.create_thing("kiln")
    assert kiln.review() == ""
    for topic in ("state", "$aws/things/kiln/jobs/get", "$aws/things/kiln/streams/s/get/json"):
        assert kiln.publish(topic, False) == kiln.receive(topic) == kiln.subscribe(topic) == ""
    for topic in ("$aws/things/lathe/jobs/get", "$aws/certificates/create/json", "$aws/events/job/x/completed"):
        assert kiln.publish(topic, False)
        assert kiln.subscribe(topic)
    for nobody in (clients(engine)(None, "+", None), clients(engine)(None, "no thing's name", None)):
        assert nobody.name == "nobody"
        assert nobody.connect(True, None) == nobody.publish("state", True) == ""
        assert nobody.publish("$aws/things/+/jobs/get", False)
        assert nobody.subscribe("$aws/things/+/jobs/#")
