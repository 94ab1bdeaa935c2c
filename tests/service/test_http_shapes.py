"""Every operation of the HTTP API replies in the shape of its service model."""

from typing import Any

from engine_service import NOTHING
from http_service import Server

from ujobs_tools.keys import credentials

BEGIN = "2026-09-21T14:44"
END = "2027-01-01T00:00"
WINDOWS = [{"startTime": "cron(0 0 * * ? *)", "durationInMinutes": 1430}]  # open at the clock's time


def test_every_operation_answers_in_its_modelled_shape(server: Server) -> None:
    iot, data = server.iot, server.data
    thing = "shaped"
    target = iot.create_thing(thingName=thing, attributePayload={"attributes": {"a": "1"}})["thingArn"]
    certificate = iot.create_keys_and_certificate(setAsActive=True)
    principal = certificate["certificateArn"]
    iot.create_certificate_from_csr(certificateSigningRequest=credentials.key_and_request()[1], setAsActive=True)
    iot.create_policy(policyName="shaped", policyDocument=NOTHING)
    iot.create_thing_type(thingTypeName="type", thingTypeProperties={"searchableAttributes": ["a"]})
    iot.attach_principal_policy(policyName="shaped", principal=principal)
    group = iot.create_thing_group(thingGroupName="group")["thingGroupArn"]
    iot.attach_policy(policyName="shaped", target=principal)
    iot.attach_thing_principal(thingName=thing, principal=principal)
    iot.add_thing_to_thing_group(thingGroupName="group", thingName=thing)
    iot.update_thing(thingName=thing, attributePayload={"attributes": {"b": "2"}, "merge": True})
    iot.update_thing_group(thingGroupName="group", thingGroupProperties={"thingGroupDescription": "text"})
    for call, parameters in (
        (iot.describe_thing_type, {"thingTypeName": "type"}),
        (iot.update_thing_type, {"thingTypeName": "type", "thingTypeProperties": {"thingTypeDescription": "x"}}),
        (iot.list_thing_types, {"maxResults": 1}),
        (iot.deprecate_thing_type, {"thingTypeName": "type"}),
        (iot.list_certificates, {"pageSize": 1, "ascendingOrder": True}),
        (iot.list_principal_policies, {"principal": principal}),
        (iot.list_policy_principals, {"policyName": "shaped"}),
        (iot.get_effective_policies, {"principal": principal, "thingName": thing}),
        (iot.update_thing_groups_for_thing, {"thingName": thing, "thingGroupsToAdd": ["group"]}),
        (iot.describe_endpoint, {"endpointType": "iot:Data-ATS"}),
        (iot.update_event_configurations, {"eventConfigurations": {"JOB": {"Enabled": True}}}),
        (iot.describe_event_configurations, {}),
        (iot.update_event_configurations, {"eventConfigurations": {"JOB": {"Enabled": False}}}),
        (iot.describe_thing, {"thingName": thing}),
        (iot.list_things, {"maxResults": 1}),
        (iot.describe_thing_group, {"thingGroupName": "group"}),
        (iot.list_thing_groups, {}),
        (iot.list_thing_groups_for_thing, {"thingName": thing}),
        (iot.list_things_in_thing_group, {"thingGroupName": "group"}),
        (iot.tag_resource, {"resourceArn": group, "tags": [{"Key": "k", "Value": "v"}]}),
        (iot.list_tags_for_resource, {"resourceArn": group}),
        (iot.untag_resource, {"resourceArn": group, "tagKeys": ["k"]}),
        (iot.describe_certificate, {"certificateId": certificate["certificateId"]}),
        (iot.list_thing_principals, {"thingName": thing}),
        (iot.list_principal_things, {"principal": principal}),
        (iot.get_policy, {"policyName": "shaped"}),
        (iot.list_policies, {"pageSize": 1}),
        (iot.list_attached_policies, {"target": principal}),
        (iot.list_targets_for_policy, {"policyName": "shaped"}),
        (iot.create_policy_version, {"policyName": "shaped", "policyDocument": NOTHING, "setAsDefault": True}),
        (iot.get_policy_version, {"policyName": "shaped", "policyVersionId": "1"}),
        (iot.list_policy_versions, {"policyName": "shaped"}),
        (iot.set_default_policy_version, {"policyName": "shaped", "policyVersionId": "1"}),
        (iot.delete_policy_version, {"policyName": "shaped", "policyVersionId": "2"}),
        (iot.list_managed_job_templates, {}),
        (iot.describe_managed_job_template, {"templateName": "AWS-Reboot"}),
    ):
        call(**parameters)
    server.objects.put("bucket", "key", b"content")
    stream = {
        "streamId": "s-1", "roleArn": "arn:aws:iam::000000000000:role/streams",
        "files": [{"fileId": 3, "s3Location": {"bucket": "bucket", "key": "key"}}],
    }
    iot.create_stream(description="text", **stream)
    iot.update_stream(**stream)
    iot.describe_stream(streamId="s-1")
    iot.list_streams(maxResults=1, ascendingOrder=False)
    iot.delete_stream(streamId="s-1")
    iot.create_provisioning_template(
        templateName="line", templateBody='{"Resources": {"certificate": {"Type": "AWS::IoT::Certificate"}}}',
        provisioningRoleArn="arn:aws:iam::000000000000:role/provisioning", description="text", enabled=True,
        type="FLEET_PROVISIONING",
    )
    iot.describe_provisioning_template(templateName="line")
    iot.create_provisioning_template_version(
        templateName="line", templateBody='{"Resources": {"c": {"Type": "AWS::IoT::Certificate"}}}',
    )
    iot.list_provisioning_template_versions(templateName="line")
    iot.describe_provisioning_template_version(templateName="line", versionId=2)
    iot.delete_provisioning_template_version(templateName="line", versionId=2)
    iot.update_provisioning_template(templateName="line", enabled=False, removePreProvisioningHook=True)
    iot.list_provisioning_templates(maxResults=1)
    iot.delete_provisioning_template(templateName="line")
    configurations: dict[str, Any] = {
        "jobExecutionsRolloutConfig": {
            "maximumPerMinute": 9, "exponentialRate": {
                "baseRatePerMinute": 1, "incrementFactor": 1.5, "rateIncreaseCriteria": {"numberOfNotifiedThings": 1},
            },
        },
        "abortConfig": {"criteriaList": [
            {"failureType": "ALL", "action": "CANCEL", "thresholdPercentage": 20.5, "minNumberOfExecutedThings": 9},
        ]},
    }
    iot.create_job(
        jobId="a", targets=[target], document="{}", targetSelection="CONTINUOUS", description="text",
        timeoutConfig={"inProgressTimeoutInMinutes": 5},
        jobExecutionsRetryConfig={"criteriaList": [{"failureType": "ALL", "numberOfRetries": 2}]}, **configurations,
        schedulingConfig={"startTime": BEGIN, "endTime": END, "endBehavior": "CANCEL", "maintenanceWindows": WINDOWS},
    )
    server.run(lambda service: (service.clock.forward(1860), service.engine.expire()))
    iot.create_job_template(
        jobTemplateId="template", description="text", document="{}", maintenanceWindows=WINDOWS, **configurations
    )
    iot.describe_job_template(jobTemplateId="template")
    iot.list_job_templates(maxResults=1)
    iot.delete_job_template(jobTemplateId="template")
    iot.associate_targets_with_job(jobId="a", targets=[f"{target.rpartition(':')[0]}:thinggroup/group"])
    iot.update_job(jobId="a", description="other text")
    data.start_next_pending_job_execution(thingName=thing, statusDetails={"k": "v"}, stepTimeoutInMinutes=1)
    data.get_pending_job_executions(thingName=thing)
    data.describe_job_execution(thingName=thing, jobId="a")
    data.update_job_execution(
        thingName=thing, jobId="a", status="FAILED", includeJobExecutionState=True, includeJobDocument=True
    )
    data.get_pending_job_executions(thingName=thing)
    for call, parameters in (
        (iot.list_jobs, {}),
        (iot.get_job_document, {"jobId": "a"}),
        (iot.list_job_executions_for_job, {"jobId": "a"}),
        (iot.list_job_executions_for_thing, {"thingName": thing}),
        (iot.describe_job_execution, {"jobId": "a", "thingName": thing, "executionNumber": 1}),
        (iot.cancel_job_execution, {"jobId": "a", "thingName": thing}),
        (iot.describe_job_execution, {"jobId": "a", "thingName": thing}),
        (iot.delete_job_execution, {"jobId": "a", "thingName": thing, "executionNumber": 2}),
        (iot.cancel_job, {"jobId": "a", "reasonCode": "DONE", "comment": "text", "force": True}),
        (iot.describe_job, {"jobId": "a"}),
        (iot.delete_job, {"jobId": "a"}),
        (iot.remove_thing_from_thing_group, {"thingGroupName": "group", "thingName": thing}),
        (iot.delete_thing_group, {"thingGroupName": "group"}),
        (iot.detach_policy, {"policyName": "shaped", "target": principal}),
        (iot.detach_principal_policy, {"policyName": "shaped", "principal": principal}),
        (iot.detach_thing_principal, {"thingName": thing, "principal": principal}),
        (iot.update_certificate, {"certificateId": certificate["certificateId"], "newStatus": "INACTIVE"}),
        (iot.delete_certificate, {"certificateId": certificate["certificateId"]}),
        (iot.delete_policy, {"policyName": "shaped"}),
        (iot.delete_thing, {"thingName": thing}),
    ):
        call(**parameters)
    server.run(lambda service: service.clock.forward(300))
    iot.delete_thing_type(thingTypeName="type")
    assert server.answered == server.operations
