"""The Jobs device HTTP API over mutual TLS."""

import http.client
import json
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from service_process import ServiceProcess, policy, serving

OPERATIONS = [
    f"iotjobsdata:{name}JobExecution{end}"
    for name, end in (("GetPending", "s"), ("StartNextPending", ""), ("Describe", ""), ("Update", ""))
]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    with serving(tmp_path_factory.mktemp("devices")) as found:
        yield found


Made = Callable[..., ssl.SSLContext]


@pytest.fixture
def device(service: ServiceProcess) -> Made:
    """Creates a thing with a certificate that has a policy; returns its TLS context. actions: on the thing."""

    def make(thing: str, actions: list[str] | None = None, resource: str | None = None) -> ssl.SSLContext:
        made, key = service.certificate()
        arn = service.iot.create_thing(thingName=thing)["thingArn"]
        document, name = policy(actions or OPERATIONS, resource or arn), f"{thing.replace(':', '-')}-http"
        service.iot.create_policy(policyName=name, policyDocument=document)
        service.iot.attach_policy(policyName=name, target=made["certificateArn"])
        service.iot.attach_thing_principal(thingName=thing, principal=made["certificateArn"])
        return service.context(made["certificatePem"], key)

    return make


def ask(
    service: ServiceProcess, context: ssl.SSLContext, method: str, path: str, body: str | None = None
) -> tuple[int, Any, str | None]:
    """Send a request; returns status, members of the reply and the error's type."""
    connection = http.client.HTTPSConnection("localhost", service.found["https"], context=context, timeout=10)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read()), reply.headers["x-amzn-ErrorType"]
    finally:
        connection.close()


def test_a_job_from_start_to_end(service: ServiceProcess, device: Made) -> None:
    context = device("line:1")
    service.create_job("http-1", "line:1")
    pending = ask(service, context, "GET", "/things/line%3A1/jobs")[1]
    assert [job["jobId"] for job in pending["queuedJobs"]] == ["http-1"]
    body = json.dumps({"statusDetails": {"step": "ü"}, "stepTimeoutInMinutes": 5})
    started = ask(service, context, "PUT", "/things/line:1/jobs/$next", body)[1]["execution"]
    assert (started["thingName"], started["jobDocument"]) == ("line:1", '{"operation":"x"}')
    assert (started["versionNumber"], started["statusDetails"]) == (2, {"step": "ü"})
    described = ask(service, context, "GET", "/things/line:1/jobs/http-1?includeJobDocument=false&executionNumber=1")[1]
    assert "jobDocument" not in described["execution"]
    body = json.dumps({"status": "SUCCEEDED", "expectedVersion": 2, "includeJobExecutionState": True})
    assert ask(service, context, "POST", "/things/line:1/jobs/http-1", body)[1]["executionState"]["versionNumber"] == 3
    status, _, kind = ask(service, context, "POST", "/things/line:1/jobs/http-1", '{"status": "FAILED"}')
    assert (status, kind) == (409, "InvalidStateTransitionException")
    status, _, kind = ask(service, context, "GET", "/things/line:1/jobs/http-1")
    assert (status, kind) == (410, "TerminalStateException")
    assert ask(service, context, "PUT", "/things/line:1/jobs/$next", "{}")[:2] == (200, {})


def test_boto3_with_a_client_certificate(service: ServiceProcess, device: Made) -> None:
    device("boto")
    service.create_job("http-2", "boto")
    path = str(service.folder / "device.pem")
    data = boto3.client(
        "iot-jobs-data", endpoint_url=f"https://localhost:{service.found['https']}", region_name="us-east-1",
        aws_access_key_id="any", aws_secret_access_key="any", verify=service.found["ca"],
        config=Config(client_cert=path, proxies={}, retries={"total_max_attempts": 1}),
    )
    assert data.describe_job_execution(thingName="boto", jobId="$next")["execution"]["jobId"] == "http-2"
    with pytest.raises(data.exceptions.ResourceNotFoundException):
        data.describe_job_execution(thingName="boto", jobId="none")


def test_what_is_not_allowed(service: ServiceProcess, device: Made) -> None:
    reader = device("reader", OPERATIONS[:1])
    assert ask(service, reader, "GET", "/things/reader/jobs")[0] == 200
    refused = 403, {"message": "Forbidden"}, "ForbiddenException"
    assert ask(service, reader, "PUT", "/things/reader/jobs/$next", "{}") == refused
    assert "iotjobsdata:StartNextPendingJobExecution on arn:" in service.output()
    wide = device("wide", resource="*")
    assert ask(service, wide, "GET", "/things/wide/jobs")[0] == 200
    assert ask(service, wide, "GET", "/things/reader/jobs") == refused, "it is not attached to that thing"
    assert ask(service, wide, "GET", "/things/none/jobs") == refused
    variable = "arn:aws:iot:us-east-1:000000000000:thing/${iot:Connection.Thing.ThingName}"
    assert ask(service, device("variable", resource=variable), "GET", "/things/variable/jobs") == refused
    mqtt = service.context_of_thing("mqtt")
    assert ask(service, mqtt, "GET", "/things/mqtt/jobs") == refused, "policies for topics do not count"
    [principal] = service.iot.list_thing_principals(thingName="wide")["principals"]
    service.iot.update_certificate(certificateId=principal.rpartition("/")[2], newStatus="INACTIVE")
    assert ask(service, wide, "GET", "/things/wide/jobs") == refused


def test_requests_that_are_none(service: ServiceProcess, device: Made) -> None:
    context = device("odd")
    for method, path, status in (
        ("GET", "/", 404), ("GET", "/things", 404), ("DELETE", "/things/odd", 404), ("POST", "/things/odd", 404),
        ("GET", "/ca.pem", 404), ("POST", "/command-executions", 501), ("GET", "/things/odd/jobs/a%20b", 400),
        ("GET", "/things/odd/jobs/a?executionNumber=one", 400), ("GET", "/things/%2e%2e/jobs", 403),
    ):
        assert ask(service, context, method, path)[0] == status, path
    assert ask(service, context, "PUT", "/things/odd/jobs/$next", "{")[0] == 400
    assert ask(service, context, "POST", "/things/odd/jobs/a", '{"status": "SUCCESS"}')[0] == 400


def test_a_client_certificate_is_required(service: ServiceProcess, device: Made) -> None:
    stranger = ssl.create_default_context(cafile=service.found["ca"])
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
        ask(service, stranger, "GET", "/things/kiln/jobs")
    context = device("alpn")
    context.set_alpn_protocols(["x-amzn-http-ca"])
    address = "127.0.0.1", service.found["https"]
    with (
        socket.create_connection(address, timeout=10) as connection,
        context.wrap_socket(connection, server_hostname="localhost") as secured,
    ):
        assert secured.selected_alpn_protocol() == "x-amzn-http-ca"


def test_its_port_can_be_chosen(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with serving(tmp_path, "--https-port", str(port)) as found:
        assert found.found["https"] == port
