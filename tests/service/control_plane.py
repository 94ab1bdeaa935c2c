"""The control plane for the load tests: boto3 calls that create things and jobs and check the executions."""

import ssl
from pathlib import Path

from many_things import FINAL_VERSION

from ujobs_tools.aws import cloud, fleet
from ujobs_tools.keys import credentials
from ujobs_tools.keys.pki import Authority

DOCUMENT = '{"operation":"measure","of":"ujobs","rounds":2}'


class ControlPlane:
    """boto3's `iot` client at an endpoint. authority: folder of the service's CA."""

    def __init__(self, endpoint_url: str, authority: Path) -> None:
        self._iot = cloud.client("iot", endpoint_url)
        self._authority = authority
        self._arns: dict[str, str] = {}

    def create_thing(self, name: str) -> ssl.SSLContext:
        """Create a thing with the policy of `ujobs thing create`; gives a TLS 1.2 context with its certificate."""
        arn = self._arns[name] = self._iot.create_thing(thingName=name)["thingArn"]
        key, request = credentials.key_and_request()
        made = self._iot.create_certificate_from_csr(certificateSigningRequest=request, setAsActive=True)
        self._iot.attach_policy(policyName=fleet.make_device_policy(self._iot, arn), target=made["certificateArn"])
        self._iot.attach_thing_principal(thingName=name, principal=made["certificateArn"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # the version that boards use
        context.load_verify_locations(cadata=Authority(self._authority).ca_pem.decode("ascii"))
        certificate = self._authority / "thing.pem"
        certificate.write_text(made["certificatePem"] + key)
        context.load_cert_chain(certificate)
        certificate.unlink()
        return context

    def create_job(self, job_id: str, things: list[str]) -> None:
        """Create a SNAPSHOT job for at most 100 things, AWS's limit for one CreateJob."""
        self._iot.create_job(jobId=job_id, targets=[self._arns[thing] for thing in things], document=DOCUMENT)

    def problems(self, job_id: str, things: list[str]) -> list[str]:
        """Describe everything that is wrong with a job for these things: it must be COMPLETED, and each execution the
        first, SUCCEEDED and at FINAL_VERSION."""
        wrong = []
        pages = self._iot.get_paginator("list_job_executions_for_job").paginate(jobId=job_id)
        found = [summary["thingArn"].rpartition("/")[2] for page in pages for summary in page["executionSummaries"]]
        if sorted(found) != sorted(things):
            wrong.append(f"{job_id} has {len(found)} executions for {len(things)} things")
        for thing in things:
            execution = self._iot.describe_job_execution(jobId=job_id, thingName=thing)["execution"]
            state = execution["status"], execution["executionNumber"], execution["versionNumber"]
            if state != ("SUCCEEDED", 1, FINAL_VERSION):
                wrong.append(f"{job_id} of {thing}: {state}")
        status = self._iot.describe_job(jobId=job_id)["job"]["status"]
        if status != "COMPLETED":
            wrong.append(f"{job_id} is {status}")
        return wrong
