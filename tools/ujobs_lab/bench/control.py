"""The control plane for measurements and load tests: boto3 calls that create things and jobs and check the executions,
in a separate process, so that they take no CPU time from the things."""

import multiprocessing
import time
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any, Self

from ujobs_lab.bench.things import FINAL_VERSION
from ujobs_tools.aws import cloud, fleet
from ujobs_tools.keys import credentials

MAX_TARGETS = 100  # AWS's limit for one CreateJob ("Jobs limits")
DOCUMENT = '{"operation":"measure","of":"ujobs","rounds":2}'

_iot: Any = None


def _connect(endpoint_url: str) -> None:
    global _iot
    _iot = cloud.client("iot", endpoint_url)


def _create_things(names: list[str]) -> dict[str, tuple[str, str]]:
    return {name: _create_thing(name) for name in names}


def _create_thing(name: str) -> tuple[str, str]:
    arn = _iot.create_thing(thingName=name)["thingArn"]
    key, request = credentials.key_and_request()
    made = _iot.create_certificate_from_csr(certificateSigningRequest=request, setAsActive=True)
    _iot.attach_policy(policyName=fleet.make_device_policy(_iot, arn), target=made["certificateArn"])
    _iot.attach_thing_principal(thingName=name, principal=made["certificateArn"])
    return arn, made["certificatePem"] + key


def _create_job(job_id: str, targets: list[str]) -> float:
    began = time.monotonic()
    _iot.create_job(jobId=job_id, targets=targets, document=DOCUMENT)
    return began


def _verify(job_id: str, things: list[str]) -> list[str]:
    wrong = []
    pages = _iot.get_paginator("list_job_executions_for_job").paginate(jobId=job_id)
    found = [summary["thingArn"].rpartition("/")[2] for page in pages for summary in page["executionSummaries"]]
    if sorted(found) != sorted(things):
        wrong.append(f"{job_id} has {len(found)} executions for {len(things)} things")
    for thing in things:
        execution = _iot.describe_job_execution(jobId=job_id, thingName=thing)["execution"]
        state = execution["status"], execution["executionNumber"], execution["versionNumber"]
        if state != ("SUCCEEDED", 1, FINAL_VERSION):
            wrong.append(f"{job_id} of {thing}: {state}")
    status = _iot.describe_job(jobId=job_id)["job"]["status"]
    if status != "COMPLETED":
        wrong.append(f"{job_id} is {status}")
    return wrong


class ControlPlane:
    """boto3's `iot` client at an endpoint, in another process, which makes one call at a time."""

    def __init__(self, endpoint_url: str) -> None:
        # Spawned, not forked: the child shares no connection with this process.
        context = multiprocessing.get_context("spawn")
        self._process = ProcessPoolExecutor(1, context, initializer=_connect, initargs=(endpoint_url,))
        self._arns: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.shutdown(cancel_futures=True)

    def create_things(self, names: list[str]) -> dict[str, str]:
        """Create things with the policy of `ujobs thing create`; gives certificate and key (EC P-256) of each, PEM."""
        made = self._process.submit(_create_things, names).result()
        self._arns = {name: arn for name, (arn, _) in made.items()}
        return {name: pem for name, (_, pem) in made.items()}

    def create_job(self, job_id: str, things: list[str]) -> "Future[float]":
        """Create a SNAPSHOT job for at most MAX_TARGETS things; gives the time.monotonic() of the call."""
        return self._process.submit(_create_job, job_id, [self._arns[thing] for thing in things])

    def verify(self, jobs: dict[str, list[str]]) -> list[str]:
        """Describe everything that is wrong with jobs (id -> its things): each must be COMPLETED, and each execution
        must be the first, SUCCEEDED, and at FINAL_VERSION."""
        results = [self._process.submit(_verify, job_id, things) for job_id, things in jobs.items()]
        return [line for result in results for line in result.result()]
