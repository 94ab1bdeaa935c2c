"""Fleet provisioning with the AWS IoT Device SDK for Python v2 and a claim from `ujobs claim create`: `ujobs serve` and
MiniStack must give the same replies."""

import contextlib
import dataclasses
import itertools
import queue
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from awscrt import mqtt, mqtt5
from awscrt.mqtt_request_response import ClientOptions
from awsiot import V2ServiceException, iotidentity
from jobs_client import PATIENCE, Rejected
from paho.mqtt.enums import CallbackAPIVersion
from python_sdk import connected, connected_with_mqtt5, jobs_client, on_the_wire

import clouds
from provisioning_role import make_role
from ujobs_tools.aws import claims, cloud
from ujobs_tools.aws.fleet import Thing

_numbers = itertools.count(1)


@dataclasses.dataclass(frozen=True)
class Line:
    """A production line: its cloud and its claim."""

    cloud: clouds.Cloud
    claim: Thing
    template: str


@pytest.fixture(scope="module", params=clouds.NAMES)
def line(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    folder = tmp_path_factory.mktemp(request.param)
    with clouds.named(request.param, folder) as found:
        out = folder / "claim"
        made = claims.create_claim("line", out, role_arn=make_role(found), endpoint_url=found.endpoint_url)
        yield Line(found, Thing("", "", made.certificate_arn, made.policy, "localhost", found.mqtts, out), "line")


class PublishAndSubscribe:
    """`IotIdentityClient`."""

    def __init__(self, connection: mqtt.Connection, template: str) -> None:
        self._client = iotidentity.IotIdentityClient(connection)
        self._replies: queue.Queue[tuple[str, Any]] = queue.Queue()
        for outcome in ("accepted", "rejected"):
            self._subscribe(
                f"create_keys_and_certificate_{outcome}", iotidentity.CreateKeysAndCertificateSubscriptionRequest()
            )
            self._subscribe(
                f"register_thing_{outcome}", iotidentity.RegisterThingSubscriptionRequest(template_name=template)
            )

    def _subscribe(self, name: str, request: Any) -> None:
        outcome = name.rpartition("_")[2]
        granted, _ = getattr(self._client, f"subscribe_to_{name}")(
            request, mqtt.QoS.AT_LEAST_ONCE, lambda reply: self._replies.put((outcome, reply))
        )
        granted.result(PATIENCE)

    def ask(self, operation: str, request: Any) -> dict[str, Any]:
        getattr(self._client, f"publish_{operation}")(request, mqtt.QoS.AT_LEAST_ONCE).result(PATIENCE)
        outcome, reply = self._replies.get(timeout=PATIENCE)
        if outcome == "rejected":
            raise Rejected(on_the_wire(reply))
        return on_the_wire(reply)


class RequestAndResponse:
    """`IotIdentityClientV2`."""

    def __init__(self, connection: mqtt.Connection | mqtt5.Client, template: str) -> None:
        options = ClientOptions(max_request_response_subscriptions=4, max_streaming_subscriptions=1)
        options.operation_timeout_in_seconds = int(PATIENCE)
        self._client = iotidentity.IotIdentityClientV2(connection, options)

    def ask(self, operation: str, request: Any) -> dict[str, Any]:
        try:
            return on_the_wire(getattr(self._client, operation)(request).result(PATIENCE))
        except V2ServiceException as error:
            if error.modeled_error is None:
                raise
            raise Rejected(on_the_wire(error.modeled_error)) from error


Client = PublishAndSubscribe | RequestAndResponse
CLIENTS: dict[str, tuple[Any, type[Client]]] = {
    "IotIdentityClient": (connected, PublishAndSubscribe), "IotIdentityClientV2": (connected, RequestAndResponse),
    "IotIdentityClientV2/MQTT5": (connected_with_mqtt5, RequestAndResponse),
}


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest, line: Line) -> Iterator[Client]:
    """Each of the SDK's clients in turn, connected with the claim."""
    connect, make = CLIENTS[request.param]
    with connect(line.claim, f"claim-{next(_numbers)}") as connection:
        yield make(connection, line.template)


def create(client: Client) -> dict[str, Any]:
    return client.ask("create_keys_and_certificate", iotidentity.CreateKeysAndCertificateRequest())


def register(client: Client, token: str | None, template: str = "line", **parameters: str) -> dict[str, Any]:
    request = iotidentity.RegisterThingRequest(
        template_name=template, certificate_ownership_token=token, parameters=parameters
    )
    return client.ask("register_thing", request)


