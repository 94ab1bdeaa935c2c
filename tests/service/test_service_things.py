"""`ujobs serve` and its things: mutual TLS, each thing limited to its own topics, one reply to every request."""

import contextlib
import datetime
import ssl
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from mqtt_wire import WireClient, publish_packet, subscribe_packet
from service_process import ServiceProcess, policy, serving

from ujobs_tools.aws import fleet
from ujobs_tools.host.processes import wait_until
from ujobs_tools.keys import credentials
from ujobs_tools.keys.pki import Authority


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    with serving(tmp_path_factory.mktemp("serve")) as found:
        yield found


@pytest.fixture(scope="module")
def kiln(service: ServiceProcess) -> ssl.SSLContext:
    return service.context_of_thing("kiln")


def connect_code(service: ServiceProcess, context: ssl.SSLContext, client_id: str) -> int:
    with WireClient(service.found["mqtts"], context) as client:
        return client.connect(client_id)[1]


def test_where_to_connect(service: ServiceProcess) -> None:
    endpoint = service.iot.describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"]
    assert endpoint == f"localhost:{service.found['mqtts']}"
    with urllib.request.urlopen(service.found["http"] + "/ca.pem") as response:
        assert response.read() == Path(service.found["ca"]).read_bytes()
    for name in ("http", "mqtts", "mqtt", "https", "ca"):
        assert str(service.found[name]) in service.output()


@pytest.mark.parametrize("filters", [[], ["start-next/+", "+/update/+"], ["#"]])
def test_a_job_from_notification_to_success(
    service: ServiceProcess, kiln: ssl.SSLContext, filters: list[str]
) -> None:
    job_id = f"job-{len(filters)}-{'#' in filters:d}"
    with service.device("kiln", kiln) as device:
        device.subscribe(device.topic("notify"), device.topic("notify-next"))
        if filters:
            device.subscribe(*map(device.topic, filters))
        service.create_job(job_id, "kiln")
        notified = dict(device.reply() for _ in range(2))
        assert notified["notify-next"]["execution"]["jobId"] == job_id
        assert [summary["jobId"] for summary in notified["notify"]["jobs"]["QUEUED"]] == [job_id]
        started = device.ask("start-next", clientToken="one")
        assert started["clientToken"] == "one"
        assert started["execution"]["versionNumber"] == 2
        device.ping()
        device.ask(f"{job_id}/update", status="SUCCEEDED", expectedVersion=2, statusDetails={"took": "1 s"})
        notified = dict(device.reply() for _ in range(2))
        assert notified["notify"]["jobs"] == {}
        assert "execution" not in notified["notify-next"]
        device.ping()
    execution = service.execution(job_id, "kiln")
    assert (execution["status"], execution["versionNumber"]) == ("SUCCEEDED", 3)
    assert execution["statusDetails"]["detailsMap"] == {"took": "1 s"}


@pytest.mark.parametrize(
    "sent",
    [
        publish_packet("$aws/things/lathe/jobs/start-next", b"{}"),
        publish_packet("$aws/things/kiln/jobs/start-next/accepted", b"{}"),
        publish_packet("$aws/things/kiln/jobs/job/update/rejected", b"{}"),
        publish_packet("$aws/things/kiln/jobs/notify-next", b"{}"),
        publish_packet("$aws/things/kiln/shadow/update", b"{}"),
        publish_packet("$aws/events/job/1/completed", b"{}"),
        publish_packet("$SYS/broker", b""),
        subscribe_packet("$aws/things/lathe/jobs/notify-next"),
        subscribe_packet("$aws/things/kiln2/jobs/#"),
        subscribe_packet("$aws/things/+/jobs/#"),
        subscribe_packet("$aws/#"),
        subscribe_packet("$SYS/#"),
    ],
    ids=lambda sent: sent.strip(b"\x00\x01")[2:].decode(errors="ignore").strip("\x00\x01\x02{}'"),
)
def test_a_thing_may_use_its_own_topics_only(service: ServiceProcess, kiln: ssl.SSLContext, sent: bytes) -> None:
    with service.device("kiln", kiln) as device:
        device.send(sent)
        assert device.is_closed()


