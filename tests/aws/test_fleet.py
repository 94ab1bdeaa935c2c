"""Things created on `ujobs serve` and on MiniStack: their files, and that devices can connect with these, with only
the permissions of the policy."""

import json
import queue
import ssl
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key
from paho.mqtt.enums import CallbackAPIVersion

import clouds
from ujobs_tools.aws import fleet
from ujobs_tools.aws.cloud import CloudError
from ujobs_tools.aws.policy import device_policy, policy_name
from ujobs_tools.board.interpreter import find_micropython

PATIENCE = 60.0  # seconds


def test_files_of_a_new_thing(cloud: clouds.Cloud, tmp_path: Path) -> None:
    made = fleet.create_thing("written:1", tmp_path / "deep" / "out", cloud.endpoint_url)
    out = made.directory
    assert {file.name for file in out.iterdir()} == {f"{n}.{s}" for n in ("ca", "cert", "key") for s in ("pem", "der")}
    for name in ("key.pem", "key.der"):
        assert stat.S_IMODE((out / name).stat().st_mode) == 0o600
    ca, certificate = (x509.load_der_x509_certificate((out / f"{n}.der").read_bytes()) for n in ("ca", "cert"))
    assert [ca, certificate] == [
        x509.load_pem_x509_certificate((out / f"{n}.pem").read_bytes()) for n in ("ca", "cert")
    ]
    certificate.verify_directly_issued_by(ca)
    keys = [
        load_pem_private_key((out / "key.pem").read_bytes(), None),
        load_der_private_key((out / "key.der").read_bytes(), None),
    ]
    assert [key.public_key() for key in keys] == [certificate.public_key()] * 2


def test_thing_certificate_and_policy_in_the_cloud(cloud: clouds.Cloud, tmp_path: Path) -> None:
    made = fleet.create_thing("made-1", tmp_path, cloud.endpoint_url)
    iot = cloud.iot()
    assert iot.describe_thing(thingName="made-1")["thingArn"] == made.arn
    assert iot.list_thing_principals(thingName="made-1")["principals"] == [made.certificate_arn]
    number = made.certificate_arn.rpartition("/")[2]
    assert iot.describe_certificate(certificateId=number)["certificateDescription"]["status"] == "ACTIVE"
    assert json.loads(iot.get_policy(policyName=made.policy)["policyDocument"]) == json.loads(device_policy(made.arn))


def test_where_to_connect(cloud: clouds.Cloud, tmp_path: Path) -> None:
    made = fleet.create_thing("where-1", tmp_path, cloud.endpoint_url)
    assert (made.host, made.port) == ("localhost", cloud.mqtts if cloud.serve else None)


def test_micropython_reads_the_der_files(cloud: clouds.Cloud, tmp_path: Path) -> None:
    fleet.create_thing("read-1", tmp_path, cloud.endpoint_url)
    program = (
        "import tls\n"
        "read = lambda name: open(name, 'rb').read()\n"
        "context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)\n"
        "context.verify_mode = tls.CERT_REQUIRED\n"
        "context.load_verify_locations(read('ca.der'))\n"
        "context.load_cert_chain(read('cert.der'), read('key.der'))\n"
    )
    subprocess.run([find_micropython(), "-c", program], cwd=tmp_path, check=True, timeout=PATIENCE)


class Device:
    """A connected paho client that uses the files of `create_thing`."""

    def __init__(self, directory: Path, port: int, client_id: str) -> None:
        self.received: queue.Queue[tuple[str, dict[str, object]]] = queue.Queue()
        self.subscribed: queue.Queue[bool] = queue.Queue()
        self.disconnected: queue.Queue[None] = queue.Queue()
        self._connected: queue.Queue[bool] = queue.Queue()
        self.client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id, protocol=mqtt.MQTTv311, reconnect_on_failure=False
        )
        context = ssl.create_default_context(cafile=directory / "ca.pem")
        context.load_cert_chain(directory / "cert.pem", directory / "key.pem")
        self.client.tls_set_context(context)
        self.client.on_connect = lambda _c, _u, _f, reason, _p: self._connected.put(not reason.is_failure)
        self.client.on_subscribe = lambda _c, _u, _m, reasons, _p: self.subscribed.put(not reasons[0].is_failure)
        self.client.on_message = lambda _c, _u, message: self.received.put((message.topic, json.loads(message.payload)))
        self.client.on_disconnect = lambda *_: self.disconnected.put(None)
        self.client.connect("localhost", port)
        self.client.loop_start()
        assert self._connected.get(timeout=PATIENCE)

    def subscribe(self, topic: str) -> bool:
        """Return whether the broker accepts the subscription."""
        self.client.subscribe(topic, 1)
        return self.subscribed.get(timeout=PATIENCE)


