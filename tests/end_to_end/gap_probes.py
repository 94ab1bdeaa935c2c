"""A probe for each of MiniStack's gaps that no scenario shows. It runs on both clouds and has an expected result for
each. If MiniStack gives AWS's result, the gap is closed."""

import contextlib
import json
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from plain_device import PATIENCE, PlainDevice, plain_device

from clouds import Cloud
from ujobs_tools.aws import fleet
from ujobs_tools.aws.cloud import LOCAL_KEY, LOCAL_REGION
from ujobs_tools.aws.fleet import Thing
from ujobs_tools.host.processes import wait_until

JOBS = "jobs/#"


class Place:
    """A cloud with a thing for probes, under the policy of `ujobs thing create`."""

    def __init__(self, cloud: Cloud, thing: Thing) -> None:
        self.cloud = cloud
        self.thing = thing
        self.iot = cloud.iot()
        self.data: Any = boto3.client(
            "iot-jobs-data", endpoint_url=cloud.endpoint_url, region_name=LOCAL_REGION, aws_access_key_id=LOCAL_KEY,
            aws_secret_access_key=LOCAL_KEY, config=Config(parameter_validation=False, proxies={}),
        )

    def device(
        self, *filters: str, client_id: str | None = None, certificate: bool = True
    ) -> contextlib.AbstractContextManager[PlainDevice]:
        """A context manager with the thing's connected device. client_id: by default the thing's name."""
        return plain_device(self.cloud, self.thing, client_id or self.thing.name, *filters, certificate=certificate)

    @contextlib.contextmanager
    def everything_allowed(self) -> Iterator[None]:
        """Allow everything to the thing's certificate, for probes that send what a ujobs board never sends."""
        document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]}
        fleet.make_policy(self.iot, "everything", json.dumps(document))
        self.iot.attach_policy(policyName="everything", target=self.thing.certificate_arn)
        try:
            yield
        finally:
            self.iot.detach_policy(policyName="everything", target=self.thing.certificate_arn)

    @contextlib.contextmanager
    def jobs(self, *names: str, **options: Any) -> Iterator[None]:
        """A context manager with jobs for the thing, which it deletes."""
        try:
            for name in names:
                self.iot.create_job(jobId=name, targets=[self.thing.arn], document="{}", **options)
            yield
        finally:
            for name in names:
                self.iot.delete_job(jobId=name, force=True)

    def status(self, name: str) -> str:
        """The status of the thing's execution of a job."""
        found: str = self.iot.describe_job_execution(jobId=name, thingName=self.thing.name)["execution"]["status"]
        return found

    def run_out_of_time(self, device: PlainDevice, name: str) -> None:
        """Start the execution and let its timer expire."""
        if self.cloud.serve is not None:
            device.ask("start-next", stepTimeoutInMinutes=1)  # the clock runs fast
        else:
            # MiniStack's clock cannot be accelerated, but over HTTP it accepts a step timeout of a few milliseconds.
            device.ask("start-next")
            self.update_over_http(name, stepTimeoutInMinutes=0.0001)
        wait_until(lambda: self.status(name) == "TIMED_OUT", f"timeout of {name}", PATIENCE)

    def update_over_http(self, name: str, **members: Any) -> None:
        """UpdateJobExecution, IN_PROGRESS."""
        self.data.update_job_execution(jobId=name, thingName=self.thing.name, status="IN_PROGRESS", **members)

    def seconds_left_over_http(self, name: str) -> int | None:
        """Wait until the execution times out."""
        execution = self.data.describe_job_execution(jobId=name, thingName=self.thing.name)["execution"]
        return execution.get("approximateSecondsBeforeTimedOut")


@dataclass(frozen=True)
class Probe:
    """A probe. try_on: runs it. aws, ministack: the expected results with `ujobs serve` and with MiniStack."""

    try_on: Callable[[Place], Any]
    aws: Any
    ministack: Any


PROBES: dict[str, Probe] = {}
"""Probes by the name of the gap."""


def probe(gap: str, aws: Any, ministack: Any) -> Callable[[Callable[[Place], Any]], Callable[[Place], Any]]:
    """Decorator: the function is the probe of a gap."""

    def register(function: Callable[[Place], Any]) -> Callable[[Place], Any]:
        PROBES[gap] = Probe(function, aws, ministack)
        return function

    return register


