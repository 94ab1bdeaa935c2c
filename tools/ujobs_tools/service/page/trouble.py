"""The faults that the page can cause with `ujobs serve --faults`, and a board's expected reaction to each."""

from collections.abc import Callable

from ujobs_tools.service.engine import Engine
from ujobs_tools.service.faults import Faults
from ujobs_tools.service.page.routes import Fault

_HOLD = 20  # seconds
_THROTTLED = 3  # requests


def causes(faults: Faults, engine: Engine, cut: Callable[[str], None], speed: float) -> dict[str, Fault]:
    """The faults by name. cut: aborts a thing's connections. speed: of the engine's clock."""
    return {
        "hold": Fault(
            f"Hold back replies for {_HOLD} s", "It times out and asks again; late replies have no effect.",
            lambda thing: faults.hold_replies(thing, engine.clock() + _HOLD * speed),
        ),
        "lose": Fault(
            "Lose the next reply", "It asks again; nothing is reported twice.",
            faults.lose_replies,
        ),
        "throttle": Fault(
            f"Throttle the next {_THROTTLED} requests", "Each is rejected with RequestThrottled; it retries later.",
            lambda thing: faults.refuse(thing, _THROTTLED),
        ),
        "cut": Fault(
            "Cut the connection", "It connects again, reconciles its job with the service and continues.", cut
        ),
        "time-out": Fault(
            "Time out the step now", "It stops the handler without another report and takes the next job.",
            engine.time_out,
        ),
    }
