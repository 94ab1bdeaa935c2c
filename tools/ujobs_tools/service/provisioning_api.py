"""Fleet provisioning over MQTT ("Device provisioning MQTT API"): takes a claim's request, returns the reply's topic and
payload; JSON and CBOR."""

import hashlib
import json
import logging
from typing import Any

import cbor2

from ujobs_tools.keys.pki import Authority
from ujobs_tools.service import limits
from ujobs_tools.service.engine import Engine
from ujobs_tools.service.errors import ApiError, log_failure
from ujobs_tools.service.http_operations import COMMON_NAME

_log = logging.getLogger(__name__)


def handle(engine: Engine, authority: Authority, topic: str, payload: bytes) -> tuple[str, bytes]:
    """Carry out a request published to `$aws/certificates/create/<form>` (CreateKeysAndCertificate, with any
    payload) or `$aws/provisioning-templates/<template>/provision/<form>` (RegisterThing).

    Returns topic and payload of the reply: on `<topic>/accepted` or `<topic>/rejected`. Never raises.
    """
    form = topic.rpartition("/")[2]
    outcome = "accepted"
    try:
        match topic.split("/"):
            case [_, "provisioning-templates", template, _, _]:
                reply = engine.register_thing(template, _decode(form, payload))
            case _:
                reply = _create(engine, authority)
    except ApiError as error:
        outcome, reply = "rejected", _rejection(400, error.code, error.message)
    except Exception:
        log_failure(_log, "%s failed", topic)
        outcome, reply = "rejected", _rejection(500, "InternalFailure", "The service failed to process the request")
    encoded = cbor2.dumps(reply) if form == "cbor" else json.dumps(reply, separators=(",", ":")).encode()
    return f"{topic}/{outcome}", encoded


def _create(engine: Engine, authority: Authority) -> dict[str, Any]:
    issued = authority.issue_rsa(COMMON_NAME)
    certificate_id = hashlib.sha256(issued.certificate_der).hexdigest()
    pem = issued.certificate_pem.decode("ascii")
    return {
        "certificateId": certificate_id,
        "certificatePem": pem,
        "privateKey": issued.private_key_pem.decode("ascii"),
        "certificateOwnershipToken": engine.issue_ownership_token(certificate_id, pem),
    }


def _decode(form: str, payload: bytes) -> dict[str, Any]:
    try:
        request = cbor2.loads(payload) if form == "cbor" else limits.parse_json(payload)
        if isinstance(request, dict):
            return request
    except (ValueError, cbor2.CBORError, RecursionError):
        pass
    raise ApiError("InvalidPayload", "Message cannot be parsed")


def _rejection(status: int, code: str, message: str) -> dict[str, Any]:
    return {"statusCode": status, "errorCode": code, "errorMessage": message}