@probe("IN_PROGRESS first", aws=("second", ["second"]), ministack=("first", []))
def in_progress_first(place: Place) -> Any:
    with place.device(JOBS) as device, place.jobs("first", "second"):
        device.settle()
        before = len(device.messages)
        device.ask("second/update", status="IN_PROGRESS")
        _, reply = device.ask("$next/get")
        return reply["execution"]["jobId"], [told["execution"]["jobId"] for _, told in device.notified(before)]


@probe("step timer of an update, and over HTTP", aws=[True, True, True], ministack=[False, False, True])
def step_timer_of_an_update_and_over_http(place: Place) -> Any:
    def running() -> bool:
        return place.seconds_left_over_http("job") is not None

    found = []
    with place.device(JOBS) as device:
        with place.jobs("job"):
            device.ask("job/update", status="IN_PROGRESS", stepTimeoutInMinutes=500)
            found.append(running())
        with place.jobs("job"):
            place.data.start_next_pending_job_execution(thingName=place.thing.name, stepTimeoutInMinutes=500)
            found.append(running())
        with place.jobs("job"):
            place.update_over_http("job", stepTimeoutInMinutes=500)
            found.append(running())
    return found


@probe("range of the step timeout", aws=["InvalidRequest"] * 3, ministack=["accepted"] * 3)
def range_of_the_step_timeout(place: Place) -> Any:
    with place.device(JOBS) as device, place.jobs("job"):
        return [
            device.verdict("start-next", stepTimeoutInMinutes=10081),
            device.verdict("job/update", status="IN_PROGRESS", stepTimeoutInMinutes=10081),
            device.verdict("job/update", status="IN_PROGRESS", stepTimeoutInMinutes=-2),
        ]


@probe("discarded step timer", aws="IN_PROGRESS", ministack="TIMED_OUT")
def discarded_step_timer(place: Place) -> Any:
    with place.jobs("job"):
        place.update_over_http("job", stepTimeoutInMinutes=500)
        place.update_over_http("job", stepTimeoutInMinutes=-1)
        return place.status("job")


@probe("earlier of two timers", aws=True, ministack=False)
def earlier_of_two_timers(place: Place) -> Any:
    with place.jobs("job", timeoutConfig={"inProgressTimeoutInMinutes": 500}):
        place.update_over_http("job", stepTimeoutInMinutes=5000)
        return (place.seconds_left_over_http("job") or 0) <= 500 * 60


@probe("timeout notification", aws=[("jobs/notify", {}), ("jobs/notify-next", None)], ministack=[])
def time_out_is_told(place: Place) -> Any:
    with place.device(JOBS) as device, place.jobs("job"):
        device.settle()
        before = len(device.messages)
        place.run_out_of_time(device, "job")
        return [(topic, told.get("jobs", told.get("execution"))) for topic, told in device.notified(before)]


@probe("retries", aws=[("job", 2)], ministack=[])
def retries(place: Place) -> Any:
    criteria = [{"failureType": "FAILED", "numberOfRetries": 1}]
    with place.device(JOBS) as device, place.jobs("job", jobExecutionsRetryConfig={"criteriaList": criteria}):
        device.ask("job/update", status="FAILED")
        _, reply = device.ask("get")
        return [(summary["jobId"], summary["executionNumber"]) for summary in reply["queuedJobs"]]


@probe("replies without subscription", aws=["without", "with"], ministack=["with"])
def replies_without_subscription(place: Place) -> Any:
    with place.device() as device:
        device.publish("jobs/get", clientToken="without")
        device.subscribe(JOBS)
        device.publish("jobs/get", clientToken="with")
        device.settle()
        return device.answered("without", "with")


@probe("replies to others", aws=["other's"], ministack=["device's", "other's"])
def replies_to_others(place: Place) -> Any:
    reply = "jobs/get/accepted"
    with (
        place.everything_allowed(), place.device(reply) as device, place.device(reply, client_id="other") as other,
    ):
        device.publish("jobs/get", clientToken="device's")
        device.settle()
        other.publish("jobs/get", clientToken="other's")
        other.settle()
        return other.answered("device's", "other's")


@probe("ten in a list", aws=(10, 10), ministack=(11, 11))
def ten_in_a_list(place: Place) -> Any:
    with place.device(JOBS) as device, place.jobs(*(f"job-{number}" for number in range(11))):
        _, reply = device.ask("get")
        told = [payload["jobs"]["QUEUED"] for topic, payload in device.notified() if topic == "jobs/notify"]
        return len(reply["queuedJobs"]), len(told[-1])


