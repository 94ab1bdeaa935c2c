"""Creates things with boto3 calls that work on AWS, on `ujobs serve` and on MiniStack.

A thing gets what a board needs to connect as itself: key and certificate, a policy that allows its own Jobs topics
only, and the certificate of the authority that the server is verified with.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from ujobs_tools.aws import cloud
from ujobs_tools.aws.cloud import CloudError
from ujobs_tools.aws.policy import device_policy, policy_name, topics_policy
from ujobs_tools.keys import credentials

MQTTS_PORT = 8883
_NAME = re.compile(r"[a-zA-Z0-9:_-]{1,128}")
_CA_DOCUMENTED = "https://docs.aws.amazon.com/iot/latest/developerguide/server-authentication.html"


@dataclass(frozen=True)
class Thing:
    """A thing that was made.

    name, arn: of the thing. certificate_arn: of its certificate. policy: name of the policy attached to that. host,
    port: where the board connects to; port is None when the service does not say. directory: holds ca, cert and key,
    each as .pem and .der.
    """

    name: str
    arn: str
    certificate_arn: str
    policy: str
    host: str
    port: int | None
    directory: Path


def check_thing_name(name: str) -> None:
    """Raises ValueError unless the service would take the name (CreateThing, thingName)."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"thingName {name!r} must be 1 to 128 characters of [a-zA-Z0-9:_-]")


def create_thing(
    name: str,
    out: Path,
    endpoint_url: str | None = None,
    region: str | None = None,
    profile: str | None = None,
    ca: Path | None = None,
    topics: Sequence[str] = (),
) -> Thing:
    """Make a thing with an active certificate, and write its key and certificates.

    name: 1 to 128 characters of [a-zA-Z0-9:_-]. out: folder for ca, cert and key as .pem and .der; keys only for their
    owner to read, and never overwritten. endpoint_url: of a stand-in, None for AWS. region, profile: as boto3 takes
    them. ca: file, PEM or DER, with the certificate of the server's authority; None: the stand-in is asked for it.
    topics: of the application's own, see policy.topics_policy.

    What was made in the cloud is removed again when a later step fails. Raises ValueError for a wrong name, CloudError
    for what the cloud refuses or lacks, OSError for files.
    """
    check_thing_name(name)
    credentials.check_folder(out)
    authority = authority_certificate(ca, endpoint_url)
    iot = cloud.client("iot", endpoint_url, region, profile)
    with all_or_nothing() as undo, cloud.one_line_errors():
        host, port = mqtt_endpoint(iot, endpoint_url)
        arn = _make_thing(iot, name)
        undo(f"thing {name}", iot.delete_thing, thingName=name)
        policies = [make_device_policy(iot, arn)]
        if topics:
            document = topics_policy(arn, topics)
            policies.append(policy_name(document, "topics"))
            make_policy(iot, policies[-1], document)
        made = make_certificate(iot, undo)
        number, certificate_arn = made["certificateId"], made["certificateArn"]
        for policy in policies:
            iot.attach_policy(policyName=policy, target=certificate_arn)
            undo(f"policy of {number}", iot.detach_policy, policyName=policy, target=certificate_arn)
        iot.attach_thing_principal(thingName=name, principal=certificate_arn)
        undo(f"thing of {number}", iot.detach_thing_principal, thingName=name, principal=certificate_arn)
        credentials.write(out, authority, made["certificatePem"].encode(), made["keyPair"]["PrivateKey"].encode())
    return Thing(name, arn, certificate_arn, policies[0], host, port, out)


def authority_certificate(ca: Path | None, endpoint_url: str | None) -> bytes:
    """The certificate, PEM or DER, that the server is to be verified with."""
    if ca is not None:
        content, source = ca.read_bytes(), str(ca)
    elif endpoint_url is not None:
        content, source = cloud.authority_of(endpoint_url), endpoint_url
    else:
        raise CloudError(f"on AWS, --ca FILE must name Amazon Root CA 1; AWS says where to get it: {_CA_DOCUMENTED}")
    try:
        credentials.one_certificate(content)
    except ValueError as error:
        raise CloudError(f"CA from {source}: {error}") from error
    return content


def mqtt_endpoint(iot: Any, endpoint_url: str | None) -> tuple[str, int | None]:
    """Host and port for MQTT over TLS, by DescribeEndpoint."""
    address: str = iot.describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"]
    host, _, port = address.partition(":")
    if endpoint_url is not None and port and int(port) == urlsplit(endpoint_url).port:
        # MiniStack answers with its port for HTTP, and a host name that not every resolver knows.
        return "localhost" if cloud.is_local(endpoint_url) else host, None
    return host, int(port) if port else MQTTS_PORT


@contextmanager
def all_or_nothing() -> Iterator[Callable[..., None]]:
    """Gives a function that notes how to undo a step (what it made, call, parameters); a failure undoes them all."""
    steps: list[tuple[str, Callable[..., Any], dict[str, Any]]] = []

    def undo(what: str, call: Callable[..., Any], **parameters: Any) -> None:
        steps.append((what, call, parameters))

    try:
        yield undo
    except BaseException as error:
        left = []
        for what, call, parameters in reversed(steps):
            try:
                call(**parameters)
            except (ClientError, BotoCoreError):
                left.append(what)
        if left:
            raise CloudError(f"{error}; could not be undone: {', '.join(left)}") from error
        raise


def _make_thing(iot: Any, name: str) -> str:
    # CreateThing succeeds for a thing that exists with the same attributes, so it must be asked for first.
    try:
        iot.describe_thing(thingName=name)
    except iot.exceptions.ResourceNotFoundException:
        arn: str = iot.create_thing(thingName=name)["thingArn"]
        return arn
    raise CloudError(
        f"thing {name} exists already: choose another name, name the folder that has its key, or delete it first"
    )


def make_certificate(iot: Any, undo: Callable[..., None]) -> dict[str, Any]:
    """An ACTIVE certificate with its key, as CreateKeysAndCertificate gives it. undo: of all_or_nothing.

    The key is EC P-256, which AWS makes none of itself, so it is made here and never leaves but to the board.
    """
    key, request = credentials.key_and_request()
    made: dict[str, Any] = iot.create_certificate_from_csr(certificateSigningRequest=request, setAsActive=True)
    made["keyPair"] = {"PrivateKey": key}
    number = made["certificateId"]
    undo(f"certificate {number}", iot.delete_certificate, certificateId=number)
    undo(f"status of {number}", iot.update_certificate, certificateId=number, newStatus="INACTIVE")
    return made


def make_device_policy(iot: Any, thing_arn: str) -> str:
    """The name of the policy for devices, which is made if it is not there. thing_arn: as for device_policy."""
    document = device_policy(thing_arn)
    name = policy_name(document)
    make_policy(iot, name, document)
    return name


def make_policy(iot: Any, name: str, document: str) -> None:
    """Make a policy if it is not there: for names that go with the content, so that an earlier thing's will do."""
    with suppress(iot.exceptions.ResourceAlreadyExistsException):
        iot.create_policy(policyName=name, policyDocument=document)
