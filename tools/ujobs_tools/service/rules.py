"""What a client may publish and subscribe: its own thing's topics, and whatever lies outside `$`.

The same that AWS grants with the policy `ujobs thing create` writes, plus application topics; `$aws` topics that only
the service publishes are refused to everybody ("Reserved topics")."""

from ujobs_tools.service.session import Session

_PREFIX = "$aws/things/"


def owner(session: Session) -> str:
    """The thing a client acts for: its certificate's, or without TLS the one its client id names."""
    return session.client_id if session.thing is None else session.thing


def jobs_suffix(thing: str, topic: str) -> str | None:
    """What follows `$aws/things/{thing}/jobs/` in a topic, None for any other topic."""
    prefix = f"{_PREFIX}{thing}/jobs/"
    return topic.removeprefix(prefix) if topic.startswith(prefix) else None


def authorize(session: Session, action: str, topic: str) -> bool:
    """Whether the client may "publish" to the topic or "subscribe" to the filter."""
    if not topic.startswith("$"):
        return True
    thing = owner(session)
    if action == "subscribe":
        return topic.startswith(f"{_PREFIX}{thing}/")
    suffix = jobs_suffix(thing, topic)
    return suffix is not None and not (
        suffix in ("notify", "notify-next") or suffix.endswith(("/accepted", "/rejected"))
    )
