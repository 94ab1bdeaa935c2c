"""Topic names and topic filters: which are valid, and which filters match a topic, found without comparing them all.

MQTT 3.1.1 section 4.7, with AWS's differences ("AWS IoT Core message broker and protocol limits", "MQTT"): at most 256
bytes and 7 slashes, and `a/#` does not match `a`. Shared subscriptions: MQTT 5 section 4.8.2, on AWS for both versions
of MQTT ("MQTT 5 supported features")."""

import re
from typing import Any

MAX_BYTES = 256
MAX_SLASHES = 7
MAX_SHARE_NAME = 128  # bytes
RETAIN_AS_PUBLISHED = 8  # in the options of a subscription, beside the QoS in bits 0 and 1

_SHARED = re.compile(r"\$share/([^/+#]+)/(.+)", re.DOTALL)


def valid_topic(topic: str) -> bool:
    """Whether a message may be published to it."""
    return _valid_size(topic) and not set("+#") & set(topic)


def shared(name: str) -> str | None:
    """The topic filter of a shared subscription, `$share/NAME/FILTER`; None if it is none."""
    match = _SHARED.fullmatch(name)
    return None if match is None else match[2]


def valid_filter(name: str) -> bool:
    """Whether it may be subscribed to: a wildcard must fill its level, and # must be last. The name of a shared
    subscription does not count."""
    if name.partition("/")[0] == "$share":
        match = _SHARED.fullmatch(name)
        if match is None or len(match[1].encode("utf-8")) > MAX_SHARE_NAME:
            return False
        name = match[2]
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
    """A tree of filters by level, with the options of each subscriber: its QoS, and RETAIN_AS_PUBLISHED."""

    def __init__(self) -> None:
        # Level -> node. The key () holds the subscribers: it cannot be a level's name.
        self._root: dict[Any, Any] = {}

    def add(self, name: str, subscriber: object, options: int) -> None:
        """Subscribe; repeating it replaces the options."""
        node = self._root
        for level in name.split("/"):
            node = node.setdefault(level, {})
        node.setdefault((), {})[subscriber] = options

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
        """The subscribers of a topic, each once, with the highest QoS of its matching filters, and
        RETAIN_AS_PUBLISHED if one of them has it."""
        found: dict[Any, int] = {}

        def collect(node: dict[Any, Any]) -> None:
            for subscriber, options in node.get((), {}).items():
                others = found.get(subscriber, 0)
                found[subscriber] = max(options & 3, others & 3) | (options | others) & RETAIN_AS_PUBLISHED

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
