"""The application of `ujobs qualify` for the board: handlers whose work can be counted afterwards.

Each handler writes marks to a file of its job, /qualify/JOB: "s" when it starts, "+" when a unit of work is done, "e"
when it ends. The programme reads them from flash and compares them with the state in the cloud. The application
includes the demo's handlers.
"""

import asyncio
import gc
import os
import time

import demo
import machine

from firmware import health

_FOLDER = "/qualify"
_LOOK = 0.2  # seconds between measurements of the heap
_MOST_ATTEMPTS = 255
_started = time.ticks_ms()
_running = []  # tasks, held so that they are not collected as garbage


def setup(agent):
    """Register the handlers; main.py calls this once."""
    global _agent
    _agent = agent
    # The programme resets the board on purpose: this must not lead to safe mode.
    health.lasted()
    demo.setup(agent)
    agent.on("work", step_timeout=1)(work)
    agent.on("steady", step_timeout=1)(steady)
    agent.on("tally", on_restart="resume", max_attempts=_MOST_ATTEMPTS)(tally)
    agent.on("plain", on_restart="rerun", max_attempts=_MOST_ATTEMPTS)(plain)
    agent.on("once", on_restart="fail")(plain)
    agent.on("unsent")(unsent)
    agent.on("flaky")(flaky)
    agent.on("measure-document")(measure_document)
    agent.on("facts")(facts)
    agent.on("duplicate")(duplicate)
    for name in ("tls", "publish", "oversize", "signature", "sleep", "wear", "wire"):
        agent.on(name)(_probe(name))
    try:
        os.mkdir(_FOLDER)
    except OSError:
        pass  # it exists
    _running.append(asyncio.create_task(_watch_heap()))


def marks(job_id):
    """Return the marks of a job."""
    try:
        with open(_FOLDER + "/" + job_id) as file:
            return file.read()
    except OSError:
        return ""


def mark(job, text):
    """Add a mark; littlefs writes it completely or not at all."""
    with open(_FOLDER + "/" + job.job_id, "a") as file:
        file.write(text)


async def work(job):
    """{"operation": "work", "seconds": 9}: runs for so long. For "reset", see _reset_later."""
    mark(job, "s")
    _reset_later(job)
    seconds = job.document["seconds"]
    start = time.ticks_ms()
    while time.ticks_diff(time.ticks_ms(), start) < seconds * 1000:
        await job.progress(time.ticks_diff(time.ticks_ms(), start) // 1000, seconds)
        await asyncio.sleep(0.1)
    mark(job, "e")


def steady(job):
    """{"operation": "steady", "seconds": 9}: the same, blocking, with job.tick()."""
    mark(job, "s")
    start = time.ticks_ms()
    while time.ticks_diff(time.ticks_ms(), start) < job.document["seconds"] * 1000:
        job.tick()
        time.sleep(0.1)
    mark(job, "e")


async def tally(job):
    """{"operation": "tally", "to": 9, "pause": 50}: counts units in flash, each one once, also after a power loss."""
    mark(job, "s")
    _reset_later(job)
    to = job.document["to"]
    done = marks(job.job_id).count("+")
    saved = job.checkpoint or 0
    # The mark is written before the checkpoint: a reset between the two leaves one more mark.
    if not saved <= done <= saved + 1:
        raise ValueError("the checkpoint says %d, flash has %d marks" % (saved, done))
    for number in range(done + 1, to + 1):
        await asyncio.sleep(job.document.get("pause", 50) / 1000)
        mark(job, "+")
        job.save(number)
        await job.progress(number, to)
    mark(job, "e")
    return {"counted": to, "starts": marks(job.job_id).count("s"), "attempt": job.attempt}


async def plain(job):
    """{"operation": "plain", "to": 9, "pause": 50}: the same without checkpoints; starts from 0 after a reset."""
    mark(job, "s")
    _reset_later(job)
    for number in range(job.document["to"]):
        await asyncio.sleep(job.document.get("pause", 50) / 1000)
        await job.progress(number, job.document["to"])
    mark(job, "e")
    return {"starts": marks(job.job_id).count("s"), "attempt": job.attempt}


async def unsent(job):
    """{"operation": "unsent"}: the board resets when the result is in flash but not sent."""
    mark(job, "s")
    if job.attempt == 1:
        journal = _agent.journal
        finish = journal.finish

        def finish_and_reset(status, details):
            finish(status, details)
            machine.reset()

        journal.finish = finish_and_reset
    mark(job, "e")
    return {"attempt": job.attempt}


async def flaky(job):
    """{"operation": "flaky", "fails": 1}: fails in the first `fails` attempts, then succeeds."""
    mark(job, "s")
    if marks(job.job_id).count("s") <= job.document["fails"]:
        raise OSError("fails as asked")
    mark(job, "e")


def measure_document(job):
    """{"operation": "measure-document", "fill": "…"}: returns the length of `fill`, to show that all has arrived."""
    return {"length": len(job.document["fill"])}


async def facts(job):
    """{"operation": "facts", "ntp": HOST}: facts that only a running board knows."""
    gc.collect()
    from ujobs.restore import reset_cause

    found = {"heap_free": gc.mem_free(), "cause": reset_cause(), "version": "0"}
    found["uptime_ms"] = time.ticks_diff(time.ticks_ms(), _started)
    try:
        from qualified import VERSION

        found["version"] = str(VERSION)
    except ImportError:
        pass  # the deployed application, not an update
    try:
        from esp32 import Partition

        found["partition"] = Partition(Partition.RUNNING).info()[4]
    except ImportError:
        pass  # not an ESP32
    try:
        import network

        station = network.WLAN(network.STA_IF)
        if station.isconnected():
            found["rssi"] = station.status("rssi")
    except (ImportError, OSError):
        pass  # not Wi-Fi
    if job.document.get("ntp"):
        import ntptime

        ntptime.host = job.document["ntp"]
        try:
            found["clock_off"] = time.time() - ntptime.time()
        except OSError as error:
            found["clock"] = str(error)
    return found


def duplicate(job):
    """{"operation": "duplicate", "on": true}: every message arrives twice from now on, as QoS 1 allows."""
    global _routes
    routes = _agent.link.routes
    if job.document["on"]:
        _routes = list(routes)
        routes[:] = [(prefix, _twice(callback)) for prefix, callback in routes]
    else:
        routes[:] = _routes


def _twice(callback):
    def called(topic, payload):
        callback(topic, payload)
        callback(topic, payload)

    return called


def _probe(name):
    # Import the module with its first job, so that it uses no memory before.
    async def run(job):
        import probes

        return await getattr(probes, name)(job, _agent)

    return run


def _reset_later(job):
    # "reset": [how, milliseconds] resets the board in the job's first attempt.
    how, after = job.document.get("reset", ("", 0))
    if how and job.attempt == 1:
        _running.append(asyncio.create_task(_reset(how, after)))


async def _reset(how, after):
    await asyncio.sleep(after / 1000)
    if how == "watchdog":
        while True:  # does not feed the watchdog
            time.sleep(1)
    if how == "network":
        import network

        station = network.WLAN(network.STA_IF)
        station.disconnect()
        await asyncio.sleep(2)
        station.connect()
    else:
        machine.reset()


async def _watch_heap():
    least, job_id = 1 << 30, ""
    while True:
        gc.collect()
        if job_id != _agent.journal.job_id:
            least, job_id = 1 << 30, _agent.journal.job_id
        if gc.mem_free() < least:
            least = gc.mem_free()
            print("qualify: least heap", least)
        await asyncio.sleep(_LOOK)
