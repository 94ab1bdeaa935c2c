"""The HTTP API with boto3's clients: control plane and data plane on one port, typed errors, modelled shapes."""

import hashlib
import json
import ssl
import urllib.error
import urllib.request
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from engine_service import MINUTE, START, Service
from http_service import Server, refused

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def kiln(server: Server) -> str:
    """The ARN of the thing kiln."""
    return server.iot.create_thing(thingName="kiln")["thingArn"]


def create(server: Server, target: str, job_id: str = "a", **options: Any) -> None:
    server.iot.create_job(jobId=job_id, targets=[target], document='{"operation": "x"}', **options)


def test_a_job_from_creation_to_its_end(server: Server, kiln: str) -> None:
    created = server.iot.create_job(
        jobId="a", targets=[kiln], document='{"operation": "x"}', description="text", targetSelection="SNAPSHOT",
        timeoutConfig={"inProgressTimeoutInMinutes": 30},
        jobExecutionsRetryConfig={"criteriaList": [{"failureType": "FAILED", "numberOfRetries": 1}]},
    )
    assert created["jobArn"] == "arn:aws:iot:us-east-1:000000000000:job/a"
    assert server.iot.get_job_document(jobId="a")["document"] == '{"operation": "x"}'
    queued = server.data.get_pending_job_executions(thingName="kiln")
    assert [item["jobId"] for item in queued["queuedJobs"]] == ["a"]
    started = server.data.start_next_pending_job_execution(
        thingName="kiln", statusDetails={"progress": "0"}, stepTimeoutInMinutes=5
    )["execution"]
    assert started == {
        "jobId": "a", "thingName": "kiln", "status": "IN_PROGRESS", "statusDetails": {"progress": "0"},
        "queuedAt": int(START), "startedAt": int(START), "lastUpdatedAt": int(START), "versionNumber": 2,
        "executionNumber": 1, "approximateSecondsBeforeTimedOut": 5 * MINUTE, "jobDocument": '{"operation":"x"}',
    }
    updated = server.data.update_job_execution(
        thingName="kiln", jobId="a", status="SUCCEEDED", statusDetails={"result": "done"}, expectedVersion=2,
        executionNumber=1, includeJobExecutionState=True, includeJobDocument=True,
    )
    assert updated["executionState"] == {
        "status": "SUCCEEDED", "statusDetails": {"result": "done"}, "versionNumber": 3,
    }
    assert updated["jobDocument"] == '{"operation":"x"}'
    job = server.iot.describe_job(jobId="a")["job"]
    assert (job["status"], job["jobProcessDetails"]["numberOfSucceededThings"]) == ("COMPLETED", 1)
    assert job["createdAt"].timestamp() == START
    assert server.data.start_next_pending_job_execution(thingName="kiln").get("execution") is None
    server.iot.delete_job(jobId="a")
    assert server.iot.list_jobs()["jobs"] == []


def test_paths_that_both_services_have(server: Server, kiln: str) -> None:
    create(server, kiln)
    server.data.update_job_execution(thingName="kiln", jobId="a", status="IN_PROGRESS", statusDetails={"k": "v"})
    assert server.iot.describe_job_execution(thingName="kiln", jobId="a")["execution"]["statusDetails"] == {
        "detailsMap": {"k": "v"}
    }
    device = server.data.describe_job_execution(thingName="kiln", jobId="a")["execution"]
    assert device["statusDetails"] == {"k": "v"}
    assert "executionSummaries" in server.iot.list_job_executions_for_thing(thingName="kiln")
    assert "inProgressJobs" in server.data.get_pending_job_executions(thingName="kiln")


def test_next_arrives_encoded_and_plain(server: Server, kiln: str) -> None:
    create(server, kiln)
    assert server.data.describe_job_execution(thingName="kiln", jobId="$next")["execution"]["jobId"] == "a"
    without = server.data.describe_job_execution(
        thingName="kiln", jobId="$next", includeJobDocument=False, executionNumber=1
    )
    assert "jobDocument" not in without["execution"]
    assert server.get("/things/kiln/jobs/$next")[0] == server.get("/things/kiln/jobs/%24next")[0]


def test_thing_names_with_colons(server: Server) -> None:
    target = server.iot.create_thing(thingName="line:2:kiln")["thingArn"]
    create(server, target)
    assert server.iot.describe_thing(thingName="line:2:kiln")["thingName"] == "line:2:kiln"
    assert server.data.start_next_pending_job_execution(thingName="line:2:kiln")["execution"]["jobId"] == "a"


