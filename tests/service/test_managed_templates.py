"""AWS managed job templates, and jobs created from them with parameters."""

import json
from typing import Any

import pytest
from engine_service import Service
from http_service import Server
from http_service import refused as refused_over_http

from ujobs_tools.service.errors import ApiError
from ujobs_tools.service.managed_templates import TEMPLATES

REBOOT = "arn:aws:iot:us-east-1::jobtemplate/AWS-Reboot:1.0"
DOWNLOAD = "arn:aws:iot:us-east-1::jobtemplate/AWS-Download-File:1.0"
COMMAND = "arn:aws:iot:us-east-1::jobtemplate/AWS-Run-Command"
# From the developer guide: handler, and the required parameters in the order of the handler's arguments.
HANDLERS = {
    "AWS-Download-File": ("download-file.sh", ["downloadUrl", "filePath"]),
    "AWS-Install-Application": ("install-packages.sh", ["packages"]),
    "AWS-Reboot": ("reboot.sh", []),
    "AWS-Remove-Application": ("remove-packages.sh", ["packages"]),
    "AWS-Restart-Application": ("restart-services.sh", ["services"]),
    "AWS-Start-Application": ("start-services.sh", ["services"]),
    "AWS-Stop-Application": ("stop-services.sh", ["services"]),
}


@pytest.fixture
def service() -> Service:
    found = Service()
    found.engine.create_thing("kiln")
    return found


def create(service: Service, template: str, parameters: dict[str, str] | None = None, **options: Any) -> dict[str, Any]:
    target = service.engine.arn("thing", "kiln")
    return service.engine.create_job(
        "a", [target], jobTemplateArn=template, documentParameters=parameters, **options
    )


def device_document(service: Service) -> Any:
    return service.engine.describe("kiln", "a", {})["execution"]["jobDocument"]


@pytest.mark.parametrize("name", HANDLERS)
def test_each_template_runs_its_handler_with_its_parameters(service: Service, name: str) -> None:
    handler, required = HANDLERS[name]
    values = {key: f"value of {key}" for key in required}
    create(service, f"arn:aws:iot:us-east-1::jobtemplate/{name}:1.0", {**values, "pathToHandler": "/here"})
    (step,) = device_document(service)["steps"]
    assert step["action"]["name"] == name.removeprefix("AWS-")
    assert step["action"]["input"].get("args", []) == list(values.values())
    assert (step["action"]["type"], step["action"]["input"]["handler"]) == ("runHandler", handler)
    assert (step["action"]["input"]["path"], step["action"]["runAsUser"]) == ("/here", "")


def test_the_template_that_runs_a_command(service: Service) -> None:
    create(service, COMMAND, {"command": "echo,hello", "runAsUser": "user"})
    assert device_document(service)["steps"][0]["action"] == {
        "name": "Run-Command", "type": "runCommand", "input": {"command": "echo,hello"}, "runAsUser": "user",
    }
    assert set(TEMPLATES) == {*HANDLERS, "AWS-Run-Command"}


def test_a_job_shows_its_template(service: Service) -> None:
    parameters = {"downloadUrl": "https://example.com/é", "filePath": 'a "quoted" \\ path'}
    reply = create(service, DOWNLOAD, parameters)
    assert reply["description"] == TEMPLATES["AWS-Download-File"].description
    job = service.engine.describe_job("a", beforeSubstitution=True)["job"]
    assert (job["jobTemplateArn"], job["documentParameters"]) == (DOWNLOAD, parameters)
    before = service.engine.get_job_document("a", beforeSubstitution=True)["document"]
    assert json.loads(before)["steps"][0]["action"]["input"]["args"] == [
        "${aws:iot:parameter:downloadUrl}", "${aws:iot:parameter:filePath}",
    ]
    after = json.loads(service.engine.get_job_document("a")["document"])
    assert after == device_document(service)
    assert after["steps"][0]["action"]["input"]["args"] == list(parameters.values())


def test_a_job_of_its_own_document_has_nothing_substituted(service: Service) -> None:
    document = '{"path": "${aws:iot:parameter:filePath}"}'
    service.engine.create_job("a", [service.engine.arn("thing", "kiln")], document)
    assert device_document(service) == json.loads(document)
    for before in (False, True):
        assert service.engine.get_job_document("a", beforeSubstitution=before)["document"] == document


