"""The HTTP side of the service for boto3, the AWS CLI and the other SDKs: `iot` and `iot-jobs-data` on one port.

Two paths are not AWS's: `GET /ca.pem`, the CA certificate that devices must trust, and
`GET /_ujobs/executions/{thing}/{jobId}/history[?executionNumber=N]`, all versions of an execution."""

from collections.abc import Awaitable, Callable, Collection
from email.utils import formatdate
from typing import Any

from aiohttp import web

from ujobs_tools.keys.pki import Authority
from ujobs_tools.service import limits, object_api, signatures
from ujobs_tools.service.engine import Engine
from ujobs_tools.service.guard import guard
from ujobs_tools.service.http_model import all_operations, service_of
from ujobs_tools.service.http_operations import handlers, not_implemented, says_nothing, unsupported
from ujobs_tools.service.http_replies import error_replies, json_reply
from ujobs_tools.service.objects import Objects
from ujobs_tools.service.page.routes import Page


def make_app(
    engine: Engine, authority: Authority, endpoint: Callable[[], str],
    objects: Objects, page: Page | None = None, names: Collection[str] = (),
) -> web.Application:
    """The aiohttp application. endpoint: returns the "host:port" that devices connect to, for DescribeEndpoint.
    objects: of job documents and streams. page: the live page. names: this server's host names, see `guard`."""
    operations = all_operations()
    table = handlers(engine, authority, endpoint, objects)

    async def aws(request: web.Request) -> web.Response:
        service, path = service_of(request.headers.get("Authorization")), request.raw_path.partition("?")[0]
        operation, in_path = operations.find(service, request.method, path)
        handler = table.get((operation.service, operation.name))
        if handler is None:
            raise not_implemented(operation.name)
        parameters = operation.parameters(in_path, request.query, request.headers, await request.read())
        for name in unsupported(handler, parameters):
            if says_nothing(parameters.pop(name)):
                continue
            raise not_implemented(f"{operation.name} {name}")
        reply = handler(**parameters)
        return json_reply(200, await reply if isinstance(reply, Awaitable) else reply)

    @web.middleware
    async def s3_first(request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> Any:
        # S3 has all paths, also those of the page.
        service = service_of(request.headers.get("Authorization"))
        if service == "s3" or (service is None and signatures.is_presigned(request.query)):
            return await object_api.handle(objects, request, names)
        return await handler(request)

    async def ca(request: web.Request) -> web.Response:
        return web.Response(body=authority.ca_pem, content_type="application/x-pem-file")

    async def history(request: web.Request) -> web.Response:
        thing, job_id = request.match_info["thing"], request.match_info["job_id"]
        number = limits.integer(request.query, "executionNumber")
        execution = engine.describe_job_execution(job_id, thing, number)["execution"]
        number = execution["executionNumber"]
        return json_reply(
            200,
            {
                "thingName": thing, "jobId": job_id, "executionNumber": number,
                "history": engine.history(thing, job_id, number),
            },
        )

    async def date(_: web.Request, response: web.StreamResponse) -> None:
        # As on AWS, times in replies and in the header are of one clock.
        response.headers["Date"] = formatdate(engine.clock(), usegmt=True)

    app = web.Application(middlewares=[guard(names, pages=("/",)), error_replies, s3_first])
    app.on_response_prepare.append(date)
    app.router.add_get("/ca.pem", ca)
    app.router.add_get("/_ujobs/executions/{thing}/{job_id}/history", history)
    if page is not None:
        page.add_to(app, table)
    app.router.add_route("*", "/{path:.*}", aws)
    return app