def test_what_else_a_thing_may_do(service: ServiceProcess, kiln: ssl.SSLContext) -> None:
    with service.device("kiln", kiln) as device:
        device.subscribe("workshop/+", device.topic("#"), "$aws/things/kiln/streams/s/data/json")
        device.send(publish_packet("workshop/heat", b"900"))
        assert device.message().payload == b"900"


def test_which_certificates_connect(service: ServiceProcess) -> None:
    arn = service.iot.create_thing(thingName="drill")["thingArn"]
    made, key = service.certificate()
    certificate_id, principal = made["certificateId"], made["certificateArn"]
    context = service.context(made["certificatePem"], key)
    service.iot.attach_thing_principal(thingName="drill", principal=principal)
    assert connect_code(service, context, "drill") == 7, "no policy"
    policy = fleet.make_device_policy(service.iot, arn)
    service.iot.attach_policy(policyName=policy, target=principal)
    assert connect_code(service, context, "drill") == 0
    assert connect_code(service, context, "another") == 7, "the policy allows the thing's name only"
    service.iot.detach_thing_principal(thingName="drill", principal=principal)
    assert connect_code(service, context, "drill") == 7, "attached to no thing"
    service.iot.attach_thing_principal(thingName="drill", principal=principal)
    service.iot.update_certificate(certificateId=certificate_id, newStatus="INACTIVE")
    assert connect_code(service, context, "drill") == 7, "not active"
    for line in (
        "no policy is attached to its certificate, so iot:Connect is not allowed",
        f"no statement of policy {policy} allows iot:Connect on arn:aws:iot:us-east-1:000000000000:client/another; "
        "${iot:Connection.Thing.ThingName} has no value",
        "its certificate is not attached to the thing drill, whose name is its client id",
        "its certificate is INACTIVE",
    ):
        assert f"refused with code 7: {line}" in service.output()


def test_a_deleted_certificate_is_refused(service: ServiceProcess) -> None:
    """Even if this CA has signed it and it names a thing."""
    service.iot.create_thing(thingName="sander")
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sander")])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    request_pem = request.public_bytes(Encoding.PEM).decode()
    made = service.iot.create_certificate_from_csr(certificateSigningRequest=request_pem)
    service.iot.delete_certificate(certificateId=made["certificateId"])
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    assert connect_code(service, service.context(made["certificatePem"], pem), "sander") == 7
    assert "refused with code 7: its certificate is not registered" in service.output()


def test_the_log_says_why_a_certificate_is_refused(service: ServiceProcess) -> None:
    past, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    authority = Authority(Path(service.found["ca"]).parent)
    expired = authority.issue("kiln", not_before=past - 2 * day, not_after=past - day)
    with contextlib.suppress(EOFError, ConnectionError, ssl.SSLError):  # with TLS 1.3 the client learns it later
        connect_code(service, service.context_of(expired), "kiln")
    why = "TLS: CERTIFICATE_VERIFY_FAILED certificate has expired"
    wait_until(lambda: why in service.output(), why, 60)


def test_a_request_for_a_certificate_that_cannot_be_read_is_refused(service: ServiceProcess) -> None:
    request = credentials.key_and_request()[1]
    for wrong in ("x", request[:-100]):
        with pytest.raises(service.iot.exceptions.InvalidRequestException, match="certificateSigningRequest"):
            service.iot.create_certificate_from_csr(certificateSigningRequest=wrong)


def test_a_certificate_of_several_things_acts_for_the_one_named_by_its_client_id(service: ServiceProcess) -> None:
    context = service.context_of_thing("left")
    [principal] = service.iot.list_thing_principals(thingName="left")["principals"]
    service.iot.create_thing(thingName="right")
    service.iot.attach_thing_principal(thingName="right", principal=principal)
    for thing, other in (("left", "right"), ("right", "left")):
        service.create_job(f"for-{thing}", thing)
        with service.device(thing, context) as device:
            assert device.ask("start-next")["execution"]["jobId"] == f"for-{thing}"
            device.send(publish_packet(f"$aws/things/{other}/jobs/start-next", b"{}"))
            assert device.is_closed(), "the policy is about the thing that the client id names"


