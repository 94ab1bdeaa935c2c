"""Claims with `ujobs serve`: their permissions over MQTT, and the permanent identity that they get."""

import json
import ssl
from collections.abc import Iterator
from typing import Any

import cbor2
import pytest
from mqtt_wire import WireClient, publish_packet, subscribe_packet
from service_process import ServiceProcess, serving

from ujobs_tools.aws import claims, policy

CREATE = "$aws/certificates/create/"
PROVISION = "$aws/provisioning-templates/line/provision/"
FORMS = {"json": (lambda members: json.dumps(members).encode(), json.loads), "cbor": (cbor2.dumps, cbor2.loads)}
TEMPLATE = {
    "Parameters": {"SerialNumber": {"Type": "String"}},
    "Resources": {
        "thing": {"Type": "AWS::IoT::Thing", "Properties": {"ThingName": {"Ref": "SerialNumber"}}},
        "certificate": {"Type": "AWS::IoT::Certificate"},
        "policy": {"Type": "AWS::IoT::Policy", "Properties": {"PolicyName": "device"}},
    },
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    with serving(tmp_path_factory.mktemp("serve")) as found:
        found.iot.create_provisioning_template(
            templateName="line", templateBody=json.dumps(TEMPLATE), enabled=True,
            provisioningRoleArn="arn:aws:iam::000000000000:role/provisioning",
        )
        yield found


@pytest.fixture(scope="module")
def made(service: ServiceProcess) -> dict[str, Any]:
    """A certificate with a policy that makes it a claim."""
    certificate = service.iot.create_keys_and_certificate(setAsActive=True)
    prefix = "arn:aws:iot:us-east-1:000000000000"
    service.iot.create_policy(policyName="claim", policyDocument=claims.claim_policy(prefix, "line"))
    service.iot.create_policy(policyName="device", policyDocument=policy.device_policy(f"{prefix}:thing/kiln"))
    service.iot.attach_policy(policyName="claim", target=certificate["certificateArn"])
    return certificate


@pytest.fixture(scope="module")
def claim(service: ServiceProcess, made: dict[str, Any]) -> ssl.SSLContext:
    return service.context(made["certificatePem"], made["keyPair"]["PrivateKey"])


def connect(service: ServiceProcess, context: ssl.SSLContext, client_id: str) -> WireClient:
    client = WireClient(service.found["mqtts"], context)
    assert client.connect(client_id) == (0, 0)
    return client


def ask(client: WireClient, topic: str, members: Any, outcome: str = "accepted") -> dict[str, Any]:
    """Send a request; returns its reply, which must be the next message."""
    encode, decode = FORMS[topic.rpartition("/")[2]]
    client.send(publish_packet(topic, b"" if members is None else encode(members)))
    message = client.message()
    assert message.topic == f"{topic}/{outcome}", message.payload
    return decode(message.payload)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("subscribed", [True, False])
def test_from_claim_to_a_thing_that_does_a_job(
    service: ServiceProcess, claim: ssl.SSLContext, form: str, subscribed: bool
) -> None:
    thing = f"kiln-{form}-{subscribed:d}"
    with connect(service, claim, f"claim-{thing}") as client:
        if subscribed:
            topics = [CREATE + form, PROVISION + form]
            client.subscribe(*(f"{topic}/{outcome}" for topic in topics for outcome in ("accepted", "rejected")))
        created = ask(client, CREATE + form, None)
        assert set(created) == {"certificateId", "certificatePem", "privateKey", "certificateOwnershipToken"}
        request = {
            "certificateOwnershipToken": created["certificateOwnershipToken"], "parameters": {"SerialNumber": thing},
        }
        assert ask(client, PROVISION + form, request) == {"deviceConfiguration": {}, "thingName": thing}
        client.ping()
    service.create_job(f"job-{thing}", thing)
    with service.device(thing, service.context(created["certificatePem"], created["privateKey"])) as device:
        assert device.ask("start-next")["execution"]["jobId"] == f"job-{thing}"


def test_a_certificate_connects_only_after_register_thing(service: ServiceProcess, claim: ssl.SSLContext) -> None:
    with connect(service, claim, "claim-early") as client:
        created = ask(client, CREATE + "json", {})
    context = service.context(created["certificatePem"], created["privateKey"])
    with WireClient(service.found["mqtts"], context) as client:
        assert client.connect("early") == (0, 7)


@pytest.mark.parametrize(
    ("form", "payload"), [("json", b"{"), ("json", b"[]"), ("json", b""), ("cbor", b"\xff"), ("cbor", b"")]
)
def test_invalid_payloads_are_rejected(
    service: ServiceProcess, claim: ssl.SSLContext, form: str, payload: bytes
) -> None:
    with connect(service, claim, "claim-garbled") as client:
        client.send(publish_packet(PROVISION + form, payload))
        message = client.message()
        assert message.topic == PROVISION + form + "/rejected"
        error = FORMS[form][1](message.payload)
        assert error == {"statusCode": 400, "errorCode": "InvalidPayload", "errorMessage": "Message cannot be parsed"}


@pytest.mark.parametrize(
    "packet",
    [
        publish_packet("$aws/things/kiln/jobs/get"), publish_packet("$aws/things/claim-other/jobs/start-next"),
        publish_packet("application"), publish_packet("$aws/provisioning-templates/other/provision/json"),
        publish_packet(CREATE + "json/accepted"), publish_packet(CREATE + "xml"), publish_packet(CREATE + "from-csr"),
        subscribe_packet("$aws/things/claim-other/jobs/#"), subscribe_packet("#"), subscribe_packet("application"),
        subscribe_packet("$aws/provisioning-templates/+/provision/json/accepted"),
    ],
)
def test_a_claim_has_no_other_permissions(service: ServiceProcess, claim: ssl.SSLContext, packet: bytes) -> None:
    with connect(service, claim, "claim-other") as client:
        client.send(packet)
        assert client.is_closed()


def test_a_thing_may_not_claim(service: ServiceProcess) -> None:
    for topic in (CREATE + "json", PROVISION + "json"):
        with service.device("kiln", service.context_of_thing("kiln")) as device:
            device.send(publish_packet(topic))
            assert device.is_closed()


def test_a_claim_whose_policy_is_detached_is_disconnected(
    service: ServiceProcess, made: dict[str, Any], claim: ssl.SSLContext
) -> None:
    with connect(service, claim, "claim-over") as client:
        service.iot.detach_policy(policyName="claim", target=made["certificateArn"])
        assert client.is_closed()
    with WireClient(service.found["mqtts"], claim) as client:
        assert client.connect("claim-over") == (0, 7)
    service.iot.attach_policy(policyName="claim", target=made["certificateArn"])
