"""Replies of the HTTP APIs: JSON with a request id, and errors in AWS's form."""

import json
import logging
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from ujobs_tools.service.errors import ApiError, log_failure

_log = logging.getLogger(__name__)

# The HTTP status of each error code, and the exception's name if it is not the code followed by "Exception".
_STATUS = {
    "InvalidRequest": 400, "VersionMismatch": 400, "MalformedPolicy": 400, "ResourceNotFound": 404,
    "UnknownOperation": 404, "CertificateState": 406, "ResourceAlreadyExists": 409, "InvalidStateTransition": 409,
    "VersionConflict": 409, "DeleteConflict": 409, "Conflict": 409, "VersionsLimitExceeded": 409,
    "TerminalStateReached": 410, "LimitExceeded": 410, "Unauthorized": 401, "Forbidden": 403, "InternalFailure": 500,
    "NotImplemented": 501,
}
_EXCEPTION = {"VersionMismatch": "InvalidRequestException", "TerminalStateReached": "TerminalStateException"}


def json_reply(status: int, members: dict[str, Any], **headers: str) -> web.Response:
    """A reply with these members and headers, and a request id."""
    headers["x-amzn-RequestId"] = str(uuid.uuid4())
    return web.Response(
        status=status, body=json.dumps(members).encode("utf-8"), content_type="application/json", headers=headers
    )


@web.middleware
async def error_replies(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Turn ApiError into AWS's form of an error; log any other exception and answer InternalFailure."""
    try:
        return await handler(request)
    except ApiError as error:
        refused = error
    except web.HTTPException:
        raise
    except Exception:
        log_failure(_log, "%s %s failed", request.method, request.path)
        refused = ApiError("InternalFailure", "The service failed to process the request.")
    exception = _EXCEPTION.get(refused.code, f"{refused.code}Exception")
    return json_reply(
        _STATUS[refused.code], {"message": refused.message, **refused.fields}, **{"x-amzn-ErrorType": exception}
    )