@pytest.mark.parametrize("undo", ["deactivate", "detach the thing", "detach the policy"])
def test_a_client_whose_certificate_becomes_invalid_is_disconnected(service: ServiceProcess, undo: str) -> None:
    context, saw = service.context_of_thing("lathe"), service.context_of_thing("saw")
    principal = service.iot.list_thing_principals(thingName="lathe")["principals"][-1]
    with service.device("lathe", context) as device, service.device("saw", saw) as other:
        if undo == "deactivate":
            service.iot.update_certificate(certificateId=principal.rpartition("/")[2], newStatus="INACTIVE")
        elif undo == "detach the thing":
            service.iot.detach_thing_principal(thingName="lathe", principal=principal)
        else:
            for policy in service.iot.list_attached_policies(target=principal)["policies"]:
                service.iot.detach_policy(policyName=policy["policyName"], target=principal)
        device.wait_closed()
        other.ping()
    service.iot.update_certificate(certificateId=principal.rpartition("/")[2], newStatus="INACTIVE")
    service.iot.detach_thing_principal(thingName="lathe", principal=principal)


def test_a_client_of_another_authority_is_refused(service: ServiceProcess, tmp_path: Path) -> None:
    stranger = service.context_of(Authority(tmp_path).issue("kiln"))
    with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
        connect_code(service, stranger, "kiln")
    nobody = ssl.create_default_context(cafile=service.found["ca"])
    with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
        connect_code(service, nobody, "kiln")
    assert "Traceback" not in service.output()


def test_a_client_id_of_another_thing_is_refused(service: ServiceProcess, kiln: ssl.SSLContext) -> None:
    thief = service.context_of_thing("thief")
    principal = service.iot.list_thing_principals(thingName="thief")["principals"][0]
    service.iot.create_policy(policyName="everything", policyDocument=policy("iot:*", "*"))
    service.iot.attach_policy(policyName="everything", target=principal)
    assert connect_code(service, thief, "any-client-id") == 0, "the policy allows it"
    with service.device("kiln", kiln) as device:
        assert connect_code(service, thief, "kiln") == 7
        device.ping()
    assert connect_code(service, thief, "kiln") == 7, "also while that thing is away"
    with service.device("any-client-id", thief) as device:
        device.send(publish_packet("$aws/things/kiln/jobs/start-next", b"{}"))
        assert device.is_closed()
    assert "it does not act for the thing kiln" in service.output()


def test_without_tls_the_client_id_names_the_thing(service: ServiceProcess, kiln: ssl.SSLContext) -> None:
    service.create_job("plain", "saw")
    with WireClient(service.found["mqtt"]) as client:
        assert client.connect("saw") == (0, 0)
        client.send(publish_packet("$aws/things/saw/jobs/get", b"{}"))
        assert b'"plain"' in client.message().payload
    with WireClient(service.found["mqtt"]) as client:
        assert client.connect("+") == (0, 0)
        client.send(subscribe_packet("$aws/things/+/jobs/#"))
        assert client.is_closed(), "no thing can be called so"


@pytest.mark.parametrize("port", ["mqtts", "mqtt", "http"])
def test_garbage_on_a_port_does_not_affect_clients(service: ServiceProcess, kiln: ssl.SSLContext, port: str) -> None:
    number = int(service.found["http"].rpartition(":")[2]) if port == "http" else service.found[port]
    with service.device("kiln", kiln) as device:
        with WireClient(number) as client:
            client.send(b"\xff\x00 nonsense \r\n\r\n" * 20)
            client.shut()
            client.wait_closed()
        device.ask("get")
    assert "Traceback" not in service.output()
