"""Access to AWS IoT, the local service or MiniStack: boto3 clients, the server's CA certificate, one-line errors.

Endpoints on this machine need no AWS account: for these only, made-up credentials and a default region are used.
"""

import http.client
import ipaddress
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
)

LOCAL_REGION = "us-east-1"
LOCAL_KEY = "test"  # access key and secret; MiniStack takes this pair for its root user when it checks them
_CA_PATHS = ("/ca.pem", "/_ministack/iot/ca.pem")  # of `ujobs serve`, of MiniStack
_TIMEOUT = 10  # seconds


class CloudError(Exception):
    """A call to the cloud failed; the message is one line that says what and why."""


def client(
    service: str, endpoint_url: str | None = None, region: str | None = None, profile: str | None = None
) -> Any:
    """A boto3 client.

    service: "iot", "iot-jobs-data", "s3". endpoint_url: of `ujobs serve` or MiniStack; None for AWS. region, profile:
    as boto3 takes them, None for what its configuration says. Raises CloudError.
    """
    with one_line_errors():
        session = boto3.Session(profile_name=profile, region_name=region)
        options: dict[str, Any] = {"retries": {"mode": "standard", "max_attempts": 3}, "connect_timeout": _TIMEOUT}
        stand_in: dict[str, Any] = {}
        if endpoint_url is not None and is_local(endpoint_url):
            options["proxies"] = {}
            options["s3"] = {"addressing_style": "path"}  # bucket.localhost is no name that every system knows
            if profile is None:
                stand_in = {"aws_access_key_id": LOCAL_KEY, "aws_secret_access_key": LOCAL_KEY}
                stand_in["region_name"] = session.region_name or LOCAL_REGION
        return session.client(service, endpoint_url=endpoint_url, config=Config(**options), **stand_in)


def is_local(url: str) -> bool:
    """Whether a URL points at this machine. Raises CloudError when it is none."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise CloudError(f"endpoint URL {url!r}: {error}") from error
    if parts.scheme not in ("http", "https") or not host:
        raise CloudError(f"endpoint URL {url!r} must be http://HOST:PORT or https://HOST:PORT")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    # 0.0.0.0 is what a service says that listens on all addresses of this machine.
    return address.is_loopback or address.is_unspecified


def get(url: str, timeout: float = _TIMEOUT) -> bytes:
    """What is at a URL; a proxy is never asked for what is on this machine. timeout: seconds. Raises OSError, of which
    urllib's HTTPError is one."""
    handlers = [urllib.request.ProxyHandler({})] if is_local(url) else []
    with urllib.request.build_opener(*handlers).open(url, timeout=timeout) as reply:
        content: bytes = reply.read()
    return content


def authority_of(endpoint_url: str) -> bytes:
    """The certificate (PEM) that a stand-in's MQTT server is to be verified with.

    endpoint_url: of `ujobs serve` or MiniStack; each has it at a path of its own. Raises CloudError when it is at
    neither.
    """
    is_local(endpoint_url)  # is it a URL at all?
    for path in _CA_PATHS:
        try:
            content = get(endpoint_url.rstrip("/") + path)
        except urllib.error.HTTPError:
            continue
        except (OSError, http.client.HTTPException) as error:
            raise CloudError(_why_no_answer(endpoint_url, getattr(error, "reason", error))) from error
        if b"-----BEGIN CERTIFICATE-----" in content:
            return content
    raise CloudError(f"{endpoint_url} gives no CA certificate (tried {' and '.join(_CA_PATHS)}): give it with --ca")


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turns what boto3 raises in the body into CloudError."""
    try:
        yield
    except (EndpointConnectionError, ConnectTimeoutError) as error:
        raise CloudError(_unreachable(str(error.kwargs["endpoint_url"]))) from error
    except ConnectionClosedError as error:
        raise CloudError(_no_http(str(error.kwargs["endpoint_url"]))) from error
    except NoCredentialsError as error:
        raise CloudError("no AWS credentials: configure them for boto3, or name a --profile that has them") from error
    except NoRegionError as error:
        raise CloudError(
            "no AWS region: for AWS give --region or set AWS_DEFAULT_REGION; for ujobs serve give --endpoint-url or "
            "set AWS_ENDPOINT_URL"
        ) from error
    except ClientError as error:
        refusal = error.response.get("Error", {})
        said = f"{refusal.get('Code', 'error')}: {refusal.get('Message', '')}".rstrip(": ")
        raise CloudError(f"{error.operation_name} refused: {said}") from error
    except (BotoCoreError, ValueError) as error:
        raise CloudError(" ".join(str(error).split())) from error


def _why_no_answer(url: str, reason: object) -> str:
    if isinstance(reason, ssl.SSLError):
        return f"TLS with {url}: {reason}"
    # A server for TLS, or for MQTT, closes the connection or says something else.
    return _no_http(url) if isinstance(reason, ConnectionResetError | http.client.HTTPException) else _unreachable(url)


def _unreachable(url: str) -> str:
    return f"nothing answers at {_root(url)}: is the service running there?"


def _no_http(url: str) -> str:
    return f"what answers at {_root(url)} is no service for HTTP: take the endpoint URL that ujobs serve has printed"


def _root(url: str) -> str:
    # boto3 names the URL of the request.
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
