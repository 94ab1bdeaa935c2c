"""Rates, abort criteria and job templates behave the same with `ujobs serve` and with MiniStack, whose messages were
measured on AWS. Schedules are not compared: MiniStack stores them without effect."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

import clouds
from ujobs_tools.aws import cloud as clients

THINGS = [f"staged-{number}" for number in range(5)]


def criterion(threshold: float, **members: Any) -> dict[str, Any]:
    return {
        "failureType": "ALL", "action": "CANCEL", "thresholdPercentage": threshold, "minNumberOfExecutedThings": 2,
    } | members


def growing(**members: Any) -> dict[str, Any]:
    return {
        "maximumPerMinute": 9, "exponentialRate": {
            "baseRatePerMinute": 2, "incrementFactor": 2.0, "rateIncreaseCriteria": {"numberOfNotifiedThings": 10},
        } | members,
    }


class Stages:
    """The calls made to a cloud."""

    def __init__(self, cloud: clouds.Cloud) -> None:
        self.iot = cloud.iot()
        self.data: Any = clients.client("iot-jobs-data", cloud.endpoint_url)
        self.arns = [self.iot.create_thing(thingName=thing)["thingArn"] for thing in THINGS]

    def job(self, job_id: str, **options: Any) -> None:
        self.iot.create_job(jobId=job_id, targets=self.arns, **{"document": "{}", **options})

    def described(self, job_id: str) -> dict[str, Any]:
        """The job without times and ARNs."""
        job = self.iot.describe_job(jobId=job_id)["job"]
        left_out = ("createdAt", "lastUpdatedAt", "completedAt", "jobArn", "targets", "jobTemplateArn", "forceCanceled")
        return {name: value for name, value in job.items() if name not in left_out}

    def refusal(self, **options: Any) -> tuple[str, str]:
        """The code and message that refuse a change of the job `plain`."""
        with pytest.raises(ClientError) as caught:
            self.iot.update_job(jobId="plain", **options)
        error = caught.value.response["Error"]
        return error["Code"], error["Message"]

    def everything(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        self.job("plain")
        self.job("risky", abortConfig={"criteriaList": [criterion(50)]})
        self.data.update_job_execution(jobId="risky", thingName=THINGS[0], status="FAILED")
        found["one is over"] = self.described("risky")
        self.data.update_job_execution(jobId="risky", thingName=THINGS[1], status="IN_PROGRESS")
        self.data.update_job_execution(jobId="risky", thingName=THINGS[2], status="REJECTED")
        found["aborted"] = self.described("risky")
        for name, config in (("constant", {"maximumPerMinute": 3}), ("growing", growing())):
            self.job(name, jobExecutionsRolloutConfig=config)
            found[name] = self.described(name)
        self.iot.create_job_template(
            jobTemplateId="template", description="text", document='{"operation": "x"}',
            jobExecutionsRolloutConfig={"maximumPerMinute": 4}, timeoutConfig={"inProgressTimeoutInMinutes": 7},
        )
        template = self.iot.describe_job_template(jobTemplateId="template")
        del template["createdAt"], template["ResponseMetadata"], template["jobTemplateArn"]
        found["template"] = template
        arn = self.iot.list_job_templates()["jobTemplates"][0]["jobTemplateArn"]
        self.iot.create_job(jobId="made", targets=self.arns, jobTemplateArn=arn)
        found["made of it"] = self.described("made")
        for name, options in (
            ("no maximum", {"jobExecutionsRolloutConfig": {"exponentialRate": growing()["exponentialRate"]}}),
            ("no criterion", {"jobExecutionsRolloutConfig": growing(rateIncreaseCriteria={})}),
            ("base over maximum", {"jobExecutionsRolloutConfig": growing(baseRatePerMinute=10)}),
            ("one type twice", {"abortConfig": {"criteriaList": [criterion(10), criterion(20)]}}),
        ):
            found[name] = self.refusal(**options)
        with pytest.raises(ClientError) as caught:
            self.job("late", schedulingConfig={"startTime": "2099-01-01 00:00"})
        found["time"] = caught.value.response["Error"]["Message"]
        return found


def test_stages_are_the_same_on_both(serve: clouds.Cloud, ministack: clouds.Cloud) -> None:
    ours, theirs = Stages(serve).everything(), Stages(ministack).everything()
    for name, found in ours.items():
        assert found == theirs[name], name
