"""A node with a task besides its jobs: it publishes readings over the agent's link; a job sets the interval.

The reading is the board's free memory, so that it runs anywhere: put your sensor into read().
"""

import asyncio
import gc
import os

import ujson
from ujobs import Reject

SETTINGS = "/sensor.json"
DEFAULT = 60  # seconds
LONGEST = 86400


def setup(agent):
    """Register the handler and start the node's own task; main.py calls this once, with the event loop running."""
    sensor = Sensor(agent)
    agent.on("interval")(sensor.set_interval)
    # Keep a reference, or the task would be garbage-collected.
    sensor.task = asyncio.create_task(sensor.publish())


def read():
    """Return one reading."""
    return gc.mem_free()


class Sensor:
    """Publishes readings to sensors/{thing}. interval: seconds between two readings; it survives a reset."""

    def __init__(self, agent):
        self.interval = _load()
        self.task: "asyncio.Task | None" = None
        self._link = agent.link
        self._topic = "sensors/" + agent.thing
        self._changed = asyncio.Event()

    async def publish(self):
        """Publish forever. A reading that cannot be sent is dropped, because the next one is more recent."""
        while True:
            await self._link.up.wait()
            self._changed.clear()
            reading = {"free": read(), "interval": self.interval}
            try:
                await self._link.publish(self._topic, ujson.dumps(reading), qos=1)
            except OSError as error:
                print("sensor: not published:", error)
            try:
                await asyncio.wait_for(self._changed.wait(), self.interval)
            except asyncio.TimeoutError:
                pass  # The interval is over: send the next reading.

    async def set_interval(self, job):
        """{"operation": "interval", "seconds": 10}: sets the interval, without a restart."""
        seconds = job.document.get("seconds")
        if not isinstance(seconds, int) or not 1 <= seconds <= LONGEST:
            raise Reject("seconds must be 1 to %d" % LONGEST)
        before = self.interval
        _save(seconds)
        self.interval = seconds
        self._changed.set()
        return {"interval": str(seconds), "before": str(before)}


def _load():
    try:
        with open(SETTINGS) as file:
            return ujson.load(file)["interval"]
    except (OSError, ValueError, LookupError):
        return DEFAULT


def _save(seconds):
    # Rename it in one step: after a power cut there is the old file or the new one.
    with open(SETTINGS + ".tmp", "w") as file:
        ujson.dump({"interval": seconds}, file)
    os.rename(SETTINGS + ".tmp", SETTINGS)