def test_from_claim_to_job(line: Line, client: Client, tmp_path: Path) -> None:
    serial = f"s{next(_numbers)}"
    created = create(client)
    iot = line.cloud.iot()
    assert status(iot, created["certificateId"]) == "PENDING_ACTIVATION"
    assert register(client, created["certificateOwnershipToken"], SerialNumber=serial) == {
        "deviceConfiguration": {}, "thingName": f"line-{serial}",
    }
    assert status(iot, created["certificateId"]) == "ACTIVE"
    arn = iot.describe_thing(thingName=f"line-{serial}")["thingArn"]
    principal = iot.describe_certificate(certificateId=created["certificateId"])["certificateDescription"]
    assert iot.list_thing_principals(thingName=f"line-{serial}")["principals"] == [principal["certificateArn"]]
    iot.create_job(jobId=f"job-{serial}", targets=[arn], document="{}")
    for name, content in (("cert.pem", created["certificatePem"]), ("key.pem", created["privateKey"])):
        (tmp_path / name).write_text(content)
    (tmp_path / "ca.pem").write_bytes((line.claim.directory / "ca.pem").read_bytes())
    thing = dataclasses.replace(line.claim, name=f"line-{serial}", directory=tmp_path)
    with jobs_client("IotJobsClient", thing) as device:
        started = device.ask("StartNextPendingJobExecution")
    assert started["execution"]["jobId"] == f"job-{serial}"


def status(iot: Any, certificate_id: str) -> str:
    return iot.describe_certificate(certificateId=certificate_id)["certificateDescription"]["status"]


@pytest.mark.parametrize(
    ("token", "parameters", "code"),
    [
        ("", {"SerialNumber": "1"}, "InvalidCertificateOwnershipToken"),
        ("x" * 20, {"SerialNumber": "1"}, "InvalidCertificateOwnershipToken"),
        (None, {}, "InvalidParameters"),
        (None, {"SerialNumber": "7/7"}, "ProvisioningFailed"),
    ],
)
def test_rejections(client: Client, token: str | None, parameters: dict[str, str], code: str) -> None:
    found = create(client)["certificateOwnershipToken"] if token is None else token
    with pytest.raises(Rejected) as caught:
        register(client, found, **parameters)
    assert caught.value.error.pop("errorMessage")
    assert caught.value.error == {"statusCode": 400, "errorCode": code}


def test_a_deleted_template(line: Line, client: Client, tmp_path: Path) -> None:
    iot = line.cloud.iot()
    found = iot.describe_provisioning_template(templateName="line")
    token = create(client)["certificateOwnershipToken"]
    iot.delete_provisioning_template(templateName="line")
    with pytest.raises(Rejected) as caught:
        register(client, token, SerialNumber="1")
    assert caught.value.error["errorCode"] == "InvalidTemplate"
    iot.create_provisioning_template(
        **{name: found[name] for name in ("templateName", "templateBody", "enabled", "provisioningRoleArn")}
    )
    # The token is still valid, so the request can be repeated.
    serial = f"s{next(_numbers)}"
    assert register(client, token, SerialNumber=serial)["thingName"] == f"line-{serial}"


@pytest.mark.parametrize(
    ("action", "topic"),
    [
        ("publish", "$aws/things/claim-jobs/jobs/start-next"), ("subscribe", "$aws/things/claim-jobs/jobs/#"),
        ("publish", "$aws/provisioning-templates/other/provision/json"), ("publish", "application"),
    ],
)
def test_a_claim_has_no_other_permissions(line: Line, action: str, topic: str) -> None:
    line.cloud.iot().create_thing(thingName="claim-jobs")
    events: queue.Queue[str] = queue.Queue()
    client = paho.Client(CallbackAPIVersion.VERSION2, "claim-jobs", protocol=paho.MQTTv311, reconnect_on_failure=False)
    context = ssl.create_default_context(cafile=line.claim.directory / "ca.pem")
    context.load_cert_chain(line.claim.directory / "cert.pem", line.claim.directory / "key.pem")
    client.tls_set_context(context)
    client.on_connect = lambda *_: events.put("connected")
    client.on_disconnect = lambda *_: events.put("cut off")
    client.connect("localhost", line.cloud.mqtts)
    client.loop_start()
    with contextlib.ExitStack() as at_end:
        at_end.callback(client.loop_stop)
        at_end.callback(client.disconnect)
        assert events.get(timeout=PATIENCE) == "connected"
        client.publish(topic, "{}") if action == "publish" else client.subscribe(topic, 1)
        assert events.get(timeout=PATIENCE) == "cut off"


def test_the_control_plane_by_boto3(line: Line) -> None:
    iot: Any = cloud.client("iot", line.cloud.endpoint_url)
    found = iot.describe_provisioning_template(templateName="line")
    iot.create_provisioning_template(
        templateName="second", templateBody=found["templateBody"], provisioningRoleArn=found["provisioningRoleArn"],
        description="text", type="FLEET_PROVISIONING",
    )
    second = iot.describe_provisioning_template(templateName="second")
    assert (second["enabled"], second["description"], second["defaultVersionId"]) == (False, "text", 1)
    names = {item["templateName"] for item in iot.list_provisioning_templates()["templates"]}
    assert {"line", "second"} <= names
    with pytest.raises(iot.exceptions.ResourceAlreadyExistsException):
        iot.create_provisioning_template(
            templateName="second", templateBody=found["templateBody"], provisioningRoleArn=found["provisioningRoleArn"]
        )
    with pytest.raises(iot.exceptions.InvalidRequestException):
        iot.create_provisioning_template(
            templateName="third", templateBody="{}", provisioningRoleArn=found["provisioningRoleArn"]
        )
    iot.delete_provisioning_template(templateName="second")
    with pytest.raises(iot.exceptions.ResourceNotFoundException):
        iot.describe_provisioning_template(templateName="second")
