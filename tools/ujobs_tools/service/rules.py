"""What a client may publish and subscribe: its own thing's topics, and whatever lies outside `$`.

The same that AWS grants with the policy `ujobs thing create` writes, plus application topics; `$aws` topics that only
the service publishes are refused to everybody ("Reserved topics")."""

import re

from ujobs_tools.service import limits
from ujobs_tools.service.errors import ApiError
from ujobs_tools.service.session import Session

_PREFIX = "$aws/things/"
_STREAM_REQUEST = re.compile(r"[a-zA-Z0-9_-]{1,128}/(describe|get)/(json|cbor)")


def is_thing_name(name: str | None) -> bool:
    """Whether a thing can be called so."""
    try:
        limits.thing_name(name)
    except ApiError:
        return False
    return True


def request(thing: str, topic: str) -> tuple[str, str] | None:
    """What a thing asks for by publishing to a topic: ("jobs" | "streams", what follows that in the topic); None for a
    topic that is not its own or that it only receives."""
    for service in ("jobs", "streams"):
        prefix = f"{_PREFIX}{thing}/{service}/"
        if topic.startswith(prefix):
            rest = topic.removeprefix(prefix)
            allowed = not _is_for_receiving(rest) if service == "jobs" else _STREAM_REQUEST.fullmatch(rest)
            return (service, rest) if allowed else None
    return None


def _is_for_receiving(rest: str) -> bool:
    return rest in ("notify", "notify-next") or rest.endswith(("/accepted", "/rejected"))


def authorize(session: Session, action: str, topic: str) -> bool:
    """Whether the client may "publish" to the topic or "subscribe" to the filter."""
    if not topic.startswith("$"):
        return True
    thing = session.owner
    if not is_thing_name(thing):
        return False
    if action == "subscribe":
        return topic.startswith(f"{_PREFIX}{thing}/")
    return request(thing, topic) is not None
