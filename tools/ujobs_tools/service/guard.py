"""Prevents foreign web pages from using the HTTP API: any page open in a browser on this machine can send it requests.

The service does not check signatures. It recognises a page's requests by headers that browsers set and pages cannot
change (Host, Origin, Sec-Fetch-Site), and by the content types that need no CORS preflight (Fetch standard; Fetch
Metadata Request Headers)."""

import ipaddress
from collections.abc import Awaitable, Callable, Collection, Sequence
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Middleware

# Forms, and scripts without a CORS preflight, can send a POST with one of these types. For any other writing method, or
# an Authorization header, the browser sends a preflight first; it is answered with 403.
_FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain")
_READING = ("GET", "HEAD")

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def guard(names: Collection[str], pages: Collection[str] = ()) -> Middleware:
    """A middleware that answers requests of foreign pages with status 403, and the reason in AWS's form.

    names: host names and addresses of this server, besides localhost, the loopback addresses and the address that the
    request arrived at. pages: paths that links on other sites may lead to.
    """
    known = {name.lower() for name in names}

    @web.middleware
    async def refuse_foreign_pages(request: web.Request, handler: _Handler) -> web.StreamResponse:
        reason = _reason(request, known, pages)
        if reason is None:
            return await handler(request)
        return web.json_response(
            {"message": reason}, status=403, headers={"x-amzn-ErrorType": "AccessDeniedException"}
        )

    return refuse_foreign_pages


def _reason(request: web.Request, names: Collection[str], pages: Collection[str]) -> str | None:
    hosts = request.headers.getall("Host", [])
    for host in hosts:
        name = _host_name(host)
        if name is None or not (name in names or _is_this_machine(name) or name == _own_address(request)):
            return f"Host {host!r} is not a name of this service: start ujobs serve with --name if it should be."
    origin = request.headers.get("Origin")
    if origin is not None and not _same_origin(origin, hosts):
        return f"Origin {origin!r}: web pages of other origins may not use this service."
    site = request.headers.get("Sec-Fetch-Site", "none").lower()
    if site not in ("none", "same-origin") and not _follows_link(request, pages):
        return f"Sec-Fetch-Site {site!r}: web pages of other origins may not use this service."
    if (
        request.method == "POST"
        and "Authorization" not in request.headers
        and request.headers.get("Content-Type")
        and request.content_type in _FORM_TYPES
    ):
        return f"Content-Type {request.content_type!r} can be sent by a form on any web page: use application/json."
    return None


def _host_name(host: str) -> str | None:
    """The name or address in a Host header or an origin's authority, without the port; None if it is malformed."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port
    except ValueError:
        return None
    return None if parts.netloc != host or parts.username is not None else parts.hostname


def _is_this_machine(name: str) -> bool:
    try:
        address = ipaddress.ip_address(name)
        return address.is_loopback or address.is_unspecified
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def _own_address(request: web.Request) -> str | None:
    """The address of this machine that the client connected to."""
    address = None if request.transport is None else request.transport.get_extra_info("sockname")
    return address[0] if address else None


def _same_origin(origin: str, hosts: Sequence[str]) -> bool:
    scheme, _, authority = origin.partition("://")
    return scheme.lower() in ("http", "https") and [authority.lower()] == [host.lower() for host in hosts]


def _follows_link(request: web.Request, pages: Collection[str]) -> bool:
    """Whether the user followed a link to a page: it opens in the browser, and the other site cannot read it."""
    return (
        request.method in _READING
        and request.path in pages
        and request.headers.get("Sec-Fetch-Mode", "").lower() == "navigate"
        and request.headers.get("Sec-Fetch-Dest", "").lower() == "document"
    )
