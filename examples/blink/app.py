"""Blinks the board's LED. The smallest application: one handler, which checks its arguments."""

import asyncio

from machine import Pin

from ujobs import Reject

LED = 2  # GPIO of the LED; firmware/boards/README.md says which are free
MOST = 100


def setup(agent):
    """Register the handler; main.py calls this once."""
    agent.on("blink", step_timeout=5)(blink)


async def blink(job):
    """{"operation": "blink", "times": 3, "milliseconds": 200}: switches the LED on and off, for 200 ms each."""
    times = job.document.get("times", 1)
    milliseconds = job.document.get("milliseconds", 200)
    if not isinstance(times, int) or not 1 <= times <= MOST:
        raise Reject("times must be 1 to %d" % MOST)
    if not isinstance(milliseconds, int) or not 1 <= milliseconds <= 5000:
        raise Reject("milliseconds must be 1 to 5000")
    led = Pin(LED, Pin.OUT, value=0)
    try:
        for done in range(times):
            await job.progress(done, times)
            led.on()
            await asyncio.sleep_ms(milliseconds)
            led.off()
            await asyncio.sleep_ms(milliseconds)
    finally:
        # A cancelled job can end while the LED is on.
        led.off()
    return {"blinks": str(times)}
