"""The topics that begin with `$`: which of them clients can send requests to, and which they can subscribe to.

All others are refused, regardless of policies ("Reserved topics")."""

import re
from dataclasses import dataclass

from ujobs_tools.service import topics

_THING = re.compile(r"\$aws/things/([^/]+)/(jobs|streams)/(.+)", re.DOTALL)
_STREAM_REQUEST = re.compile(r"[a-zA-Z0-9_-]{1,128}/(describe|get)/(json|cbor)")
_PROVISIONING = re.compile(
    r"\$aws/(?:certificates/create|provisioning-templates/[0-9A-Za-z_-]{1,36}/provision)/(?:json|cbor)"
)
_SUBSCRIBABLE = ("$aws/things/", "$aws/certificates/create/", "$aws/provisioning-templates/", "$aws/events/")


@dataclass(frozen=True)
class Request:
    """A client's request. service: "jobs", "streams" or "provisioning". thing: the thing that it is about; None for
    provisioning. rest: the topic after `$aws/things/{thing}/{service}/`; the whole topic for provisioning."""

    service: str
    thing: str | None
    rest: str


def request(topic: str) -> Request | None:
    """The request that a message to this topic makes; None if clients may not publish to it."""
    if _PROVISIONING.fullmatch(topic):
        return Request("provisioning", None, topic)
    match = _THING.fullmatch(topic)
    if match is None:
        return None
    thing, service, rest = match.groups()
    if service == "jobs":
        asks = rest not in ("notify", "notify-next") and not rest.endswith(("/accepted", "/rejected"))
    else:
        asks = _STREAM_REQUEST.fullmatch(rest) is not None
    return Request(service, thing, rest) if asks else None


def can_subscribe(name: str) -> bool:
    """Whether clients can subscribe to this topic filter, or share it."""
    name = topics.shared(name) or name
    return not name.startswith("$") or name.startswith(_SUBSCRIBABLE)