@pytest.mark.parametrize(
    ("template", "parameters", "message"),
    [
        (DOWNLOAD, {"downloadUrl": "x"}, "filePath is required"),
        (DOWNLOAD, None, "downloadUrl is required"),
        (DOWNLOAD, {"downloadUrl": "x", "filePath": "y", "file": "z"}, "file: AWS-Download-File only has "),
        (REBOOT, {"runAsUser": "x" * 257}, "runAsUser must match"),
        (REBOOT, {"runAsUser": "a\tb"}, "runAsUser must be at most"),
        (COMMAND, {"command": "echo", "pathToHandler": "/here"}, "pathToHandler: AWS-Run-Command only has "),
        (COMMAND, {"command": "x" * 30721}, "command must be at most 30720"),
    ],
)
def test_parameters_that_are_refused(
    service: Service, template: str, parameters: dict[str, str] | None, message: str
) -> None:
    with pytest.raises(ApiError, match=f"^InvalidRequest: documentParameters {message}"):
        create(service, template, parameters)


def test_parameters_are_for_managed_templates_only(service: Service) -> None:
    target = service.engine.arn("thing", "kiln")
    with pytest.raises(ApiError, match=r"^InvalidRequest: documentParameters can only be used"):
        service.engine.create_job("a", [target], "{}", documentParameters={"a": "b"})
    with pytest.raises(ApiError, match=r"^InvalidRequest: a document and the jobTemplateArn"):
        create(service, REBOOT, document="{}")


@pytest.mark.parametrize(
    "arn",
    [
        f"{REBOOT[:-3]}2.0", REBOOT.replace("Reboot", "Dance"), REBOOT.replace("::", ":000000000000:"),
        REBOOT.replace("us-east-1", "eu-west-1"),
    ],
)
def test_templates_that_do_not_exist(service: Service, arn: str) -> None:
    with pytest.raises(ApiError, match=r"^ResourceNotFound: "):
        create(service, arn)


def test_a_template_is_named_by_its_arn(service: Service) -> None:
    for name in ("AWS-Reboot", service.engine.arn("thing", "kiln")):
        with pytest.raises(ApiError, match=r"^InvalidRequest: "):
            create(service, name)


def test_managed_templates_with_boto3(server: Server) -> None:
    iot = server.iot
    pages = list(iot.get_paginator("list_managed_job_templates").paginate(PaginationConfig={"PageSize": 5}))
    listed = [template for page in pages for template in page["managedJobTemplates"]]
    assert [template["templateName"] for template in listed] == sorted(TEMPLATES)
    assert [len(page["managedJobTemplates"]) for page in pages] == [5, 3]
    (summary,) = iot.list_managed_job_templates(templateName="AWS-Download-File")["managedJobTemplates"]
    described = iot.describe_managed_job_template(templateName="AWS-Download-File", templateVersion="1.0")
    assert {name: described[name] for name in summary} == summary
    assert [(item["key"], item["optional"]) for item in described["documentParameters"]] == [
        ("downloadUrl", False), ("filePath", False), ("runAsUser", True), ("pathToHandler", True),
    ]
    values = {item["key"]: item["example"] for item in described["documentParameters"]}
    target = iot.create_thing(thingName="template-user")["thingArn"]
    iot.create_job(jobId="a", targets=[target], jobTemplateArn=described["templateArn"], documentParameters=values)
    assert iot.get_job_document(jobId="a", beforeSubstitution=True)["document"] == described["document"]
    assert iot.describe_job(jobId="a", beforeSubstitution=False)["job"]["documentParameters"] == values
    started = server.data.start_next_pending_job_execution(thingName="template-user")["execution"]
    assert json.loads(started["jobDocument"])["steps"][0]["action"]["runAsUser"] == values["runAsUser"]
    with refused_over_http("ResourceNotFoundException", 404):
        iot.describe_managed_job_template(templateName="AWS-Reboot", templateVersion="2.0")
    with refused_over_http("InvalidRequestException", 400):
        iot.create_job(jobId="b", targets=[target], jobTemplateArn=described["templateArn"])
