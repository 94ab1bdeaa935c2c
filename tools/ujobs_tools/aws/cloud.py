"""Access to AWS IoT, the local service or MiniStack: boto3 clients, the server's CA certificate, one-line errors.

Endpoints on this machine need no AWS account: only these get made-up credentials and a default region.
"""

import http.client
import ipaddress
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.loaders
import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    SSLError,
)

from ujobs_tools.aws import refusals

LOCAL_REGION = "us-east-1"
LOCAL_KEY = "test"  # access key and secret; of MiniStack's root user, if it checks them
_CA_PATHS = ("/ca.pem", "/_ministack/iot/ca.pem")  # of `ujobs serve`, of MiniStack
_TIMEOUT = 10  # seconds
_models = cache(botocore.loaders.create_loader)  # shared, because loading models takes longest


class CloudError(Exception):
    """A call to the cloud failed; the message says in one line which call and why."""


class WrongInput(CloudError, ValueError):
    """A call cannot succeed with these parameters or this configuration; the message says what to change."""


def client(
    service: str, endpoint_url: str | None = None, region: str | None = None, profile: str | None = None
) -> Any:
    """Return a boto3 client.

    service: "iot", "iot-jobs-data" or "s3". endpoint_url: URL of `ujobs serve` or MiniStack; None for AWS. region,
    profile: as in boto3; None for the defaults of its configuration. Raises CloudError.
    """
    with one_line_errors():
        core = botocore.session.Session(profile=profile)
        core.register_component("data_loader", _models(core.get_config_variable("data_path")))
        session = boto3.Session(botocore_session=core, region_name=region)
        options: dict[str, Any] = {"retries": {"mode": "standard", "max_attempts": 3}, "connect_timeout": _TIMEOUT}
        if service == "s3":
            options["signature_version"] = "s3v4"  # otherwise presigned URLs have version 2 in some regions
        local: dict[str, Any] = {}
        if endpoint_url is not None and is_local(endpoint_url):
            options["proxies"] = {}
            options["s3"] = {"addressing_style": "path"}  # not every system resolves bucket.localhost
            if profile is None:
                local = {"aws_access_key_id": LOCAL_KEY, "aws_secret_access_key": LOCAL_KEY}
                local["region_name"] = session.region_name or LOCAL_REGION
        try:
            made = session.client(service, endpoint_url=endpoint_url, config=Config(**options), **local)
        except ValueError as error:
            raise WrongInput(str(error)) from error
        refusals.remember_calls(made)
        return made


def is_local(url: str) -> bool:
    """Return whether a URL points at this machine. Raises WrongInput if it is not a URL."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise WrongInput(f"endpoint URL {url!r}: {error}") from error
    if parts.scheme not in ("http", "https") or not host:
        raise WrongInput(f"endpoint URL {url!r} must be http://HOST:PORT or https://HOST:PORT")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    # A service that listens on all addresses of this machine gives its address as 0.0.0.0.
    return address.is_loopback or address.is_unspecified


def get(url: str, timeout: float = _TIMEOUT) -> bytes:
    """Return the content of a URL; requests to this machine do not use a proxy. timeout: seconds. Raises OSError, for
    example urllib's HTTPError."""
    handlers = [urllib.request.ProxyHandler({})] if is_local(url) else []
    with urllib.request.build_opener(*handlers).open(url, timeout=timeout) as reply:
        content: bytes = reply.read()
    return content


def authority_of(endpoint_url: str) -> bytes:
    """Fetch the CA certificate (PEM) of the MQTT server of `ujobs serve` or MiniStack.

    endpoint_url: their HTTP endpoint. Raises CloudError if there is no certificate at either one's path.
    """
    is_local(endpoint_url)  # raises WrongInput if it is not a URL
    for path in _CA_PATHS:
        try:
            content = get(endpoint_url.rstrip("/") + path)
        except urllib.error.HTTPError:
            continue
        except (OSError, http.client.HTTPException) as error:
            raise CloudError(_why_no_answer(endpoint_url, getattr(error, "reason", error))) from error
        if b"-----BEGIN CERTIFICATE-----" in content:
            return content
    raise CloudError(f"{endpoint_url} has no CA certificate at {' or '.join(_CA_PATHS)}: give a file with --ca")


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Convert the errors that boto3 raises in the body to CloudError; to WrongInput if a repetition would fail, too."""
    try:
        yield
    except (EndpointConnectionError, ConnectTimeoutError) as error:
        raise CloudError(_unreachable(str(error.kwargs["endpoint_url"]))) from error
    except ConnectionClosedError as error:
        raise CloudError(_no_http(str(error.kwargs["endpoint_url"]))) from error
    except SSLError as error:
        raise CloudError(_no_tls(str(error.kwargs["endpoint_url"]), error.kwargs["error"])) from error
    except NoCredentialsError as error:
        raise WrongInput("no AWS credentials: configure them for boto3, or give a --profile that has them") from error
    except NoRegionError as error:
        raise WrongInput(
            "no AWS region: for AWS give --region or set AWS_DEFAULT_REGION; for ujobs serve give --endpoint-url or "
            "set AWS_ENDPOINT_URL"
        ) from error
    except ClientError as error:
        kind = WrongInput if refusals.is_invalid(error) else CloudError
        raise kind(refusals.in_words(error)) from error
    except BotoCoreError as error:
        kind = CloudError if isinstance(error, HTTPClientError) else WrongInput
        raise kind(" ".join(str(error).split())) from error


def _why_no_answer(url: str, reason: object) -> str:
    if isinstance(reason, ssl.SSLError):
        return _no_tls(url, reason)
    # A TLS or MQTT server closes the connection, or its reply is not HTTP.
    return _no_http(url) if isinstance(reason, ConnectionResetError | http.client.HTTPException) else _unreachable(url)


def _unreachable(url: str) -> str:
    return f"nothing answers at {_root(url)}: is the service running there?"


def _no_http(url: str) -> str:
    return f"{_root(url)} does not speak HTTP: use the endpoint URL that ujobs serve printed"


def _no_tls(url: str, reason: object) -> str:
    if "WRONG_VERSION_NUMBER" in str(reason):
        return f"{_root(url)} does not speak TLS: use the endpoint URL that ujobs serve printed, with http://"
    return f"TLS with {_root(url)}: {reason}"


def _root(url: str) -> str:
    # boto3 reports the whole URL of the request.
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
