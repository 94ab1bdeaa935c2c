"""The operations of the HTTP API, by their names in the API references of AWS IoT and of the IoT Jobs data plane. Most
are methods of the engine; this module has those that need more than the engine."""

import asyncio
import functools
import hashlib
import inspect
import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from botocore import xform_name
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from ujobs_tools.keys.pki import Authority
from ujobs_tools.service import limits
from ujobs_tools.service.engine import Engine
from ujobs_tools.service.errors import ApiError, invalid
from ujobs_tools.service.http_model import CONTROL, DATA
from ujobs_tools.service.objects import Objects
from ujobs_tools.service.streams import Files
from ujobs_tools.service.tags import TagList

Handler = Callable[..., dict[str, Any] | Awaitable[dict[str, Any]]]

COMMON_NAME = "AWS IoT Certificate"  # as on AWS: the certificate does not name the thing

_ENGINE_OPERATIONS = (
    "CreateJob", "DescribeJob", "GetJobDocument", "ListJobs", "UpdateJob", "CancelJob", "DeleteJob",
    "AssociateTargetsWithJob", "CreateJobTemplate", "DescribeJobTemplate", "ListJobTemplates", "DeleteJobTemplate",
    "ListManagedJobTemplates", "DescribeManagedJobTemplate",
    "DescribeJobExecution", "ListJobExecutionsForJob", "ListJobExecutionsForThing", "CancelJobExecution",
    "DeleteJobExecution",
    "CreateThingType", "UpdateThingType", "DescribeThingType", "ListThingTypes", "DeprecateThingType",
    "DeleteThingType",
    "CreateThing", "DescribeThing", "UpdateThing", "ListThings", "DeleteThing",
    "CreateThingGroup", "DescribeThingGroup", "UpdateThingGroup", "DeleteThingGroup", "ListThingGroups",
    "ListThingGroupsForThing", "AddThingToThingGroup", "RemoveThingFromThingGroup", "ListThingsInThingGroup",
    "UpdateThingGroupsForThing",
    "AttachThingPrincipal", "DetachThingPrincipal", "ListThingPrincipals", "ListPrincipalThings",
    "DescribeCertificate", "ListCertificates", "UpdateCertificate", "DeleteCertificate",
    "CreatePolicy", "GetPolicy", "ListPolicies", "DeletePolicy", "AttachPolicy", "DetachPolicy",
    "ListAttachedPolicies", "ListTargetsForPolicy", "CreatePolicyVersion", "GetPolicyVersion", "ListPolicyVersions",
    "SetDefaultPolicyVersion", "DeletePolicyVersion", "AttachPrincipalPolicy", "DetachPrincipalPolicy",
    "ListPrincipalPolicies", "ListPolicyPrincipals", "GetEffectivePolicies",
    "CreateProvisioningTemplate", "DescribeProvisioningTemplate", "ListProvisioningTemplates",
    "UpdateProvisioningTemplate", "DeleteProvisioningTemplate", "CreateProvisioningTemplateVersion",
    "ListProvisioningTemplateVersions", "DescribeProvisioningTemplateVersion", "DeleteProvisioningTemplateVersion",
    "DescribeStream", "ListStreams", "DeleteStream",
    "UpdateEventConfigurations", "DescribeEventConfigurations",
    "TagResource", "UntagResource", "ListTagsForResource",
)


