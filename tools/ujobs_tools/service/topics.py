"""Topic names and topic filters: which are valid, and which filters match a topic, found without comparing them all.

MQTT 3.1.1 section 4.7, with AWS's differences ("AWS IoT Core message broker and protocol limits", "MQTT"): at most 256
bytes and 7 slashes, and `a/#` does not match `a`."""

from typing import Any

MAX_BYTES = 256
MAX_SLASHES = 7


def valid_topic(topic: str) -> bool:
    """Whether a message may be published to it."""
    return _valid_size(topic) and not set("+#") & set(topic)


def valid_filter(name: str) -> bool:
    """Whether it may be subscribed to: a wildcard must fill its level, and # must be last."""
    levels = name.split("/")
    return (
        _valid_size(name)
        and all(level in ("+", "#") or not set("+#") & set(level) for level in levels)
        and "#" not in levels[:-1]
    )


def _valid_size(text: str) -> bool:
    return 0 < len(text.encode("utf-8")) <= MAX_BYTES and text.count("/") <= MAX_SLASHES


def matches(name: str, topic: str) -> bool:
    """Whether a topic filter matches a topic."""
    tree = FilterTree()
    tree.add(name, "it", 0)
    return bool(tree.find(topic))


class FilterTree:
    """A tree of filters by level, with the QoS granted to each subscriber."""

    def __init__(self) -> None:
        # Level -> node. The key () holds the subscribers: it cannot be a level's name.
        self._root: dict[Any, Any] = {}

    def add(self, name: str, subscriber: object, qos: int) -> None:
        """Subscribe; repeating it replaces the QoS."""
        node = self._root
        for level in name.split("/"):
            node = node.setdefault(level, {})
        node.setdefault((), {})[subscriber] = qos

    def remove(self, name: str, subscriber: object) -> None:
        """Unsubscribe; nothing happens if there is no subscription."""
        path = [self._root]
        levels = name.split("/")
        for level in levels:
            node = path[-1].get(level)
            if node is None:
                return
            path.append(node)
        path[-1].get((), {}).pop(subscriber, None)
        if not path[-1].get(()):
            path[-1].pop((), None)
        for level, parent, node in zip(reversed(levels), reversed(path[:-1]), reversed(path[1:]), strict=True):
            if not node:
                del parent[level]

    def find(self, topic: str) -> dict[Any, int]:
        """The subscribers of a topic, each once, with the highest QoS of its matching filters."""
        found: dict[Any, int] = {}

        def collect(node: dict[Any, Any]) -> None:
            for subscriber, qos in node.get((), {}).items():
                found[subscriber] = max(qos, found.get(subscriber, 0))

        nodes = [self._root]
        for depth, level in enumerate(topic.split("/")):
            following = []
            for node in nodes:
                if level in node:
                    following.append(node[level])
                # A wildcard in the first level does not match topics that begin with $.
                if depth or not level.startswith("$"):
                    if "+" in node:
                        following.append(node["+"])
                    if "#" in node:
                        collect(node["#"])
            nodes = following
        for node in nodes:
            collect(node)
        return found
