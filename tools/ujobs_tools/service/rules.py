"""What a client may publish and subscribe: its own thing's topics, and whatever lies outside `$`.

The same that AWS grants with the policy `ujobs thing create` writes, plus application topics; `$aws` topics that only
the service publishes are refused to everybody ("Reserved topics")."""

from ujobs_tools.service import limits
from ujobs_tools.service.errors import ApiError
from ujobs_tools.service.session import Session

_PREFIX = "$aws/things/"


def is_thing_name(name: str | None) -> bool:
    """Whether a thing can be called so."""
    try:
        limits.thing_name(name)
    except ApiError:
        return False
    return True


def jobs_suffix(thing: str, topic: str) -> str | None:
    """What follows `$aws/things/{thing}/jobs/` in a topic, None for any other topic."""
    prefix = f"{_PREFIX}{thing}/jobs/"
    return topic.removeprefix(prefix) if topic.startswith(prefix) else None


def authorize(session: Session, action: str, topic: str) -> bool:
    """Whether the client may "publish" to the topic or "subscribe" to the filter."""
    if not topic.startswith("$"):
        return True
    thing = session.owner
    if not is_thing_name(thing):
        return False
    if action == "subscribe":
        return topic.startswith(f"{_PREFIX}{thing}/")
    suffix = jobs_suffix(thing, topic)
    return suffix is not None and not (
        suffix in ("notify", "notify-next") or suffix.endswith(("/accepted", "/rejected"))
    )
