"""The first SIGINT, SIGTERM or SIGHUP ends a command, whatever code it interrupts."""

import contextlib
import os
import signal

import pytest

from ujobs_tools.host.processes import ended_by_signals

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


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