@probe("paging", aws=[(1, True), (1, True)], ministack=[(2, False), (2, False)])
def paging(place: Place) -> Any:
    with place.jobs("a", "b"):
        jobs = place.iot.list_jobs(maxResults=1, status="IN_PROGRESS")
        executions = place.iot.list_job_executions_for_thing(
            thingName=place.thing.name, maxResults=1, status="QUEUED"
        )
        return [
            (min(len(jobs["jobs"]), 2), "nextToken" in jobs),  # those of other tests may be among them
            (len(executions["executionSummaries"]), "nextToken" in executions),
        ]


@probe("limits of status details", aws=["InvalidRequest"] * 4, ministack=["accepted"] * 4)
def limits_of_status_details(place: Place) -> Any:
    wrong = ({f"key{number}": "x" for number in range(11)}, {"a.b": "x"}, {"k" * 129: "x"}, {"key": "x" * 1025})
    with place.device(JOBS) as device, place.jobs("job"):
        return [device.verdict("job/update", status="IN_PROGRESS", statusDetails=details) for details in wrong]


@probe("InvalidTopic", aws=["InvalidTopic"], ministack=[])
def invalid_topic(place: Place) -> Any:
    with place.everything_allowed(), place.device(JOBS) as device:
        device.publish("jobs/job/pause", clientToken="mine")
        device.settle()
        return [told["code"] for _, told in device.messages if told.get("clientToken") == "mine" and "code" in told]


@probe("streams", aws=["rejected"], ministack=[])
def streams(place: Place) -> Any:
    with place.everything_allowed(), place.device(JOBS, "streams/none/rejected/json") as device:
        device.publish("streams/none/get/json", c="mine", f=0, l=256, o=0, n=1)
        device.settle()
        return [topic.split("/")[2] for topic, _ in device.messages if topic.startswith("streams/")]


@probe("executions of a deleted thing", aws="QUEUED", ministack="ResourceNotFoundException")
def executions_of_a_deleted_thing(place: Place) -> Any:
    arn = place.iot.create_thing(thingName="short-lived")["thingArn"]
    place.iot.create_job(jobId="job", targets=[arn], document="{}")
    place.iot.delete_thing(thingName="short-lived")
    try:
        return place.iot.describe_job_execution(jobId="job", thingName="short-lived")["execution"]["status"]
    except ClientError as error:
        return error.response["Error"]["Code"]
    finally:
        place.iot.delete_job(jobId="job", force=True)


@probe("client certificate", aws="refused", ministack="connected")
def client_certificate(place: Place) -> Any:
    try:
        with place.device(certificate=False):
            return "connected"
    except (ssl.SSLError, ConnectionError):
        return "refused"


@probe("policies of thing groups", aws="connected", ministack="refused")
def policies_of_thing_groups(place: Place) -> Any:
    group = place.iot.create_thing_group(thingGroupName="probed")["thingGroupArn"]
    own = {"policyName": place.thing.policy, "target": place.thing.certificate_arn}
    place.iot.add_thing_to_thing_group(thingGroupName="probed", thingName=place.thing.name)
    place.iot.attach_policy(policyName=place.thing.policy, target=group)
    place.iot.detach_policy(**own)
    try:
        with place.device(JOBS):
            return "connected"
    except ConnectionError:
        return "refused"
    finally:
        place.iot.attach_policy(**own)
        place.iot.detach_policy(policyName=place.thing.policy, target=group)
        place.iot.delete_thing_group(thingGroupName="probed")


@probe("limits of the broker", aws=["closed"] * 2, ministack=["open"] * 2)
def limits_of_the_broker(place: Place) -> Any:
    def after(action: Callable[[PlainDevice], object]) -> str:
        with place.everything_allowed(), place.device(JOBS) as device:
            action(device)
            device.publish("jobs/get", clientToken="still there")
            device.wait_for(lambda: not device.connected or bool(device.answered("still there")))
            return "open" if device.connected else "closed"

    return [
        after(lambda device: device.publish("jobs/get", filling="x" * 128 * 1024)),
        after(lambda device: device.mqtt.subscribe([(f"filter/{number}", 0) for number in range(9)])),
    ]
