"""Jobs wait while the board is in use: while pin 4 is high. A job with `"urgent": true` does not wait."""

import machine
from gates import not_in_use, unless_urgent


def setup(agent):
    """Set the gate, and register a handler to test it."""
    in_use = machine.Pin(4, machine.Pin.IN)
    agent.gate = unless_urgent(not_in_use(in_use.value))

    @agent.on("hello")
    def hello(job):
        return {"said": "hello"}
