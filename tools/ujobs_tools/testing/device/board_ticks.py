"""The tick functions of a board's `time`, on a clock that a test controls; both interpreters."""

_PERIOD = 1 << 30  # ticks of a board wrap around at this value


class Ticks:
    """Base class of clocks; `ticks()` returns the milliseconds, without wrapping around."""

    def ticks(self):
        raise NotImplementedError

    def ticks_ms(self):
        return self.ticks() % _PERIOD

    @staticmethod
    def ticks_add(ticks, delta):
        return (ticks + delta) % _PERIOD

    @staticmethod
    def ticks_diff(end, start):
        return (end - start + _PERIOD // 2) % _PERIOD - _PERIOD // 2
