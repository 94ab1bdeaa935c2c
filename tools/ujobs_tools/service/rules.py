"""What a client may publish and subscribe: its own thing's topics, and whatever lies outside `$`.

The same that AWS grants with the policy `ujobs thing create` writes, plus application topics; `$aws` topics that only
the service publishes are refused to everybody ("Reserved topics"). A claim has the topics of fleet provisioning, and
nothing else."""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

from ujobs_tools.service import limits
from ujobs_tools.service.errors import ApiError
from ujobs_tools.service.session import Session

_PREFIX = "$aws/things/"
_CLAIM = "$claim/"  # what a claim's owner begins with, and the name of no thing
_CLAIM_REQUEST = re.compile(
    r"\$aws/(?:certificates/create|provisioning-templates/([0-9A-Za-z_-]{1,36})/provision)/(?:json|cbor)"
)
_STREAM_REQUEST = re.compile(r"[a-zA-Z0-9_-]{1,128}/(describe|get)/(json|cbor)")


def is_thing_name(name: str | None) -> bool:
    """Whether a thing can be called so."""
    try:
        limits.thing_name(name)
    except ApiError:
        return False
    return True


def claim(templates: Iterable[str]) -> str:
    """Who a client is that has a claim for these provisioning templates: an owner as Session has it."""
    return _CLAIM + ",".join(templates)


def request(thing: str, topic: str) -> tuple[str, str] | None:
    """What a thing asks for by publishing to a topic: ("jobs" | "streams", what follows that in the topic), or a claim:
    ("provisioning", the topic); None for a topic that is not its own or that it only receives."""
    if thing.startswith(_CLAIM):
        return ("provisioning", topic) if _may_claim(thing, topic) else None
    for service in ("jobs", "streams"):
        prefix = f"{_PREFIX}{thing}/{service}/"
        if topic.startswith(prefix):
            rest = topic.removeprefix(prefix)
            allowed = not _is_for_receiving(rest) if service == "jobs" else _STREAM_REQUEST.fullmatch(rest)
            return (service, rest) if allowed else None
    return None


def _may_claim(owner: str, topic: str) -> bool:
    match = _CLAIM_REQUEST.fullmatch(topic)
    if match is None:
        return False
    templates = owner.removeprefix(_CLAIM).split(",")
    return match[1] is None or any(fnmatchcase(match[1], template) for template in templates)


def _is_for_receiving(rest: str) -> bool:
    return rest in ("notify", "notify-next") or rest.endswith(("/accepted", "/rejected"))


def authorize(session: Session, action: str, topic: str) -> bool:
    """Whether the client may "publish" to the topic or "subscribe" to the filter."""
    thing = session.owner
    if thing.startswith(_CLAIM):
        if action == "publish":
            return _may_claim(thing, topic)
        asked, _, outcome = topic.rpartition("/")
        return _may_claim(thing, asked) and outcome in ("accepted", "rejected", "+", "#")
    if not topic.startswith("$"):
        return True
    if not is_thing_name(thing):
        return False
    if action == "subscribe":
        return topic.startswith(f"{_PREFIX}{thing}/")
    return request(thing, topic) is not None
