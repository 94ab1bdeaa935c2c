"""Says in plain words why a service refused a call; AWS's error code and message follow in brackets."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

_ASKED = "UjobsParameters", "UjobsEndpoint"  # added to the error in boto3's reply
# The first of these parameters in a call is what the call is about: its name in English, and a hint for a missing one.
_ABOUT = {
    "jobId": ("job", "`ujobs job list` shows the jobs"),
    "thingName": ("thing", "`ujobs thing list` shows the things, `ujobs thing create {name} --out FOLDER` creates it"),
    "thingGroupName": ("thing group", "create it with `aws iot create-thing-group`"),
    "jobTemplateId": ("job template", "create it with `aws iot create-job-template`"),
    "streamId": ("stream", "`aws iot list-streams` shows the streams"),
    "templateName": ("template", "check the name"),
    "policyName": ("policy", "check the name"),
    "certificateId": ("certificate", "check the id"),
    "Bucket": ("bucket", "create it, or give another --bucket"),
}
_MISSING = {"ResourceNotFoundException", "NoSuchBucket"}
_EXISTS = {"ResourceAlreadyExistsException"}
_INVALID = {"InvalidRequestException", "ValidationException", "InvalidParameterException", "MalformedPolicyException"}
_NOT_ALLOWED = {"AccessDenied", "AccessDeniedException", "UnauthorizedException", "ForbiddenException"}
_CREDENTIALS = {
    "ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId", "InvalidClientTokenId", "InvalidSignatureException",
    "SignatureDoesNotMatch", "UnrecognizedClientException",
}  # fmt: skip
_TOO_FAST = {"ThrottlingException", "TooManyRequestsException", "SlowDown"}


def remember_calls(client: Any) -> None:
    """Make a boto3 client add the parameters of a refused call and its URL to the error, for in_words."""

    def asked(params: Any, context: dict[str, Any], **_: Any) -> None:
        context[_ASKED[0]] = params

    def answered(parsed: Any, http_response: Any, context: Mapping[str, Any], **_: Any) -> None:
        if http_response.status_code >= 300 and isinstance(parsed.get("Error"), dict):
            parsed["Error"] |= {_ASKED[0]: context.get(_ASKED[0]), _ASKED[1]: http_response.url}

    client.meta.events.register("provide-client-params", asked)
    client.meta.events.register("after-call", answered)


def is_invalid(error: ClientError) -> bool:
    """Return whether the service refused the call because a parameter is invalid."""
    return error.response.get("Error", {}).get("Code") in _INVALID


def in_words(error: ClientError) -> str:
    """Return one line: what is wrong and what to do, then AWS's code and message."""
    refusal: Mapping[str, Any] = error.response.get("Error", {})
    code, message = refusal.get("Code", "error"), " ".join(str(refusal.get("Message", "")).split())
    said = f"{code}: {message}".rstrip(": ")
    return f"{_sentence(error.operation_name, code, refusal)} ({said})"


def _sentence(operation: str, code: str, refusal: Mapping[str, Any]) -> str:
    asked: Mapping[str, Any] = refusal.get(_ASKED[0]) or {}
    url = urlsplit(refusal.get(_ASKED[1]) or "")
    where = f"{url.scheme}://{url.netloc}" if url.netloc else "the service"
    about = next((name for name in _ABOUT if name in asked), None)
    if about and code in _MISSING:
        kind, hint = _ABOUT[about]
        name = asked[about]
        if about == "jobId" and "thingName" in asked:
            return f'thing "{asked["thingName"]}" has no execution of job "{name}" at {where}'
        if operation == "CreateJob":
            return f"a target or the template of the job does not exist at {where}"
        return f'{kind} "{name}" does not exist at {where}: {hint.format(name=name)}'
    if about and code in _EXISTS:
        first = f'{_ABOUT[about][0]} "{asked[about]}" already exists at {where}: choose another '
        return first + ("name, or delete the job with `ujobs job delete`" if about == "jobId" else "name")
    if about == "jobId" and code == "InvalidStateTransitionException":
        return f'job "{asked["jobId"]}" is in progress: add --force, or wait until it has ended'
    if code in _INVALID:
        return f"{where} does not accept this {operation} request"
    if code in _NOT_ALLOWED:
        return f"these credentials do not allow {operation} at {where}: add it to the IAM policy of the user or role"
    if code in _CREDENTIALS:
        return f"{where} does not accept the credentials: renew them, or choose others with --profile"
    if code in _TOO_FAST:
        return f"{where} has received too many requests: try again in a minute"
    return f"{where} has refused {operation}"