def handlers(
    engine: Engine, authority: Authority, endpoint: Callable[[], str], objects: Objects
) -> dict[tuple[str, str], Handler]:
    """Maps (service, operation) to its handler, which is called with the parameters by boto3's names.

    endpoint: returns the "host:port" for DescribeEndpoint. objects: of job documents and streams; they can be slow.
    """
    table: dict[tuple[str, str], Handler] = {
        (CONTROL, name): getattr(engine, xform_name(name)) for name in _ENGINE_OPERATIONS
    }

    async def create_keys_and_certificate(setAsActive: bool = False) -> dict[str, Any]:
        issued = await asyncio.to_thread(authority.issue_rsa, COMMON_NAME)
        certificate_id = hashlib.sha256(issued.certificate_der).hexdigest()
        pem = issued.certificate_pem.decode("ascii")
        public_key = load_pem_private_key(issued.private_key_pem, None).public_key()
        return {
            "certificateArn": engine.register_certificate(certificate_id, pem, setAsActive),
            "certificateId": certificate_id,
            "certificatePem": pem,
            "keyPair": {
                "PublicKey": public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii"),
                "PrivateKey": issued.private_key_pem.decode("ascii"),
            },
        }

    def create_certificate_from_csr(certificateSigningRequest: str, setAsActive: bool = False) -> dict[str, Any]:
        try:
            pem = authority.sign(certificateSigningRequest.encode())
        except ValueError as error:
            raise invalid(f"certificateSigningRequest: {error}") from error
        certificate_id = x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA256()).hex()
        return {
            "certificateArn": engine.register_certificate(certificate_id, pem.decode("ascii"), setAsActive),
            "certificateId": certificate_id,
            "certificatePem": pem.decode("ascii"),
        }

    def describe_endpoint(endpointType: str = "iot:Data") -> dict[str, Any]:
        if endpointType not in ("iot:Data", "iot:Data-ATS"):
            raise invalid(f"endpointType {endpointType!r} is not implemented; use iot:Data-ATS, also for Jobs")
        return {"endpointAddress": endpoint()}

    async def create_stream(
        streamId: str, files: Files, roleArn: str, description: str | None = None, tags: TagList | None = None
    ) -> dict[str, Any]:
        contents = await asyncio.to_thread(objects.contents, files)
        return engine.create_stream(streamId, files, roleArn, contents, description, tags)

    async def update_stream(
        streamId: str, files: Files | None = None, roleArn: str | None = None, description: str | None = None
    ) -> dict[str, Any]:
        contents = await asyncio.to_thread(objects.contents, files) if files else {}
        return engine.update_stream(streamId, contents, files, roleArn, description)

    for name in ("CreateJob", "CreateJobTemplate"):
        table[CONTROL, name] = _with_source(table[CONTROL, name], objects)
    table[CONTROL, "CreateStream"] = create_stream
    table[CONTROL, "UpdateStream"] = update_stream
    table[CONTROL, "CreateKeysAndCertificate"] = create_keys_and_certificate
    table[CONTROL, "CreateCertificateFromCsr"] = create_certificate_from_csr
    table[CONTROL, "DescribeEndpoint"] = describe_endpoint
    return table | data_plane(engine)


def _with_source(create: Handler, objects: Objects) -> Handler:
    """The operation with the document read that its documentSource names."""

    @functools.wraps(create)
    async def call(**given: Any) -> Any:
        source = given.get("documentSource")
        if source and not given.get("document"):
            given["sourceContent"] = await asyncio.to_thread(objects.document, source)
        return create(**given)

    return call


def data_plane(engine: Engine) -> dict[tuple[str, str], Callable[..., dict[str, Any]]]:
    """Maps (service, operation) to its handler for `iot-jobs-data`."""

    # Over HTTP an execution contains its thing's name, and the job document is a string.

    def shown(reply: dict[str, Any], thing: str) -> dict[str, Any]:
        execution = reply.get("execution")
        if execution is not None:
            execution["thingName"] = thing
        for holder in (reply, execution or {}):
            if "jobDocument" in holder:
                holder["jobDocument"] = json.dumps(
                    holder["jobDocument"], ensure_ascii=False, separators=(",", ":")
                )
        return reply

    def get_pending(thingName: str) -> dict[str, Any]:
        return engine.get_pending(limits.thing_name(thingName))

    def start_next(thingName: str, **request: Any) -> dict[str, Any]:
        return shown(engine.start_next(limits.thing_name(thingName), request), thingName)

    def describe(thingName: str, jobId: str, **request: Any) -> dict[str, Any]:
        return shown(engine.describe(limits.thing_name(thingName), jobId, request), thingName)

    def update(thingName: str, jobId: str, **request: Any) -> dict[str, Any]:
        return shown(engine.update(limits.thing_name(thingName), jobId, request), thingName)

    return {
        (DATA, "GetPendingJobExecutions"): get_pending,
        (DATA, "StartNextPendingJobExecution"): start_next,
        (DATA, "DescribeJobExecution"): describe,
        (DATA, "UpdateJobExecution"): update,
    }


def unsupported(handler: Handler, names: Iterable[str]) -> list[str]:
    """Those of the parameters that a handler does not accept."""
    accepted = inspect.signature(handler).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in accepted.values()):
        return []
    return [name for name in names if name not in accepted]


def says_nothing(value: Any) -> bool:
    """Whether a parameter has no effect: SDKs send `tags: []` and empty configurations for parameters that their caller
    has left out."""
    if isinstance(value, dict):
        return all(map(says_nothing, value.values()))
    return value is None or value == "" or value == []


def not_implemented(name: str) -> ApiError:
    """The error for an operation or parameter that AWS has and this service lacks."""
    return ApiError("NotImplemented", f"{name} is not implemented by this service.")
