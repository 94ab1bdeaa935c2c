"""The page over HTTP: its three files, one event stream for each open view, and the actions.

    GET  /                            the page
    GET  /_ujobs/page/events?view=…   server-sent events: `hello` once, then `state` with the view whenever it changes
    POST /_ujobs/page/do/OPERATION    one of the AWS operations in ACTIONS, with its parameters by boto3's names
    POST /_ujobs/page/check           {"text": …}: the first error if it is not JSON
    POST /_ujobs/page/cut-power       {"thing": …}: cut the power of a virtual board that runs in this process
    POST /_ujobs/page/trouble/FAULT   {"thing": …}: one of the faults of `serve --faults`
"""

import asyncio
import hmac
import inspect
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from ujobs_tools.service import limits
from ujobs_tools.service.engine import Engine
from ujobs_tools.service.errors import ApiError, invalid, not_found
from ujobs_tools.service.http_model import CONTROL, all_operations
from ujobs_tools.service.http_operations import not_implemented
from ujobs_tools.service.page.presence import Presence
from ujobs_tools.service.page.read_model import ReadModel
from ujobs_tools.service.wire_record import WireRecord

ACTIONS = ("CreateJob", "CancelJob", "DeleteJob", "CancelJobExecution", "DeleteJobExecution")
PASSWORD_HEADER = "X-Ujobs-Password"
READ_ONLY = "The page is read-only: restart ujobs serve with --page-password to enable its actions."

_FILES = {
    "/": ("page.html", "text/html"), "/_ujobs/page/page.js": ("page.js", "text/javascript"),
    "/_ujobs/page/page.css": ("page.css", "text/css"), "/_ujobs/page/forms.json": ("forms.json", "application/json"),
}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache",
}
_PACE = 0.25  # minimum seconds between two states on one stream
_SIGN_OF_LIFE = 15.0  # maximum seconds without a byte on a stream, so that a dead connection is detected
_WRONG_PASSWORD_DELAY = 1.0  # seconds


@dataclass(frozen=True)
class Fault:
    """A fault in the page's "Trouble" list. title: of its button. expect: the board's expected reaction. cause: called
    with a thing's name."""

    title: str
    expect: str
    cause: Callable[[str], Any]


@dataclass(frozen=True)
class Options:
    """Who may use the page's actions. password: needed for actions; None: no password. read_only: no actions."""

    password: str | None = None
    read_only: bool = False


class Changes:
    """Wakes every event stream after a change."""

    def __init__(self) -> None:
        self.streams: set[asyncio.Event] = set()

    def happened(self) -> None:
        """The content of a view may have changed."""
        for stream in self.streams:
            stream.set()