def test_thing_names_that_no_thing_can_have(server: Server) -> None:
    for call, more in (
        (server.data.get_pending_job_executions, {}),
        (server.data.start_next_pending_job_execution, {}),
        (server.data.describe_job_execution, {"jobId": "$next"}),
        (server.data.update_job_execution, {"jobId": "a", "status": "FAILED"}),
    ):
        with refused("InvalidRequestException", 400):
            call(thingName="kiln 7", **more)


def test_force_travels_in_the_query(server: Server, kiln: str) -> None:
    for job_id in ("a", "b", "c", "d"):
        create(server, kiln, job_id)
        server.data.update_job_execution(thingName="kiln", jobId=job_id, status="IN_PROGRESS")
    with refused("InvalidStateTransitionException", 409):
        server.iot.cancel_job_execution(thingName="kiln", jobId="a")
    server.iot.cancel_job_execution(thingName="kiln", jobId="a", force=True, statusDetails={"by": "me"})
    execution = server.iot.describe_job_execution(thingName="kiln", jobId="a", executionNumber=1)["execution"]
    assert (execution["status"], execution["forceCanceled"]) == ("CANCELED", True)
    server.iot.cancel_job(jobId="b", force=True, reasonCode="WRONG", comment="text")
    assert server.iot.describe_job(jobId="b")["job"]["forceCanceled"] is True
    with refused("InvalidStateTransitionException", 409):
        server.iot.delete_job_execution(thingName="kiln", jobId="c", executionNumber=1)
    server.iot.delete_job_execution(thingName="kiln", jobId="c", executionNumber=1, force=True)
    with refused("InvalidStateTransitionException", 409):
        server.iot.delete_job(jobId="d")
    server.iot.delete_job(jobId="d", force=True)
    assert server.data.get_pending_job_executions(thingName="kiln")["inProgressJobs"] == []


def test_modelled_exceptions_carry_their_members(server: Server, kiln: str) -> None:
    create(server, kiln)
    with pytest.raises(server.iot.exceptions.ResourceAlreadyExistsException) as caught:
        create(server, kiln)
    assert caught.value.response["resourceId"] == "a"
    with pytest.raises(server.data.exceptions.InvalidRequestException, match="Expected version 9 but found version 1"):
        server.data.update_job_execution(thingName="kiln", jobId="a", status="FAILED", expectedVersion=9)


def test_what_is_not_implemented_is_named(server: Server) -> None:
    with refused("NotImplementedException", 501):
        server.iot.list_ota_updates()
    with refused("NotImplementedException", 501):
        server.data.start_command_execution(targetArn="arn", commandArn="arn:x")
    with pytest.raises(ClientError, match=r"UpdateJob namespaceId is not implemented"):
        server.iot.update_job(jobId="a", namespaceId="x")
    shadow = boto3.client(
        "iot-data", endpoint_url=server.url, region_name="us-east-1", aws_access_key_id="any",
        aws_secret_access_key="any",
    )
    with pytest.raises(ClientError, match=r"service iotdata is not implemented"):
        shadow.publish(topic="a", payload=b"x")


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"targets": "x"}', b'{"targets": ["x"], "document": 5}', b"{}"])
def test_bodies_that_boto3_would_not_send(server: Server, body: bytes) -> None:
    request = urllib.request.Request(f"{server.url}/jobs/a", body, JSON, method="PUT")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)
    with caught.value as error:
        assert error.code == 400
        assert error.headers["x-amzn-ErrorType"] == "InvalidRequestException"
        assert json.loads(error.read())["message"]


def test_requests_without_a_signature_find_the_service_that_has_the_path(server: Server, kiln: str) -> None:
    create(server, kiln)
    request = urllib.request.Request(f"{server.url}/things/kiln/jobs/$next", b"{}", JSON, method="PUT")
    with urllib.request.urlopen(request, timeout=10) as response:
        assert json.loads(response.read())["execution"]["jobId"] == "a"
    status, body = server.get("/no/such/path")
    assert status == 404
    assert "is not an operation" in json.loads(body)["message"]
    assert server.get("/jobs?maxResults=many")[0] == 400


def test_requests_over_http_notify_devices(server: Server, kiln: str) -> None:
    create(server, kiln)
    assert server.run(Service.heard) == [("kiln", "notify"), ("kiln", "notify-next")]
    server.data.start_next_pending_job_execution(thingName="kiln")
    assert server.run(Service.heard) == []
    server.data.update_job_execution(thingName="kiln", jobId="a", status="SUCCEEDED")
    assert server.run(Service.heard) == [("kiln", "notify"), ("kiln", "notify-next")]


