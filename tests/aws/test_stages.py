"""`--rate`, `--abort-at`, `--window` and `--template`, and the output of `job watch` about them, on `ujobs serve`. Its
clock is fast: a minute takes a tenth of a second."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from botocore.session import get_session
from botocore.validate import ParamValidator
from typer.testing import CliRunner, Result

import clouds
from ujobs_tools.aws import cloud as clients
from ujobs_tools.aws import stages
from ujobs_tools.cli import app

DOCUMENT = '{"operation": "x"}'
THINGS = [f"kiln-{number}" for number in range(10)]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[clouds.Cloud]:
    with clouds.ujobs_serve(tmp_path_factory.mktemp("serve"), "--clock-speed", "600") as found:
        for thing in THINGS:
            found.iot().create_thing(thingName=thing)
        yield found


def run(cloud: clouds.Cloud, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--endpoint-url", cloud.endpoint_url])


def created(cloud: clouds.Cloud, job_id: str, *options: str, things: list[str] = THINGS) -> dict[str, Any]:
    """Create a job with `ujobs job create`; return its description."""
    targets = [word for thing in things for word in ("--thing", thing)]
    result = run(cloud, "job", "create", job_id, *targets, *options)
    assert result.exit_code == 0, result.output
    job: dict[str, Any] = cloud.iot().describe_job(jobId=job_id)["job"]
    return job


@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        ({"rate": "20"}, {"jobExecutionsRolloutConfig": {"maximumPerMinute": 20}}),
        (
            {"rate": "1-100/20"},
            {"jobExecutionsRolloutConfig": {
                "maximumPerMinute": 100, "exponentialRate": {
                    "baseRatePerMinute": 1, "incrementFactor": 2.0,
                    "rateIncreaseCriteria": {"numberOfSucceededThings": 20},
                },
            }},
        ),
        (
            {"abort_at": "20%"},
            {"abortConfig": {"criteriaList": [
                {"failureType": "ALL", "action": "CANCEL", "thresholdPercentage": 20, "minNumberOfExecutedThings": 1},
            ]}},
        ),
        (
            {"abort_at": "12.5/9"},
            {"abortConfig": {"criteriaList": [
                {"failureType": "ALL", "action": "CANCEL", "thresholdPercentage": 12.5, "minNumberOfExecutedThings": 9},
            ]}},
        ),
        (
            {"windows": ["22:00+60", "sat,SUN 08:30+600"]},
            {"schedulingConfig": {"maintenanceWindows": [
                {"startTime": "cron(0 22 ? * * *)", "durationInMinutes": 60},
                {"startTime": "cron(30 8 ? * SAT,SUN *)", "durationInMinutes": 600},
            ]}},
        ),
        ({}, {}),
    ],
)  # fmt: skip
def test_options_are_parameters_of_create_job(options: dict[str, Any], parameters: dict[str, Any]) -> None:
    assert stages.options(**options) == parameters
    model: Any = get_session().get_service_model("iot")
    shape = model.operation_model("CreateJob").input_shape
    report = ParamValidator().validate({"jobId": "j", "targets": ["x"]} | parameters, shape)
    assert not report.has_errors(), report.generate_report()


@pytest.mark.parametrize(
    "options",
    [
        {"rate": "fast"}, {"rate": "1-100"}, {"rate": "0.5"}, {"rate": "0"}, {"abort_at": "many"}, {"abort_at": "20/"},
        {"windows": ["22:00"]}, {"windows": ["22:00-60"]}, {"windows": ["daily 22:00+60"]},
        {"windows": ["MON-XXX 22:00+60"]}, {"windows": ["7:00+5"]},
    ],
)
def test_options_that_cannot_be_read_show_how(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="such as"):
        stages.options(**options)


def test_a_rollout_is_aborted_at_20_percent_failures(cloud: clouds.Cloud) -> None:
    created(cloud, "risky", "--document", DOCUMENT, "--rate", "2", "--abort-at", "20/5")
    data = clients.client("iot-jobs-data", cloud.endpoint_url)
    done = 0
    while done < 5:
        for thing in THINGS:
            if data.get_pending_job_executions(thingName=thing)["queuedJobs"]:
                status = "FAILED" if thing == "kiln-0" else "SUCCEEDED"
                data.update_job_execution(jobId="risky", thingName=thing, status=status)
                done += 1
    result = run(cloud, "job", "watch", "risky")
    assert result.exit_code == 1
    assert "rate: 2 things a minute" in result.output
    assert "aborts: at 20 % ALL, after 5 executions or more" in result.output
    assert "cancelled: ABORT_CANCEL: Abort criteria for failure type ALL" in " ".join(result.output.split())
    counts = cloud.iot().describe_job(jobId="risky")["job"]["jobProcessDetails"]
    assert (counts["numberOfFailedThings"], counts["numberOfSucceededThings"]) == (1, 4)


def test_watch_shows_who_cancelled_a_rollout_and_why(cloud: clouds.Cloud) -> None:
    created(cloud, "steady", "--document", DOCUMENT, "--rate", "4", things=THINGS[:6])
    data = clients.client("iot-jobs-data", cloud.endpoint_url)
    for thing in THINGS[:4]:
        data.update_job_execution(jobId="steady", thingName=thing, status="IN_PROGRESS")
    result = run(cloud, "job", "describe", "steady")
    assert "4 things a minute" in result.output
    cloud.iot().cancel_job(jobId="steady", force=True, comment="enough")
    assert "cancelled with force: enough" in run(cloud, "job", "watch", "steady").output


def test_a_job_for_the_night(cloud: clouds.Cloud) -> None:
    job = created(cloud, "nightly", "--document", DOCUMENT, "--continuous", "--window", "MON-FRI 22:00+60")
    windows = job["schedulingConfig"]["maintenanceWindows"]
    assert windows == [{"startTime": "cron(0 22 ? * MON-FRI *)", "durationInMinutes": 60}]
    assert "next window: " in run(cloud, "job", "describe", "nightly").output
    start = datetime.fromisoformat(job["schedulingConfig"]["startTime"] + "Z")
    assert timedelta(minutes=30) <= start - job["createdAt"] <= timedelta(minutes=40)
    cloud.iot().create_job_template(
        jobTemplateId="night", description="x", document=DOCUMENT, maintenanceWindows=windows
    )
    job = created(cloud, "by-template", "--continuous", "--template", "night", things=["kiln-0"])
    assert job["schedulingConfig"]["maintenanceWindows"] == windows
    own = created(cloud, "own-window", "--continuous", "--template", "night", "--window", "23:00+60", things=["kiln-0"])
    assert own["schedulingConfig"]["maintenanceWindows"][0]["startTime"] == "cron(0 23 ? * * *)"
    for job_id in ("nightly", "by-template", "own-window"):
        cloud.iot().delete_job(jobId=job_id, force=True)
    result = run(cloud, "job", "create", "other", "--thing", "kiln-0", "--document", DOCUMENT, "--window", "22:00+60")
    assert result.exit_code == 2
    assert "--window needs --continuous" in result.output


def test_a_job_of_a_template(cloud: clouds.Cloud) -> None:
    arn = cloud.iot().create_job_template(
        jobTemplateId="careful", description="x", document=DOCUMENT, timeoutConfig={"inProgressTimeoutInMinutes": 9}
    )["jobTemplateArn"]
    for job_id, template in (("by-name", "careful"), ("by-arn", arn)):
        job = created(cloud, job_id, "--template", template, "--rate", "9", things=["kiln-9"])
        assert (job["jobTemplateArn"], job["timeoutConfig"]) == (arn, {"inProgressTimeoutInMinutes": 9})
    assert created(cloud, "own", "--template", "AWS-Reboot", things=["kiln-9"])["jobTemplateArn"].endswith("Reboot:1.0")
    filled = ["--parameter", "downloadUrl=https://example.com/?a=b", "--parameter", "filePath=/data/table.bin"]
    created(cloud, "download", "--template", "AWS-Download-File", *filled, things=["kiln-9"])
    document = json.loads(cloud.iot().get_job_document(jobId="download")["document"])
    arguments = document["steps"][0]["action"]["input"]["args"]
    assert arguments == ["https://example.com/?a=b", "/data/table.bin"]
    for code, options, text in (
        (1, ["--template", "none"], 'job template "none" does not exist'), (2, [], "--template"),
        (2, ["--document", DOCUMENT, *filled], "--parameter needs the --template"),
        (2, ["--template", "AWS-Download-File", "--parameter", "filePath"], "must be NAME=VALUE, such as"),
    ):
        result = run(cloud, "job", "create", "other", "--thing", "kiln-9", *options)
        assert result.exit_code == code
        assert text in result.output


def test_an_update_in_stages(cloud: clouds.Cloud, tmp_path: Any) -> None:
    (tmp_path / "app.py").write_text("def setup(agent):\n    pass\n")
    targets = [word for thing in THINGS for word in ("--thing", thing)]
    options = ["--version", "1.2.3", "--name", "app-2", *targets, "--rate", "1-8/2", "--abort-at", "10/2"]
    result = run(cloud, "publish-app", str(tmp_path), *options)
    assert result.exit_code == 0, result.output
    job = cloud.iot().describe_job(jobId="app-2")["job"]
    assert job["jobExecutionsRolloutConfig"]["exponentialRate"]["baseRatePerMinute"] == 1
    assert job["abortConfig"]["criteriaList"][0]["thresholdPercentage"] == 10
    assert "1 to 8 things a minute, times 2 for each 2 succeeded" in run(cloud, "job", "describe", "app-2").output
