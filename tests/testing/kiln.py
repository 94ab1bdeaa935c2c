"""An application for the tests of `run_job`; both interpreters."""

import asyncio
import os
import time

from machine import ADC, I2C, PWM, Pin

from ujobs import Reject


def setup(agent):
    agent.on("heat", step_timeout=1, on_restart="resume", max_attempts=20)(heat)
    agent.on("once", on_restart="fail")(heat)
    agent.on("plain")(plain)
    agent.on("read")(read)
    agent.on("wait", time_limit=60)(wait)
    agent.on("store")(store)
    agent.on("forever-plain")(busy)


async def heat(job):
    """Heat for a minute per degree; save each degree."""
    to = job.document.get("to", 3)
    if to > 1000:
        raise Reject("at most 1000 degrees")
    done = (job.checkpoint or {"done": 0})["done"]
    relay = Pin(5, Pin.OUT, value=0)
    try:
        while done < to:
            relay.on()
            await asyncio.sleep(60)
            done += 1
            job.save({"done": done})
            await job.progress(done, to)
    finally:
        relay.off()
    print("hot")
    return {"degrees": done, "attempt": job.attempt}


def plain(job):
    started = time.ticks_ms()
    for done in range(10):
        job.tick(done, 10, f"at {done}")
        time.sleep(30)
    return {"took": time.ticks_diff(time.ticks_ms(), started)}


def read(job):
    bus = I2C(0)
    if 0x48 not in bus.scan():
        raise OSError("no sensor answers on the bus")
    heater = PWM(Pin(15), freq=1000, duty_u16=0)
    heater.duty_u16(ADC(Pin(34)).read_u16())
    bus.writeto_mem(0x48, 2, b"\x60")
    return {"door": Pin(4, Pin.IN).value(), "temperature": bus.readfrom_mem(0x48, 0, 2)[1]}


async def wait(job):
    await asyncio.sleep(1000000)


async def store(job):
    with open("/data.txt") as file:
        text = file.read()
    with open("data.tmp", "w") as file:
        file.write(text + "!")
    os.rename("/data.tmp", "/data.txt")
    return {"files": " ".join(sorted(name for name in os.listdir("/") if name.endswith(".txt")))}


def busy(job):
    while True:
        time.sleep(60)
        job.tick()
