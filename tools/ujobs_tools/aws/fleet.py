"""Creates things with boto3 calls that work on AWS, on `ujobs serve` and on MiniStack.

A thing gets what its board needs to connect: a key, a certificate, the server's CA certificate, and a policy that
allows only the thing's own Jobs topics.
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
from ujobs_tools.aws.cloud import CloudError, WrongInput
from ujobs_tools.aws.policy import device_policy, policy_name, topics_policy
from ujobs_tools.host.processes import uninterrupted
from ujobs_tools.keys import credentials

MQTTS_PORT = 8883
_NAME = re.compile(r"[a-zA-Z0-9:_-]{1,128}")
_CA_DOCUMENTED = "https://docs.aws.amazon.com/iot/latest/developerguide/server-authentication.html"


@dataclass(frozen=True)
class Identity:
    """What a board connects with.

    name, arn: of the thing or provisioning template. policy: name of the policy attached to the certificate. host,
    port: address for the board; port is None if the service does not report it. directory: folder with ca, cert and
    key, each as .pem and .der. topics_policy: name of the policy for the application's topics, if there are any.
    """

    name: str
    arn: str
    certificate_arn: str
    policy: str
    host: str
    port: int | None
    directory: Path
    topics_policy: str | None = None


class Thing(Identity):
    """A new thing."""


def check_thing_name(name: str) -> None:
    """Raises ValueError if the name is not valid for CreateThing (thingName)."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"thing name {name!r} must be 1 to 128 characters of a-z A-Z 0-9 : _ -")


def create_thing(
    name: str,
    out: Path,
    endpoint_url: str | None = None,
    region: str | None = None,
    profile: str | None = None,
    ca: Path | None = None,
    topics: Sequence[str] = (),
) -> Thing:
    """Create a thing with an active certificate, and write its key and certificates.

    name: 1 to 128 characters of [a-zA-Z0-9:_-]. out: folder for ca, cert and key as .pem and .der; only the owner can
    read the keys, and keys are never overwritten. endpoint_url: URL of `ujobs serve` or MiniStack; None for AWS.
    region, profile: as in boto3. ca: file with the server's CA certificate, PEM or DER; None to fetch it from
    endpoint_url. topics: topics of the application, see policy.topics_policy.

    If a step fails, everything that was created in the cloud is removed, except policies. Raises ValueError if the
    name or a topic is invalid, CloudError if a call fails, OSError if a file cannot be read or written.
    """
    check_thing_name(name)
    credentials.check_folder(out)
    authority = authority_certificate(ca, endpoint_url)
    iot = cloud.client("iot", endpoint_url, region, profile)
    with all_or_nothing() as undo, cloud.one_line_errors():
        host, port = mqtt_endpoint(iot, endpoint_url)
        with uninterrupted():
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
            with uninterrupted():
                iot.attach_policy(policyName=policy, target=certificate_arn)
                undo(f"policy of {number}", iot.detach_policy, policyName=policy, target=certificate_arn)
        with uninterrupted():
            iot.attach_thing_principal(thingName=name, principal=certificate_arn)
            undo(f"thing of {number}", iot.detach_thing_principal, thingName=name, principal=certificate_arn)
        credentials.write(out, authority, made["certificatePem"].encode(), made["keyPair"]["PrivateKey"].encode())
    return Thing(name, arn, certificate_arn, policies[0], host, port, out, policies[1] if topics else None)


def authority_certificate(ca: Path | None, endpoint_url: str | None) -> bytes:
    """Return the server's CA certificate, PEM or DER."""
    if ca is not None:
        content, source = ca.read_bytes(), str(ca)
    elif endpoint_url is not None:
        content, source = cloud.authority_of(endpoint_url), endpoint_url
    else:
        raise WrongInput(f"on AWS, give a file with Amazon Root CA 1 as --ca FILE; download it from {_CA_DOCUMENTED}")
    try:
        credentials.check_authority(credentials.one_certificate(content))
    except ValueError as error:
        raise WrongInput(f"CA from {source}: {error}") from error
    return content


def mqtt_endpoint(iot: Any, endpoint_url: str | None) -> tuple[str, int | None]:
    """Return host and port for MQTT over TLS, from DescribeEndpoint; the port is None if it is not reported."""
    address: str = iot.describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"]
    host, _, port = address.partition(":")
    if endpoint_url is not None and port and int(port) == urlsplit(endpoint_url).port:
        # MiniStack returns its HTTP port, and a host name that not every resolver knows.
        return "localhost" if cloud.is_local(endpoint_url) else host, None
    return host, int(port) if port else MQTTS_PORT


@contextmanager
def all_or_nothing() -> Iterator[Callable[..., None]]:
    """Undo the steps of the body, last one first, if it fails.

    Yields the function undo(what, call, **parameters), with which the body registers how to undo a step; both belong
    into one `uninterrupted` block. what: what the step created, for the error message if it cannot be undone.
    """
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
    # CreateThing also succeeds if the thing exists with the same attributes, so look for it first.
    try:
        iot.describe_thing(thingName=name)
    except iot.exceptions.ResourceNotFoundException:
        arn: str = iot.create_thing(thingName=name)["thingArn"]
        return arn
    raise CloudError(
        f"thing {name} already exists: choose another name, give the folder that has its key, or delete it first"
    )


def make_certificate(iot: Any, undo: Callable[..., None]) -> dict[str, Any]:
    """Create an ACTIVE certificate and its key; returns them in the format of CreateKeysAndCertificate.

    AWS does not generate EC P-256 keys, so the key is created here and leaves only for the board. undo: see
    all_or_nothing.
    """
    key, request = credentials.key_and_request()
    with uninterrupted():
        made: dict[str, Any] = iot.create_certificate_from_csr(certificateSigningRequest=request, setAsActive=True)
        made["keyPair"] = {"PrivateKey": key}
        number = made["certificateId"]
        undo(f"certificate {number}", iot.delete_certificate, certificateId=number)
        undo(f"status of {number}", iot.update_certificate, certificateId=number, newStatus="INACTIVE")
    return made


def make_device_policy(iot: Any, thing_arn: str) -> str:
    """Create the policy for devices if it does not exist; returns its name. thing_arn: see policy.device_policy."""
    document = device_policy(thing_arn)
    name = policy_name(document)
    make_policy(iot, name, document)
    return name


def make_policy(iot: Any, name: str, document: str) -> None:
    """Create a policy if it does not exist. name: from policy.policy_name, so an existing policy has the same
    content."""
    with suppress(iot.exceptions.ResourceAlreadyExistsException):
        iot.create_policy(policyName=name, policyDocument=document)