class Page:
    """The page of one service. The service reports connections to `presence` and other changes to `changes`.

    record: the recorded MQTT messages. about: returns the service's data for the page; called for each event stream.
    faults: by name; empty without `serve --faults`.
    """

    def __init__(
        self, engine: Engine, options: Options, record: WireRecord,
        about: Callable[[], dict[str, Any]], faults: Mapping[str, Fault],
    ) -> None:
        self.changes = Changes()
        self.presence = Presence(engine.clock, self.changes.happened)
        self._model = ReadModel(engine, self.presence, record)
        self._options = options
        self._about = about
        self._faults = faults
        self._operations = all_operations()
        self._handlers: Mapping[tuple[str, str], Callable[..., Any]] = {}
        self._stopping = False

    def add_to(self, app: web.Application, handlers: Mapping[tuple[str, str], Callable[..., Any]]) -> None:
        """Register the routes, before the AWS API's catch-all route. handlers: the handler of each AWS operation."""
        self._handlers = handlers
        for path in _FILES:
            app.router.add_get(path, _file)
        app.router.add_get("/_ujobs/page/events", self._events)
        app.router.add_post("/_ujobs/page/do/{operation}", self._do)
        app.router.add_post("/_ujobs/page/check", _check)
        app.router.add_post("/_ujobs/page/cut-power", self._cut_power)
        app.router.add_post("/_ujobs/page/trouble/{fault}", self._trouble)
        app.on_response_prepare.append(self._answered)
        app.on_shutdown.append(self._stop)

    async def _answered(self, request: web.Request, response: web.StreamResponse) -> None:
        # Engine.on_change reports executions only, not things, groups and certificates.
        if request.method != "GET":
            self.changes.happened()

    async def _stop(self, app: web.Application) -> None:
        self._stopping = True
        self.changes.happened()

    async def _events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers=_HEADERS | {"Content-Type": "text/event-stream"})
        changed = asyncio.Event()
        self.changes.streams.add(changed)
        try:
            await response.prepare(request)
            await response.write(_event("hello", json.dumps(self._hello())))
            sent = ""
            while not self._stopping:
                changed.clear()
                state = self._state(request.query)
                await response.write(b":\n\n" if state == sent else _event("state", state))
                sent = state
                await asyncio.sleep(_PACE)
                try:
                    await asyncio.wait_for(changed.wait(), _SIGN_OF_LIFE)
                except TimeoutError:
                    continue
        except ConnectionResetError:
            pass  # the browser has disconnected
        finally:
            self.changes.streams.discard(changed)
        return response

    def _hello(self) -> dict[str, Any]:
        options = self._options
        return self._about() | {
            "now": self.presence.clock(),
            "faults": {name: {"title": fault.title, "expect": fault.expect} for name, fault in self._faults.items()},
            "password": options.password is not None, "readOnly": READ_ONLY if options.read_only else "",
        }

    def _state(self, asked: Mapping[str, str]) -> str:
        try:
            return json.dumps(self._model.view(asked))
        except ApiError as error:
            return json.dumps({"error": error.message})

    async def _do(self, request: web.Request) -> web.Response:
        name = request.match_info["operation"]
        if name not in ACTIONS:
            raise ApiError("UnknownOperation", f"{name} is not an operation of the page: {', '.join(ACTIONS)}")
        parameters = await self._parameters(request)
        self._operations.named(CONTROL, name).check(parameters)
        handler = self._handlers[CONTROL, name]
        for parameter in parameters:
            if parameter not in inspect.signature(handler).parameters:
                raise not_implemented(f"{name} {parameter}")
        reply = handler(**parameters)
        return web.json_response(await reply if isinstance(reply, Awaitable) else reply)

    async def _cut_power(self, request: web.Request) -> web.Response:
        thing = await self._thing(request)
        board = self.presence.boards.get(thing)
        if board is None or board.cut_power is None:
            raise not_found(f"No virtual board of {thing} runs in this process.")
        board.cut_power()
        return web.json_response({})

    async def _trouble(self, request: web.Request) -> web.Response:
        fault = self._faults.get(request.match_info["fault"])
        if fault is None:
            raise not_found(f"{request.match_info['fault']}: unknown fault, or ujobs serve runs without --faults")
        done = fault.cause(await self._thing(request))
        if isinstance(done, Awaitable):
            await done
        return web.json_response({})

    async def _thing(self, request: web.Request) -> str:
        return limits.thing_name((await self._parameters(request)).get("thing"))

    async def _parameters(self, request: web.Request) -> dict[str, Any]:
        """The body of an action's request. Raises ApiError if it is invalid or the action is not permitted."""
        await self._check_may_act(request)
        return await _body(request)

    async def _check_may_act(self, request: web.Request) -> None:
        if self._options.read_only:
            raise ApiError("Unauthorized", READ_ONLY)
        if self._options.password is not None:
            # Headers are ASCII, so the page sends the password percent-encoded.
            given = unquote(request.headers.get(PASSWORD_HEADER, ""))
            if not hmac.compare_digest(given.encode(), self._options.password.encode()):
                await asyncio.sleep(_WRONG_PASSWORD_DELAY)
                raise ApiError("Unauthorized", "The page's password is wrong or missing (--page-password).")


async def _body(request: web.Request) -> dict[str, Any]:
    if request.content_type != "application/json":
        raise invalid("Content-Type must be application/json")
    try:
        parameters = limits.parse_json(await request.read())
    except ValueError as error:
        raise invalid(f"The request body is not valid JSON: {error}") from None
    if not isinstance(parameters, dict):
        raise invalid("The request body must be a JSON object")
    return parameters


async def _check(request: web.Request) -> web.Response:
    try:
        limits.parse_json(str((await _body(request)).get("text", "")))
    except json.JSONDecodeError as error:
        return web.json_response({"line": error.lineno, "message": f"{error.msg} (column {error.colno})"})
    except ValueError as error:
        return web.json_response({"line": 1, "message": str(error)})
    return web.json_response({})


async def _file(request: web.Request) -> web.Response:
    name, content_type = _FILES[request.path]
    content = resources.files("ujobs_tools.service.page").joinpath(name).read_bytes()
    return web.Response(body=content, content_type=content_type, charset="utf-8", headers=_HEADERS)


def _event(name: str, data: str) -> bytes:
    return f"event: {name}\ndata: {data}\n\n".encode()
