"""The first SIGINT, SIGTERM or SIGHUP ends a command, whatever code it interrupts."""

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator

import pytest

from ujobs_tools.__main__ import main
from ujobs_tools.host.processes import ended_by_signals, uninterrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def hangup_not_ignored() -> Iterator[None]:
    """Under nohup the tests themselves ignore SIGHUP."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def _swallowed(number: signal.Signals) -> None:
    """Behave like a library whose native code calls Python and loses the KeyboardInterrupt."""
    with contextlib.suppress(KeyboardInterrupt):
        os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", SIGNALS)
def test_an_error_after_a_swallowed_signal_is_not_the_commands_own(number: signal.Signals) -> None:
    def fail() -> None:
        with ended_by_signals():
            _swallowed(number)
            raise RuntimeError("an error of the library")

    with pytest.raises(KeyboardInterrupt):
        fail()


def test_a_swallowed_signal_is_not_forgotten() -> None:
    with ended_by_signals() as check_signals:
        check_signals()
        _swallowed(signal.SIGINT)
        for number in SIGNALS:
            os.kill(os.getpid(), number)
        with pytest.raises(KeyboardInterrupt):
            check_signals()


def test_handlers_are_restored_and_other_errors_pass() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with pytest.raises(RuntimeError), ended_by_signals():
        raise RuntimeError
    assert [signal.getsignal(number) for number in SIGNALS] == before


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_waits_for_the_end_of_a_step_and_a_second_one_does_not(number: signal.Signals) -> None:
    done = []
    for signals in (1, 2):
        with contextlib.suppress(KeyboardInterrupt), ended_by_signals():
            with uninterrupted():
                for _ in range(signals):
                    os.kill(os.getpid(), number)
                done.append("step")
            done.append("next step")
    assert done == ["step"]


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nohup does this
    try:
        with ended_by_signals() as check_signals:
            os.kill(os.getpid(), signal.SIGHUP)
            check_signals()
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_during_the_imports_ends_the_command_without_a_traceback(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Cli:
        @property
        def app(self) -> Callable[[], None]:
            os.kill(os.getpid(), number)
            return lambda: None

    monkeypatch.setitem(sys.modules, "ujobs_tools.cli", Cli())
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130
