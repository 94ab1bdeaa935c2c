"""Topics and filters by the rules of MQTT 3.1.1 section 4.7 and of AWS IoT."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ujobs_tools.service.topics import FilterTree, matches, valid_filter, valid_topic


@pytest.mark.parametrize(
    ("name", "topic", "expected"),
    [
        ("sport/tennis", "sport/tennis", True),
        ("sport/tennis", "sport/Tennis", False),
        ("sport/#", "sport/tennis/score", True),
        ("sport/#", "sport/", True),
        ("sport/#", "sport", False),  # AWS; the standard lets it match
        ("#", "sport/tennis", True),
        ("sport/+", "sport/", True),
        ("sport/+", "sport", False),
        ("sport/+/score", "sport/tennis/score", True),
        ("sport/+/score", "sport/tennis/final/score", False),
        ("+/+", "/finance", True),
        ("/+", "/finance", True),
        ("+", "/finance", False),
        ("#", "$aws/things/t/jobs/notify", False),
        ("+/things/t/jobs/notify", "$aws/things/t/jobs/notify", False),
        ("$aws/things/t/jobs/#", "$aws/things/t/jobs/$next/get/accepted", True),
        ("$aws/things/t/jobs/+/get/+", "$aws/things/t/jobs/$next/get/accepted", True),
        ("a/+", "a/$b", True),
    ],
)
def test_matching(name: str, topic: str, expected: bool) -> None:
    assert matches(name, topic) is expected


@pytest.mark.parametrize("name", ["", "a/#/b", "a#", "#a", "a+", "+a/b", "a/b#", "/" * 8, "x" * 257, "ä" * 129,
    "$share", "$share/", "$share/a", "$share/a/", "$share//a", "$share/+/a", "$share/a/b#", "$share/a/" + "/" * 8,
    "$share/" + "x" * 129 + "/a",
])
def test_malformed_filters(name: str) -> None:
    assert not valid_filter(name)


@pytest.mark.parametrize("name", ["#", "+", "/", "a//b", "+/a/#", "/" * 7, "x" * 256, "$aws/things/t/jobs/#",
    "$share/a/" + "/" * 7, "$share/" + "x" * 128 + "/" + "x" * 256, "$share/a/#",
])
def test_well_formed_filters(name: str) -> None:
    assert valid_filter(name)


def test_topics_have_no_wildcards() -> None:
    assert valid_topic("a/b c/ü")
    assert not valid_topic("a/+")
    assert not valid_topic("#")
    assert not valid_topic("")


def test_a_topic_finds_each_subscriber_once_with_its_highest_qos() -> None:
    tree = FilterTree()
    for name, subscriber, qos in (("a/b", "one", 0), ("a/+", "one", 1), ("#", "two", 0), ("c", "three", 1)):
        tree.add(name, subscriber, qos)
    assert tree.find("a/b") == {"one": 1, "two": 0}
    tree.add("a/+", "one", 0)
    assert tree.find("a/b") == {"one": 0, "two": 0}


_LEVELS = st.sampled_from(["a", "b", "", "$x", "+"])
_FILTERS = st.lists(_LEVELS, min_size=1, max_size=4).map("/".join) | st.lists(_LEVELS, max_size=3).map(
    lambda levels: "/".join([*levels, "#"])
)
_TOPICS = st.lists(st.sampled_from(["a", "b", "", "$x"]), min_size=1, max_size=5).map("/".join)


def plainly_matches(name: list[str], topic: list[str]) -> bool:
    """The rules applied level by level, for comparison."""
    if not name or not topic:
        return name == topic
    if name[0] == "#":
        return True
    return name[0] in ("+", topic[0]) and plainly_matches(name[1:], topic[1:])


@given(st.lists(st.tuples(_FILTERS, st.integers(0, 4), st.booleans()), max_size=20), _TOPICS)
def test_the_tree_finds_the_same_as_comparing_each_filter(actions: list[tuple[str, int, bool]], topic: str) -> None:
    tree = FilterTree()
    kept: set[tuple[str, int]] = set()
    for name, subscriber, add in actions:
        if add:
            tree.add(name, subscriber, 1)
            kept.add((name, subscriber))
        else:
            tree.remove(name, subscriber)
            kept.discard((name, subscriber))
    expected = {
        subscriber
        for name, subscriber in kept
        if not (topic.startswith("$") and name[0:1] in ("+", "#"))
        and plainly_matches(name.split("/"), topic.split("/"))
    }
    assert set(tree.find(topic)) == expected
    for name, subscriber in kept:
        tree.remove(name, subscriber)
    assert vars(tree) == vars(FilterTree()), "a tree without subscriptions holds nothing"
