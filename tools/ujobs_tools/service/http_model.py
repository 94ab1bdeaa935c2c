"""Finds the AWS operation of an HTTP request, and its parameters, from boto3's service models.

Both services use the rest-json protocol. `iot` and `iot-jobs-data` share some paths; the credential scope in a
request's signature says which service is meant. Signatures are not checked."""

import functools
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from botocore.session import get_session
from botocore.validate import ParamValidator

from ujobs_tools.service import limits, model_limits
from ujobs_tools.service.errors import ApiError, invalid

CONTROL = "iot"
DATA = "iot-jobs-data"

_SCOPE = re.compile(r"Credential=[^/,\s]+/\d+/[^/,\s]+/([^/,\s]+)/aws4_request")
_FORMER_SCOPES = {"execute-api": CONTROL}  # signed by botocore up to 1.29.76, and so by Debian 12's AWS CLI
_PLACEHOLDER = re.compile(r"\\{(\w+)(\\\+)?\\}")


def service_of(authorization: str | None) -> str | None:
    """The service that an Authorization header was signed for; None if it does not name one."""
    match = _SCOPE.search(authorization or "")
    return match and _FORMER_SCOPES.get(match[1], match[1])


class Operation:
    """One operation of a service: its name in the API reference, and the shape of its requests.

    model: botocore's OperationModel, which has no type annotations. input: the shape of its requests, or None.
    """

    def __init__(self, service: str, model: Any) -> None:
        self.service = service
        self.name: str = model.name
        self.method: str = model.http["method"]
        self.input = model.input_shape
        path = model.http["requestUri"].partition("?")[0]
        # A path with more text and fewer placeholders is the better match, so it is tried first.
        self.specificity = -path.count("{")
        pattern = _PLACEHOLDER.sub(
            lambda match: f"(?P<{match[1]}>{'.+' if match[2] else '[^/]+'})", re.escape(path)
        )
        self._pattern = re.compile(pattern)

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """The parameters in the path, or None if the request is not for this operation. path: percent-encoded."""
        match = self._pattern.fullmatch(path) if method == self.method else None
        return None if match is None else {name: unquote(value) for name, value in match.groupdict().items()}

    def parameters(
        self, in_path: Mapping[str, str], query: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> dict[str, Any]:
        """The parameters by boto3's names.

        Raises ApiError InvalidRequest if the body is not a JSON object or a value does not have the model's type. The
        engine checks the types of the data plane's values itself, as it does over MQTT.
        """
        if self.input is None:
            return {}
        members = _json_object(body)
        parameters: dict[str, Any] = {}
        for name, shape in self.input.members.items():
            wire_name = shape.serialization.get("name", name)
            match shape.serialization.get("location"):
                case "uri":
                    value = _typed(shape, wire_name, in_path.get(wire_name))
                case "querystring":
                    value = _typed(shape, wire_name, query.get(wire_name))
                case "header":
                    value = headers.get(wire_name)
                case _:
                    value = members.get(wire_name)
            if value is not None:
                parameters[name] = value
        if self.service == CONTROL:
            self.check(parameters)
        return parameters

    def check(self, parameters: dict[str, Any]) -> None:
        """Raises ApiError InvalidRequest unless the parameters, by boto3's names, fit the model."""
        report = ParamValidator().validate(parameters, self.input)
        if report.has_errors():
            raise invalid(report.generate_report())
        for reason in model_limits.broken(self.input, parameters):
            raise invalid(reason)


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        members = limits.parse_json(body) if body else {}
    except ValueError:
        raise invalid("The request body is not valid UTF-8-encoded JSON.") from None
    if not isinstance(members, dict):
        raise invalid("The request body must be a JSON object.")
    return members


def _typed(shape: Any, name: str, text: str | None) -> Any:
    if text is None or shape.type_name == "string":
        return text
    if shape.type_name == "boolean" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if shape.type_name in ("integer", "long") and re.fullmatch(r"-?[0-9]{1,18}", text):
        return int(text)
    raise invalid(f"{name}: '{text}' can not be converted to {shape.type_name}")


class Operations:
    """All operations of the two services, implemented or not."""

    def __init__(self) -> None:
        session = get_session()
        self._operations: dict[str, list[Operation]] = {}
        for service in (CONTROL, DATA):
            model: Any = session.get_service_model(service)
            found = [Operation(service, model.operation_model(name)) for name in model.operation_names]
            self._operations[service] = sorted(found, key=lambda operation: operation.specificity, reverse=True)

    def named(self, service: str, name: str) -> Operation:
        """The operation of this name."""
        return next(operation for operation in self._operations[service] if operation.name == name)

    def find(self, service: str | None, method: str, path: str) -> tuple[Operation, dict[str, str]]:
        """The operation of a request, and the parameters in its path. service: None: look in both.

        Raises ApiError NotImplemented for another service, UnknownOperation for a path or method it does not have.
        """
        if service is not None and service not in self._operations:
            raise ApiError("NotImplemented", f"The service {service} is not implemented here.")
        for candidates in [self._operations[service]] if service else self._operations.values():
            for operation in candidates:
                in_path = operation.match(method, path)
                if in_path is not None:
                    return operation, in_path
        raise ApiError("UnknownOperation", f"{method} {path} is not an operation of {service or 'any service here'}.")


@functools.cache
def all_operations() -> Operations:
    """The operations; their models take a while to load, so this happens once."""
    return Operations()
