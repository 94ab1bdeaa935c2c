"""The exception that the engine raises for an invalid request; each API converts it to its own error reply."""

import logging
import sys
from typing import Any, TypeVar

Value = TypeVar("Value")


class ApiError(Exception):
    """A refused request.

    code: the error's name without "Exception": over MQTT it is sent unchanged (ErrorResponse.code in AWS's "Jobs device
    MQTT API"), over HTTP it selects the modelled exception. message: names the field and its limit.
    execution_state: the stored state, only with VersionMismatch and InvalidStateTransition of a device update.
    fields: further members of the HTTP error body, such as resourceId with ResourceAlreadyExists.
    """

    def __init__(
        self, code: str, message: str, execution_state: dict[str, Any] | None = None, **fields: str
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.execution_state = execution_state
        self.fields = fields


def invalid(message: str) -> ApiError:
    """An InvalidRequest error."""
    return ApiError("InvalidRequest", message)


def already_exists(message: str, resource_id: str, arn: str) -> ApiError:
    """A ResourceAlreadyExists error."""
    return ApiError("ResourceAlreadyExists", message, resourceId=resource_id, resourceArn=arn)


def not_found(message: str) -> ApiError:
    """A ResourceNotFound error."""
    return ApiError("ResourceNotFound", message)


def wrong_state(message: str, execution_state: dict[str, Any] | None = None) -> ApiError:
    """An InvalidStateTransition error."""
    return ApiError("InvalidStateTransition", message, execution_state)


def existing(value: Value | None, message: str) -> Value:
    """The value. Raises a ResourceNotFound error if it is None."""
    if value is None:
        raise not_found(message)
    return value


def log_failure(log: logging.Logger, message: str, *arguments: object) -> None:
    """Log the exception that is being handled: an OSError, such as a full disk, in one line, another with its
    traceback."""
    error = sys.exc_info()[1]
    if isinstance(error, OSError):
        log.error(f"{message}: %s", *arguments, error)
    else:
        log.exception(message, *arguments)
