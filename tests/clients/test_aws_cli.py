"""The AWS CLI: creating, watching and ending things, jobs and executions, and its messages for refused requests.

Each call needs a second of processor time, so there are few calls, and two run at a time. test_http_shapes and
test_boto3 have the other operations."""

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from clouds import Cloud
from installed import require
from ujobs_tools.aws.cloud import client
from ujobs_tools.aws.fleet import Thing

PROGRAM = Path(__file__).parents[2] / "build" / "aws-cli" / "bin" / "aws"
PATIENCE = 60  # seconds
FAILURE = 255  # exit code of the CLI's version 1 for every refused request


class AwsCli:
    """The AWS CLI with an endpoint URL and made-up credentials; it does not read the user's configuration."""

    def __init__(self, endpoint_url: str) -> None:
        self._command = [str(PROGRAM), "--endpoint-url", endpoint_url]
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | {
            "AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run `aws COMMAND`; the command's words must not contain spaces."""
        line = [*self._command, *command.split()]
        return subprocess.run(line, env=self._environment, capture_output=True, text=True, timeout=PATIENCE)

    def together(self, *commands: str) -> list[Any]:
        """Run commands in any order; returns the JSON that each prints, None if it prints nothing."""

        def output(command: str) -> Any:
            ended = self.run(command)
            assert ended.returncode == 0, f"{command}: {ended.stderr}"
            return json.loads(ended.stdout) if ended.stdout else None

        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(output, commands))

    def in_turn(self, *commands: str) -> list[Any]:
        """Run commands one after the other; returns the same."""
        return [self.together(command)[0] for command in commands]


@pytest.fixture
def aws(cloud: Cloud) -> AwsCli:
    """The AWS CLI for `ujobs serve`."""
    require(PROGRAM.exists(), "the AWS CLI", "`make clients` puts it into build/aws-cli")
    return AwsCli(cloud.endpoint_url)


def test_jobs_from_their_creation_to_their_end(aws: AwsCli, cloud: Cloud) -> None:
    [thing] = aws.in_turn("iot create-thing --thing-name cli")
    target = f"--targets {thing['thingArn']}"
    aws.in_turn(
        f"""iot create-job --job-id cli-1 {target} --document {{"operation":"x"}} --description first
            --timeout-config inProgressTimeoutInMinutes=30 --target-selection SNAPSHOT
            --job-executions-retry-config criteriaList=[{{failureType=FAILED,numberOfRetries=1}}]""",
        f"iot create-job --job-id cli-2 {target} --document {{}}",
    )
    jobs, job, pages, endpoint = aws.together(
        "iot list-jobs --status IN_PROGRESS --target-selection SNAPSHOT --max-items 1",
        "iot describe-job --job-id cli-1",
        "iot list-job-executions-for-thing --thing-name cli --page-size 1",
        "iot describe-endpoint --endpoint-type iot:Data-ATS",
    )
    assert [item["jobId"] for item in jobs["jobs"]] == ["cli-2"]
    assert "NextToken" in jobs
    assert (job["job"]["description"], job["job"]["timeoutConfig"]) == ("first", {"inProgressTimeoutInMinutes": 30})
    assert {item["jobId"] for item in pages["executionSummaries"]} == {"cli-1", "cli-2"}
    assert endpoint == {"endpointAddress": f"localhost:{cloud.mqtts}"}

    started, updated, _ = aws.in_turn(
        "iot-jobs-data start-next-pending-job-execution --thing-name cli --step-timeout-in-minutes 5",
        """iot-jobs-data update-job-execution --thing-name cli --job-id cli-1 --status SUCCEEDED --expected-version 2
            --status-details result=done --include-job-execution-state --include-job-document""",
        "iot cancel-job --job-id cli-2 --reason-code WRONG --comment text",
    )
    assert (started["execution"]["jobId"], started["execution"]["jobDocument"]) == ("cli-1", '{"operation":"x"}')
    assert updated["executionState"] == {
        "status": "SUCCEEDED", "statusDetails": {"result": "done"}, "versionNumber": 3,
    }
    assert updated["jobDocument"] == '{"operation":"x"}'

    cancelled, known = aws.together(
        "iot describe-job-execution --thing-name cli --job-id cli-2 --execution-number 1",
        "iot list-things --query things[?thingName=='cli'].thingArn",
    )
    assert cancelled["execution"]["status"] == "CANCELED"
    assert known == [thing["thingArn"]]


@pytest.fixture
def refused_thing(thing: Thing, iot: Any, cloud: Cloud) -> str:
    """The name of a thing with a job that has ended, <name>-over."""
    name = f"{thing.name}-over"
    iot.create_job(jobId=name, targets=[thing.arn], document="{}")
    data = client("iot-jobs-data", cloud.endpoint_url)
    data.update_job_execution(thingName=thing.name, jobId=name, status="SUCCEEDED")
    return thing.name


def test_refusals_have_an_exit_code_and_a_name(aws: AwsCli, refused_thing: str) -> None:
    cases = {
        "iot describe-job --job-id none": ("ResourceNotFoundException", "DescribeJob", "Job none cannot be found."),
        "iot-jobs-data describe-job-execution --thing-name {0} --job-id {0}-over": (
            "TerminalStateException", "DescribeJobExecution",
            "Job Execution has reached terminal state. It is neither IN_PROGRESS nor QUEUED",
        ),
        "iot list-topic-rules": (
            "NotImplementedException", "ListTopicRules", "ListTopicRules is not implemented by this service.",
        ),
    }
    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(lambda command: aws.run(command.format(refused_thing)), cases))
    for refusal, (error, operation, message) in zip(ended, cases.values(), strict=True):
        said = f"An error occurred ({error}) when calling the {operation} operation: {message}"
        assert said in " ".join(refusal.stderr.split())
        assert (refusal.returncode, refusal.stdout) == (FAILURE, "")
