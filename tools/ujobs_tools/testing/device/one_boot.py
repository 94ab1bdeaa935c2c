"""One boot of a board with one job: the real agent, a Jobs service in memory, fast time; both interpreters.

The order and the report are JSON objects; see `run`.
"""

import asyncio
import json
import time as real_time

import peripherals

import fast_time
import ujobs.agent
import ujobs.job
from jobs_link import JobsLink

_BOOTED = 820454400  # seconds on the board's clock at its first boot: 2026-01-01, counted from 2000
_THING = "board"
_LOOK = 600  # seconds between checks whether the agent still runs


class BoardTime:
    """The module `time` of the application."""

    def __init__(self, clock, base):
        self.clock = clock
        self.base = base
        self.ticks_ms = clock.ticks_ms
        self.ticks_add = clock.ticks_add
        self.ticks_diff = clock.ticks_diff

    def __getattr__(self, name):
        return getattr(real_time, name)

    def time(self):
        """Return the seconds since 2000."""
        return _BOOTED + self.base + self.clock.now // 1000

    def ticks_us(self):
        """Return microseconds, in steps of a millisecond."""
        return self.clock.ticks_ms() * 1000 % (1 << 30)

    def sleep(self, seconds):
        """Block for seconds."""
        self.clock.sleep(seconds)

    def sleep_ms(self, milliseconds):
        """Block for milliseconds."""
        self.clock.sleep_ms(milliseconds)

    def sleep_us(self, microseconds):
        """Block for microseconds."""
        self.clock.sleep_ms((microseconds + 999) // 1000)


class Boot:
    """One boot. platform: functions that differ between the interpreters, see on_cpython and micropython_boot."""

    def __init__(self, order, platform):
        self.order = order
        self.platform = platform
        self.progress = []
        self.checkpoints = []
        self.link: "JobsLink" = None  # type: ignore[assignment]
        self.clock: "fast_time.Clock" = None  # type: ignore[assignment]
        self._reset_at = order.get("reset_at_checkpoint")

    async def main(self, clock):
        """Boot, run the job, and return once the service has its result."""
        order = self.order
        self.clock = clock
        self.platform.set_time(BoardTime(clock, order["seconds"]))
        self.link = JobsLink(_THING, order["execution"])
        agent = ujobs.agent.Agent(_THING, link=self.link, directory="/ujobs-journal")
        self._observe(agent)
        self.platform.register(agent, order, self._starts)
        asyncio.create_task(self._events())  # noqa: RUF006
        running = asyncio.create_task(agent.run())
        try:
            while not self.link.over.is_set():
                if running.done():
                    await running
                try:
                    await asyncio.wait_for(self.link.over.wait(), _LOOK)
                except asyncio.TimeoutError:
                    pass
            while not agent.journal.acknowledged:
                await asyncio.sleep(0.1)
        finally:
            running.cancel()

    async def _events(self):
        events = []
        for name, action in (("cancel_after", self.link.cancel), ("reset_after", self._cut)):
            seconds = self.order.get(name)
            if seconds is not None:
                events.append((seconds, action))
        for seconds, action in sorted(events, key=lambda event: event[0]):
            await asyncio.sleep(max(0, seconds - self.clock.seconds()))
            action()

    def _starts(self, job):
        if self.order.get("flash_full"):
            self.platform.fill_flash()

    def _observe(self, agent):
        save = agent.journal.save

        def saved(value):
            save(value)
            if value is not None:
                # Copy it: the handler may change the object afterwards.
                self.checkpoints.append(json.loads(json.dumps(value)))
                if self._reset_at and len(self.checkpoints) >= self._reset_at:
                    self._cut()

        agent.journal.save = saved
        note = ujobs.job.Job.note

        def noted(job, done=None, total=None, message=None):
            if not self.link.dead and (done is not None or message is not None):
                self.progress.append((done, total, message))
            note(job, done, total, message)

        ujobs.job.Job.note = noted
        self.platform.at_end(lambda: setattr(ujobs.job.Job, "note", note))

    def _cut(self):
        if not self.link.dead:
            self.link.dead = True
            self.platform.cut_power(self.report("cut"))

    def report(self, outcome):
        """Return the report."""
        state = peripherals.state
        return {
            "outcome": outcome, "execution": self.link.execution, "history": self.link.history,
            "progress": self.progress, "checkpoints": self.checkpoints, "seconds": self.clock.seconds(),
            "machine": {
                "levels": list(state.levels.items()), "changes": list(state.changes.items()),
                "pwm": list(state.pwm.items()), "resets": state.resets,
                "i2c": [(address, list(device.items())) for address, device in state.i2c.items()],
            },
        }


def run(order, platform):
    """Boot once.

    order: execution, with the API's names; operation or function of the application; options for Agent.on; seconds
    since the first boot; machine, the state of the peripherals; cancel_after, reset_after, reset_at_checkpoint,
    flash_full. Returns outcome, "ended" or "cut"; execution, history, progress, checkpoints, seconds, machine.
    """
    inputs = order["machine"]
    state = peripherals.state
    state.__init__()
    state.levels.update((number, level) for number, level in inputs["levels"])
    state.analogue.update((number, level) for number, level in inputs["analogue"])
    for address, registers in inputs["i2c"]:
        state.i2c[address] = {register: byte for register, byte in registers}
    boot = Boot(order, platform)
    fast_time.run(boot.main)
    return boot.report("ended")


def set_up(application, agent):
    """Let the application, a module, register its handlers. Raises TypeError where main.py on a board would."""
    pending = application.setup(agent)
    if hasattr(pending, "send"):
        pending.close()
        raise TypeError("setup must be a plain def, not async def")


def registering(agent, function, order, starts):
    """Replace agent.on, so that `starts(job)` is called before each handler.

    function: the handler, if the order does not select it by its operation; it is registered if setup() has not done
    so. Returns a function to call after setup().
    """
    real = agent.on
    found = []

    def on(operation, *arguments, **options):
        if callable(operation):
            # A board accepts this decorator without parentheses, but no job would find the handler.
            raise TypeError('agent.on needs the name of the operation, as in @agent.on("blink")')

        def register(handler):
            def started(job):
                starts(job)
                return handler(job)

            if handler is function:
                found.append(operation)
            real(operation, *arguments, **options)(started)
            return handler

        return register

    agent.on = on

    def finish():
        document = order["execution"]["jobDocument"]
        if function is None:
            operation = order["operation"]
        elif found:
            operation = found[0]
        else:
            operation = function.__name__
        if order["options"] or (function is not None and not found):
            on(operation, **order["options"])(function)
        document.setdefault("operation", operation)

    return finish

