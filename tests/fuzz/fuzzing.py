"""Common parts of all fuzz tests: the number of examples in `make test`, and strategies for JSON and bytes.

Each test is an ordinary Hypothesis test with a fixed number of examples, the same in every run. `make fuzz` runs the
same tests with inputs chosen by coverage, for any length of time.
"""

import builtins
import collections
import contextlib
import gc
import string
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any
from unittest import mock

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st


def bounded(examples: int) -> settings:
    """The decorator of a fuzz test. Runs this number of examples, always the same ones."""
    return settings(
        max_examples=examples, derandomize=True, database=None, deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )


@contextlib.contextmanager
def prepared(module: ModuleType) -> Iterator[None]:
    """The context of a module's tests: its own `preparation()`, if any, without console output and full collections.

    Otherwise printing and full garbage collections, which take only milliseconds on a board, would take most of the
    time.
    """
    preparation = getattr(module, "preparation", contextlib.nullcontext)
    with (
        preparation(),
        mock.patch.object(builtins, "print", lambda *words: printed.append(" ".join(map(str, words)))),
        mock.patch.object(sys, "print_exception", lambda error: printed.append(repr(error)), create=True),
        mock.patch.object(gc, "collect", int),
    ):
        yield


printed: collections.deque[str] = collections.deque(maxlen=1000)
"""The last lines that the library printed."""


TEXT = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.sampled_from(["", " ", "\0", "\n", "%s", "{}", "$next", "/", "..", "\ufeff", "\u202e", "\U0001f600"]),
    st.just("x" * 2000),
)
"""Any text that JSON can carry; of lone surrogates CPython and MicroPython make different things."""

NUMBERS = st.one_of(
    st.integers(-3, 300),
    st.sampled_from([2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64, -(2**31) - 1, -(2**63) - 1, 10**400]),
    st.floats(allow_nan=False, allow_infinity=False),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXT)
NAMES = st.text(string.ascii_letters + "_-$", min_size=1, max_size=12)


def deep(levels: int) -> Any:
    """Nested lists, too deep for a recursive function on a board."""
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


JSON = st.one_of(
    SCALARS,
    st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4)),
    st.sampled_from([deep(50), deep(400), [0] * 300, {str(number): number for number in range(100)}]),
)
"""Any JSON value."""


def mangled(documents: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Valid documents, and the same with one member removed or replaced by any JSON."""

    @st.composite
    def mangle(draw: st.DrawFn) -> dict[str, Any]:
        document = dict(draw(documents))
        change = draw(st.sampled_from(["nothing", "replace", "remove", "add"]))
        members = sorted(set(document) - {"operation"})
        if change == "add":
            document[draw(NAMES)] = draw(JSON)
        elif members and change != "nothing":
            name = draw(st.sampled_from(members))
            if change == "replace":
                document[name] = draw(JSON)
            else:
                del document[name]
        return document

    return mangle()


@st.composite
def damaged(draw: st.DrawFn, sound: bytes) -> bytes:
    """Valid bytes, with a few of them changed, removed, doubled or inserted."""
    data = bytearray(sound)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        change = draw(st.sampled_from(["flip", "set", "cut", "insert", "double", "end"]))
        if change == "flip" and at < len(data):
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif change == "set" and at < len(data):
            data[at] = draw(st.sampled_from([0, 1, 127, 128, 255]))
        elif change == "cut":
            del data[at : at + draw(st.integers(1, 8))]
        elif change == "insert":
            data[at:at] = draw(st.binary(min_size=1, max_size=8))
        elif change == "double":
            data[at:at] = data[at : at + draw(st.integers(1, 16))]
        elif change == "end":
            del data[at:]
    return bytes(data)


def pieces(data: bytes, size: int) -> list[bytes]:
    """Cut the data into pieces of at most `size` bytes."""
    return [data[start : start + size] for start in range(0, len(data), size)]
