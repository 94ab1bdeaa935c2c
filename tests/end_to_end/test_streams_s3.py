"""Streams as a board uses them: objects in MiniStack's S3, a stream created with boto3, blocks in CBOR over mutual TLS
with the policy of `ujobs thing create`; and `ujobs publish-app` with that S3."""

import hashlib
import json
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cbor2
import paho.mqtt.client as mqtt
import pytest
from typer.testing import CliRunner

from clouds import Cloud, ministack_cloud, ujobs_serve
from ujobs_tools.aws import cloud, fleet
from ujobs_tools.cli import app

ROLE = "arn:aws:iam::000000000000:role/streams"
CONTENT = bytes((n * 11 + n // 251) & 255 for n in range(1_000_003))
BLOCK = 4096
COUNT = -(-len(CONTENT) // BLOCK)


class Device:
    """A thing that fetches streams over mutual TLS. messages: (kind, decoded payload), in order of arrival."""

    def __init__(self, served: Cloud, folder: Path, thing: str, qos: int = 1) -> None:
        fleet.create_thing(thing, folder / thing, endpoint_url=served.endpoint_url)
        self.prefix = f"$aws/things/{thing}/streams/table/"
        self.messages: list[tuple[str, Any]] = []
        self.changed = threading.Condition()
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, thing)
        context = ssl.create_default_context(cafile=folder / thing / "ca.pem")
        context.load_cert_chain(folder / thing / "cert.pem", folder / thing / "key.pem")
        self.client.tls_set_context(context)
        self.client.on_message = self._received
        self.client.on_subscribe = lambda *_: self._add("subscribed", None)
        self.client.on_disconnect = lambda *_: self._add("disconnected", None)
        self.client.connect("localhost", served.mqtts)
        self.client.loop_start()
        self.client.subscribe([(self.prefix + kind, qos) for kind in ("data/cbor", "rejected/cbor")])
        self.wait(lambda: ("subscribed", None) in self.messages)

    def _received(self, client: mqtt.Client, userdata: object, message: mqtt.MQTTMessage) -> None:
        self._add(message.topic.removeprefix(self.prefix).partition("/")[0], cbor2.loads(message.payload))

    def _add(self, kind: str, found: Any) -> None:
        with self.changed:
            self.messages.append((kind, found))
            self.changed.notify_all()

    def wait(self, condition: Any) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, 20), self.messages[-3:]

    def ask(self, request: Any) -> tuple[str, Any]:
        """Publish a request (bytes are sent unchanged); returns the first message of the reply."""
        self.messages.clear()
        self.client.publish(f"{self.prefix}get/cbor", request if isinstance(request, bytes) else cbor2.dumps(request))
        self.wait(lambda: self.messages)
        return self.messages[0]

    def blocks(self, request: dict[str, Any], number: int) -> dict[int, bytes]:
        """Publish a request and wait for this many blocks."""
        self.ask(request)
        self.wait(lambda: len(self.messages) >= number)
        return {found["i"]: found["p"] for kind, found in self.messages if kind == "data"}

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture(scope="module")
def storage() -> Iterator[Cloud]:
    """MiniStack with the bucket "files"."""
    with ministack_cloud() as found:
        cloud.client("s3", found.endpoint_url).create_bucket(Bucket="files")
        yield found


@pytest.fixture(scope="module")
def served(storage: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cloud, Path]]:
    """A service with MiniStack's S3, and the stream "table" with a file of 1 MB and a small file."""
    folder = tmp_path_factory.mktemp("streams")
    s3 = cloud.client("s3", storage.endpoint_url)
    s3.put_object(Bucket="files", Key="table.bin", Body=CONTENT)
    s3.put_object(Bucket="files", Key="small", Body=b"small")
    with ujobs_serve(folder, "--s3-url", storage.endpoint_url) as found:
        files = [location(0, "table.bin"), location(5, "small")]
        found.iot().create_stream(streamId="table", roleArn=ROLE, description="text", files=files)
        yield found, folder


def location(file_id: int, key: str) -> dict[str, Any]:
    return {"fileId": file_id, "s3Location": {"bucket": "files", "key": key}}


@pytest.fixture
def device(served: tuple[Cloud, Path], request: pytest.FixtureRequest) -> Iterator[Device]:
    found = Device(*served, thing="device-" + hashlib.sha256(request.node.name.encode()).hexdigest()[:8])
    yield found
    found.close()


def test_a_complete_file_with_repeated_requests_for_blocks(device: Device) -> None:
    missing = set(range(COUNT))
    content: dict[int, bytes] = {}
    lost = {3, 4, 40, COUNT - 1}
    while missing:
        first = min(missing)
        window = [index for index in range(first, min(first + 32, COUNT)) if index in missing]
        bitmap = sum(1 << index - first for index in window).to_bytes(4, "little")
        request = {"c": "t", "s": 1, "f": 0, "l": BLOCK, "o": first, "n": len(window), "b": bitmap}
        for index, piece in device.blocks(request, len(window)).items():
            assert index in window
            if index in lost:
                lost.remove(index)
            else:
                content[index] = piece
                missing.remove(index)
    assert b"".join(content[index] for index in range(COUNT)) == CONTENT