def test_a_thing_gets_its_certificate(server: Server, kiln: str) -> None:
    made = server.iot.create_keys_and_certificate(setAsActive=True)
    der = ssl.PEM_cert_to_DER_cert(made["certificatePem"])
    assert made["certificateId"] == hashlib.sha256(der).hexdigest()
    assert made["certificateArn"].endswith(":cert/" + made["certificateId"])
    key = load_pem_private_key(made["keyPair"]["PrivateKey"].encode(), None)
    assert isinstance(key, RSAPrivateKey), "AWS makes RSA keys"
    assert key.key_size == 2048
    assert made["keyPair"]["PrivateKey"].startswith("-----BEGIN RSA PRIVATE KEY-----")
    assert "PUBLIC KEY" in made["keyPair"]["PublicKey"]
    server.iot.create_policy(policyName="own-topics", policyDocument='{"Version": "2012-10-17", "Statement": []}')
    server.iot.attach_policy(policyName="own-topics", target=made["certificateArn"])
    server.iot.attach_thing_principal(thingName="kiln", principal=made["certificateArn"])
    assert server.iot.list_thing_principals(thingName="kiln")["principals"] == [made["certificateArn"]]
    assert server.iot.list_principal_things(principal=made["certificateArn"])["things"] == ["kiln"]
    described = server.iot.describe_certificate(certificateId=made["certificateId"])["certificateDescription"]
    assert described["status"] == "ACTIVE"
    server.iot.update_certificate(certificateId=made["certificateId"], newStatus="INACTIVE")
    server.iot.detach_thing_principal(thingName="kiln", principal=made["certificateArn"])
    server.iot.detach_policy(policyName="own-topics", target=made["certificateArn"])
    assert server.iot.get_policy(policyName="own-topics")["defaultVersionId"] == "1"
    server.iot.delete_policy(policyName="own-topics")
    server.iot.delete_certificate(certificateId=made["certificateId"])
    server.iot.delete_thing(thingName="kiln")


def test_the_endpoint_and_the_ca_certificate(server: Server) -> None:
    assert server.iot.describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"] == "localhost:8883"
    with refused("InvalidRequestException", 400):
        server.iot.describe_endpoint(endpointType="iot:Jobs")
    status, pem = server.get("/ca.pem")
    assert status == 200
    assert pem.startswith(b"-----BEGIN CERTIFICATE-----")


def test_the_history_of_an_execution(server: Server, kiln: str) -> None:
    create(server, kiln)
    server.run(lambda service: service.clock.forward(1.5))
    server.data.update_job_execution(thingName="kiln", jobId="a", status="REJECTED", statusDetails={"reason": "no"})
    status, body = server.get("/_ujobs/executions/kiln/a/history")
    assert status == 200
    assert json.loads(body) == {
        "thingName": "kiln", "jobId": "a", "executionNumber": 1,
        "history": [
            {"versionNumber": 1, "status": "QUEUED", "at": START},
            {"versionNumber": 2, "status": "REJECTED", "statusDetails": {"reason": "no"}, "at": START + 1.5},
        ],
    }
    assert server.get("/_ujobs/executions/kiln/a/history?executionNumber=1")[1] == body
    assert server.get("/_ujobs/executions/kiln/a/history?executionNumber=2")[0] == 404
    assert server.get("/_ujobs/executions/kiln/a/history?executionNumber=x")[0] == 400
    assert server.get("/_ujobs/executions/kiln/b/history")[0] == 404


def test_clients_that_sign_the_control_plane_as_execute_api(server: Server, kiln: str) -> None:
    def sign_as_before(request: Any, **_: Any) -> None:
        signed = request.headers["Authorization"]
        request.headers["Authorization"] = signed.replace(b"/iot/aws4_request", b"/execute-api/aws4_request")
        assert b"/execute-api/" in request.headers["Authorization"]

    server.iot.meta.events.register("before-send.iot", sign_as_before, "sign-as-before")
    try:
        create(server, kiln)
        described = server.iot.describe_job_execution(jobId="a", thingName="kiln")["execution"]
        assert described["thingArn"] == kiln
        assert server.iot.list_job_executions_for_thing(thingName="kiln")["executionSummaries"][0]["jobId"] == "a"
        with refused("ResourceNotFoundException", 404):
            server.iot.describe_job(jobId="b")
    finally:
        server.iot.meta.events.unregister("before-send.iot", unique_id="sign-as-before")


def test_parameters_without_effect_are_ignored(server: Server, kiln: str) -> None:
    create(
        server, kiln, tags=[], presignedUrlConfig={}, schedulingConfig={},
        jobExecutionsRolloutConfig={"maximumPerMinute": 1}, destinationPackageVersions=[],
    )
    assert server.iot.describe_job(jobId="a")["job"]["status"] == "IN_PROGRESS"
    create(server, kiln, "b", jobExecutionsRolloutConfig={})
    server.iot.create_thing_group(thingGroupName="g", tags=[])
    server.iot.update_job(jobId="a", description="x", jobExecutionsRolloutConfig={"maximumPerMinute": 5})
