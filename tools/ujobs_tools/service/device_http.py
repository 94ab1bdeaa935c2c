"""The Jobs device HTTP API over mutual TLS: the four operations of `iot-jobs-data` for devices, as on AWS's port 8443.

A certificate needs policies with `iotjobsdata:` actions for the thing, instead of those for MQTT topics ("Authorizing
your devices to securely use AWS IoT Jobs on the data plane"). Such requests have no client id, so thing policy
variables have no value in them."""

import logging
import ssl

from aiohttp import web

from ujobs_tools.service.access import Client
from ujobs_tools.service.engine import Engine
from ujobs_tools.service.errors import ApiError
from ujobs_tools.service.http_model import DATA, all_operations
from ujobs_tools.service.http_operations import data_plane, not_implemented
from ujobs_tools.service.http_replies import error_replies, json_reply

ALPN = "x-amzn-http-ca"  # clients that use AWS's port 443 ask for it

_log = logging.getLogger(__name__)


def make_device_app(engine: Engine) -> web.Application:
    """The aiohttp application; it must be served over TLS with client certificates."""
    operations = all_operations()
    table = data_plane(engine)

    async def aws(request: web.Request) -> web.Response:
        operation, in_path = operations.find(DATA, request.method, request.raw_path.partition("?")[0])
        handler = table.get((DATA, operation.name))
        if handler is None:
            raise not_implemented(operation.name)
        thing = in_path["thingName"]
        client = Client(engine, _certificate(request), "", request.remote)
        reason = client.call(operation.name, thing)
        if reason:
            _log.warning("%s of %s refused: %s", operation.name, thing, reason)
            raise ApiError("Forbidden", "Forbidden")
        body = await request.read()
        return json_reply(200, handler(**operation.parameters(in_path, request.query, request.headers, body)))

    app = web.Application(middlewares=[error_replies])
    app.router.add_route("*", "/{path:.*}", aws)
    return app


def _certificate(request: web.Request) -> bytes:
    connection: ssl.SSLObject | None = request.get_extra_info("ssl_object")
    certificate = None if connection is None else connection.getpeercert(binary_form=True)
    if certificate is None:
        raise ApiError("Forbidden", "Forbidden")
    return certificate
