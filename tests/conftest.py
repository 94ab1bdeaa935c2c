"""Makes CPython look like the board for device tests, finds umqtt.simple where the board's image does, has all output
watched for secrets, lets the files that take longest begin first, and removes what the tests leave in TMPDIR."""

import os
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator

import hypothesis
import pytest

import boardlike
from ujobs_tools.board import umqtt

sys.path.insert(0, str(umqtt.find()[0]))
boardlike.install()

# Tests press Ctrl-C. Shells have programs in the background ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# On a loaded machine an example takes as long as it likes.
hypothesis.settings.register_profile("ujobs", deadline=None)
hypothesis.settings.load_profile("ujobs")

# Folders whose tests start boards, services and clients: their files take longest. With --dist loadfile a worker runs
# whole files, so one that began last would keep the others waiting.
_FIRST = (
    "library", "clients", "end_to_end", "testing", "package", "faults", "bench", "board", "qualify", "deploy",
    "project", "aws", "examples", "fuzz", "page", "service",
)


@pytest.fixture(autouse=True)
def same_signal_handlers() -> Iterator[None]:
    """A test that leaves a signal handler changes what Ctrl-C does in the tests after it."""
    numbers = sorted(signal.valid_signals() - {signal.SIGALRM})  # of pytest-timeout
    before = [signal.getsignal(number) for number in numbers]
    yield
    assert [signal.getsignal(number) for number in numbers] == before


pytest_plugins = ["output_watch", "ujobs_tools.testing.plugin", "pytester"]


# Of this run, for all processes that it starts; a worker of pytest-xdist gets it from the one that started it.
_temporary = None if "PYTEST_XDIST_WORKER" in os.environ else tempfile.mkdtemp(prefix="ujobs-tests-")
if _temporary:
    os.environ["TMPDIR"] = tempfile.tempdir = _temporary


def pytest_unconfigure() -> None:
    """Remove what tests left."""
    if _temporary:
        shutil.rmtree(_temporary)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files by folder; in a folder, those with few tests come first, because their tests take longest."""
    counts = Counter(item.path for item in items)
    ranks = {folder: rank for rank, folder in enumerate(_FIRST)}
    items.sort(key=lambda item: (ranks.get(item.path.parent.name, len(ranks)), counts[item.path], item.path))