@contextmanager
def device(directory: Path, cloud: clouds.Cloud, client_id: str) -> Iterator[Device]:
    """A connected device, disconnected at the end."""
    made = Device(directory, cloud.mqtts, client_id)
    try:
        yield made
    finally:
        made.client.disconnect()
        made.client.loop_stop()


def test_a_device_takes_a_job_with_it(cloud: clouds.Cloud, tmp_path: Path) -> None:
    made = fleet.create_thing("device-1", tmp_path, cloud.endpoint_url)
    cloud.iot().create_job(jobId="fleet-job", targets=[made.arn], document='{"operation": "blink"}')
    jobs = "$aws/things/device-1/jobs"
    with device(tmp_path, cloud, "device-1") as connected:
        # The filter that boards use: the policy must allow exactly this one.
        assert connected.subscribe(f"{jobs}/#")
        for request, reply in (
            ("get", "get/accepted"),
            ("start-next", "start-next/accepted"),
            ("fleet-job/get", "fleet-job/get/accepted"),
            ("fleet-job/update", "fleet-job/update/accepted"),
        ):
            connected.client.publish(f"{jobs}/{request}", json.dumps({"clientToken": request, "status": "SUCCEEDED"}))
            topics = set()
            while f"{jobs}/{reply}" not in topics:
                topic, payload = connected.received.get(timeout=PATIENCE)
                assert payload.get("clientToken") in (None, request)
                topics.add(topic)
            assert f"{jobs}/{request}/rejected" not in topics


def test_a_device_may_not_use_another_things_topics(cloud: clouds.Cloud, tmp_path: Path) -> None:
    fleet.create_thing("mine-1", tmp_path / "mine", cloud.endpoint_url)
    fleet.create_thing("other-1", tmp_path / "other", cloud.endpoint_url)
    with device(tmp_path / "mine", cloud, "mine-1") as connected:
        connected.client.subscribe("$aws/things/other-1/jobs/notify-next", 1)
        connected.disconnected.get(timeout=PATIENCE)
        assert connected.subscribed.empty()


def test_a_second_thing_shares_the_policy(cloud: clouds.Cloud, tmp_path: Path) -> None:
    made = [fleet.create_thing(f"shared-{n}", tmp_path / str(n), cloud.endpoint_url) for n in range(2)]
    assert made[0].policy == made[1].policy == policy_name(device_policy(made[0].arn))
    assert made[0].certificate_arn != made[1].certificate_arn


def test_an_existing_thing_is_not_changed(cloud: clouds.Cloud, tmp_path: Path) -> None:
    fleet.create_thing("twice-1", tmp_path / "first", cloud.endpoint_url)
    with pytest.raises(CloudError, match="twice-1 already exists"):
        fleet.create_thing("twice-1", tmp_path / "second", cloud.endpoint_url)
    assert len(cloud.iot().list_thing_principals(thingName="twice-1")["principals"]) == 1
    assert not (tmp_path / "second").exists()


def test_earlier_steps_are_undone_when_a_later_step_fails(
    cloud: clouds.Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificates: list[str] = []

    def fail(_folder: Path, _authority: bytes, certificate: bytes, _key: bytes) -> None:
        certificates.append(certificate.decode())
        raise OSError("disk full")

    monkeypatch.setattr("ujobs_tools.keys.credentials.write", fail)
    with pytest.raises(OSError, match=r"^disk full$"):
        fleet.create_thing("undone-1", tmp_path, cloud.endpoint_url)
    iot = cloud.iot()
    with pytest.raises(iot.exceptions.ResourceNotFoundException):
        iot.describe_thing(thingName="undone-1")
    assert len(certificates) == 1
    monkeypatch.undo()
    fleet.create_thing("undone-1", tmp_path, cloud.endpoint_url)


def test_a_key_is_never_overwritten(cloud: clouds.Cloud, tmp_path: Path) -> None:
    fleet.create_thing("key-1", tmp_path, cloud.endpoint_url)
    key = (tmp_path / "key.pem").read_bytes()
    with pytest.raises(FileExistsError, match="keys are never overwritten"):
        fleet.create_thing("key-2", tmp_path, cloud.endpoint_url)
    assert (tmp_path / "key.pem").read_bytes() == key
    iot = cloud.iot()
    with pytest.raises(iot.exceptions.ResourceNotFoundException):
        iot.describe_thing(thingName="key-2")
