"""`ujobs serve` as a process, with helpers for its clients."""

import json
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mqtt_wire import WireClient, publish_packet

from ujobs_tools.aws import cloud, fleet
from ujobs_tools.host.processes import read_ready_file, running, ujobs
from ujobs_tools.keys import credentials
from ujobs_tools.keys.pki import Issued


@dataclass
class ServiceProcess:
    """A running service. found: the content of its ready file. folder: of its files."""

    process: subprocess.Popen[bytes]
    found: dict[str, Any]
    folder: Path

    def __post_init__(self) -> None:
        self.iot = cloud.client("iot", self.found["http"])

    def output(self) -> str:
        return (self.folder / "serve.log").read_text()

    def context(self, certificate_pem: str, key_pem: str) -> ssl.SSLContext:
        """A device's TLS context."""
        path = self.folder / "device.pem"
        path.write_text(certificate_pem + key_pem)
        context = ssl.create_default_context(cafile=self.found["ca"])
        context.load_cert_chain(path)
        return context

    def context_of(self, issued: Issued) -> ssl.SSLContext:
        """The TLS context of a client with a certificate that an authority issued."""
        return self.context(issued.certificate_pem.decode(), issued.private_key_pem.decode())

    def context_of_thing(self, thing: str) -> ssl.SSLContext:
        """The TLS context of a thing with a new certificate. It has the policy of `ujobs thing create`, and may use
        topics that begin with `workshop/`."""
        made, key = self.certificate()
        arn, principal = self.iot.create_thing(thingName=thing)["thingArn"], made["certificateArn"]
        for policy in (fleet.make_device_policy(self.iot, arn), self._workshop_policy(arn.partition(":thing/")[0])):
            self.iot.attach_policy(policyName=policy, target=principal)
        self.iot.attach_thing_principal(thingName=thing, principal=principal)
        return self.context(made["certificatePem"], key)

    def certificate(self) -> tuple[dict[str, Any], str]:
        """Create an ACTIVE certificate without attachments; returns the reply and the key as PEM."""
        key, request = credentials.key_and_request()
        return self.iot.create_certificate_from_csr(certificateSigningRequest=request, setAsActive=True), key

    def _workshop_policy(self, prefix: str) -> str:
        resources = [f"{prefix}:{kind}/workshop/*" for kind in ("topic", "topicfilter")]
        actions = ["iot:Publish", "iot:RetainPublish", "iot:Subscribe", "iot:Receive"]
        fleet.make_policy(self.iot, "workshop", policy(actions, resources))
        return "workshop"

    def device(self, thing: str, context: ssl.SSLContext) -> "Device":
        """A thing's connection over mutual TLS."""
        device = Device(self.found["mqtts"], context)
        device.thing = thing
        assert device.connect(thing) == (0, 0)
        return device

    def create_job(self, job_id: str, thing: str, **options: Any) -> None:
        arn = self.iot.create_thing(thingName=thing)["thingArn"]
        self.iot.create_job(jobId=job_id, targets=[arn], document='{"operation": "x"}', **options)

    def execution(self, job_id: str, thing: str) -> dict[str, Any]:
        return self.iot.describe_job_execution(jobId=job_id, thingName=thing)["execution"]


class Device(WireClient):
    """A device's connection with requests of the Jobs API."""

    thing = ""

    def topic(self, suffix: str) -> str:
        return f"$aws/things/{self.thing}/jobs/{suffix}"

    def request(self, suffix: str, **members: Any) -> None:
        self.send(publish_packet(self.topic(suffix), json.dumps(members).encode()))

    def reply(self) -> tuple[str, dict[str, Any]]:
        """The next message: its topic after .../jobs/, and its payload."""
        message = self.message()
        return message.topic.removeprefix(self.topic("")), json.loads(message.payload)

    def ask(self, suffix: str, **members: Any) -> dict[str, Any]:
        """Send a request; returns its accepted reply, which must be the next message."""
        self.request(suffix, **members)
        outcome, payload = self.reply()
        assert outcome == f"{suffix}/accepted", payload
        return payload


def policy(actions: str | list[str], resources: str | list[str], **members: Any) -> str:
    """The document of a policy with one statement."""
    statement = {"Effect": "Allow", "Action": actions, "Resource": resources} | members
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@contextmanager
def serving(folder: Path, *options: str | Path) -> Iterator[ServiceProcess]:
    """`ujobs serve` with its ready file and output in a folder, stopped at the end."""
    ready_file = folder / "ready.json"
    # A killed service leaves its ready file, which the next service removes only after it has started.
    ready_file.unlink(missing_ok=True)
    command = ujobs("serve", "--ready-file", ready_file, *options)
    with (folder / "serve.log").open("ab") as log, running(command, log) as process:
        yield ServiceProcess(process, read_ready_file(ready_file, process), folder)