def test_another_things_streams_and_reply_topics_close_the_connection(served: tuple[Cloud, Path]) -> None:
    for number, topic in enumerate(("$aws/things/other/streams/table/get/cbor", "{own}data/cbor", "{own}get/xml")):
        device = Device(*served, thing=f"curious-{number}")
        device.client.publish(topic.replace("{own}", device.prefix), b"{}")
        device.wait(lambda device=device: ("disconnected", None) in device.messages)
        device.close()


def test_files_that_cannot_be_read_from_s3_are_reported(served: tuple[Cloud, Path], tmp_path: Path) -> None:
    iot = served[0].iot()
    for files, message in (
        ([location(0, "missing")], "files/missing cannot be read from S3"),
        ([{"fileId": 0, "s3Location": {"bucket": "files"}}], "s3Location has no 'key'"),
    ):
        with pytest.raises(iot.exceptions.InvalidRequestException, match=message):
            iot.create_stream(streamId="other", roleArn=ROLE, files=files)
    with ujobs_serve(tmp_path) as alone:
        iot = alone.iot()
        with pytest.raises(iot.exceptions.InvalidRequestException, match="--s3-url"):
            iot.create_stream(streamId="other", roleArn=ROLE, files=[location(0, "small")])


def publish(at: Cloud, folder: Path, name: str, *options: str) -> dict[str, Any]:
    """Publish an application, and return the document of its job."""
    (folder / "app.py").write_text("def setup(agent): pass\n")
    at.iot().create_thing(thingName="kiln")
    places = ("--endpoint-url", at.endpoint_url, "--bucket", "files", "--role-arn", ROLE)
    command = ["publish-app", str(folder), "--version", "2", "--name", name, "--thing", "kiln", *places, *options]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(at.iot().get_job_document(jobId=name)["document"])
    return document


def test_publishing_a_stream_from_another_s3(served: tuple[Cloud, Path], storage: Cloud, tmp_path: Path) -> None:
    document = publish(served[0], tmp_path, "streamed", "--s3-url", storage.endpoint_url)
    assert (document["stream"], document["files"][0]["file"]) == ("streamed", 0)
    stored = cloud.client("s3", storage.endpoint_url).get_object(Bucket="files", Key="streamed/app.py")
    assert stored["Body"].read() == (tmp_path / "app.py").read_bytes()


def test_presigned_urls_and_documents_of_another_s3(
    served: tuple[Cloud, Path], storage: Cloud, tmp_path: Path
) -> None:
    iot = served[0].iot()
    document = publish(served[0], tmp_path, "presigned-there", "--s3-url", storage.endpoint_url, "--https")
    data = cloud.client("iot-jobs-data", served[0].endpoint_url)
    started = data.describe_job_execution(thingName="kiln", jobId="presigned-there")["execution"]["jobDocument"]
    url = json.loads(started)["files"][0]["url"]
    assert url.startswith(f"{storage.endpoint_url}/files/presigned-there/app.py?X-Amz-Algorithm=AWS4-HMAC-SHA256")
    assert cloud.get(url) == (tmp_path / "app.py").read_bytes()
    cloud.client("s3", storage.endpoint_url).put_object(Bucket="files", Key="job.json", Body=json.dumps(document))
    target = iot.describe_thing(thingName="kiln")["thingArn"]
    config = {"presignedUrlConfig": {"roleArn": ROLE}}
    for source, message in (
        ("https://files.s3.amazonaws.com/none.json", "is not found"),
        ("s3://no-such-bucket/job.json", "Bucket specified"),
    ):
        for at in (iot, storage.iot()):
            arn = at.create_thing(thingName="kiln")["thingArn"]
            with pytest.raises(at.exceptions.InvalidRequestException, match=message):
                at.create_job(jobId="none", targets=[arn], documentSource=source)
    iot.create_job(jobId="sourced", targets=[target], documentSource="s3://files/job.json", **config)
    assert json.loads(iot.get_job_document(jobId="sourced")["document"]) == document


def test_publishing_with_presigned_urls(storage: Cloud, tmp_path: Path) -> None:
    document = publish(storage, tmp_path, "presigned", "--s3-url", storage.endpoint_url, "--https")
    place = "https://files.s3.us-east-1.amazonaws.com/presigned/app.py"
    assert document["files"][0]["url"] == f"${{aws:iot:s3-presigned-url-v2:{place}}}"
    assert "stream" not in document
