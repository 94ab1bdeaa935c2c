"""Faults on request: delayed and lost replies, throttled requests.

The server consults this before it carries out a device's request on a Jobs topic, and before it sends the reply."""

from dataclasses import dataclass

from ujobs_tools.service.errors import ApiError


@dataclass
class _Trouble:
    refusals: int = 0
    code: str = ""
    operation: str = ""
    lost: int = 0
    held_until: float = 0.0


class Faults:
    """The faults of each thing. Times are seconds of the caller's clock."""

    def __init__(self) -> None:
        self._troubles: dict[str, _Trouble] = {}

    def refuse(self, thing: str, times: int = 1, code: str = "RequestThrottled", operation: str = "") -> None:
        """Reject the thing's next requests with this code (ErrorResponse in "Jobs device MQTT API").

        operation: "start-next", "get" or "update" to reject only those.
        """
        trouble = self._of(thing)
        trouble.refusals, trouble.code, trouble.operation = times, code, operation

    def lose_replies(self, thing: str, times: int = 1) -> None:
        """Carry out the thing's next requests, but send no replies."""
        self._of(thing).lost = times

    def hold_replies(self, thing: str, until: float) -> None:
        """Hold back the thing's replies until that time; 0 stops holding back later replies."""
        self._of(thing).held_until = until

    def refusal(self, thing: str, operation: str) -> ApiError | None:
        """The error to answer this request with; None: carry it out."""
        trouble = self._troubles.get(thing)
        if trouble is None or not trouble.refusals or trouble.operation not in ("", operation):
            return None
        trouble.refusals -= 1
        return ApiError(trouble.code, "Refused on request: see ujobs serve --faults.")

    def delay(self, thing: str, now: float) -> float | None:
        """Seconds to hold back a reply; None: do not send it."""
        trouble = self._troubles.get(thing)
        if trouble is None:
            return 0.0
        if trouble.lost:
            trouble.lost -= 1
            return None
        return max(0.0, trouble.held_until - now)

    def _of(self, thing: str) -> _Trouble:
        return self._troubles.setdefault(thing, _Trouble())
