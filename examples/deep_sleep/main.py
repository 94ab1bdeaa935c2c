"""main.py for a node that sleeps: it wakes, runs the jobs that wait, and sleeps again, whatever went wrong.

Sleeping loses nothing: an unfinished job and a result that could not be sent are in flash, and the next wake-up
continues with them. Settings and application have their usual paths.
"""

import asyncio
import gc
import os
import sys

import machine

# Collect garbage early from here on to limit fragmentation, as in the usual main.py.
gc.threshold((gc.mem_free() + gc.mem_alloc()) // 8)

try:
    from firmware import choices, clock, health, proving, settings, wifi
    from ujobs import Agent, trial
except Exception as error:
    if "trial" in os.listdir("/"):
        # A version in its trial may be the cause: boot.py rolls back after three boots.
        sys.print_exception(error)
        machine.reset()
    raise

ASLEEP = 600  # seconds
AWAKE = 120  # seconds at most, with Wi-Fi, clock and TLS handshake
HUNG = 60  # seconds more, after which the watchdog resets the board, because asyncio hangs


async def work(config):
    """Run the waiting jobs."""
    tasks = []  # held, so that they are not collected as garbage
    networks = choices.networks(config)
    if networks:
        await wifi.join(networks, choices.joined)
    hosts = choices.hosts(config)
    agent = Agent(
        config["thing"], hosts[0], config["cert"], config["key"], config["ca"], config["port"],
        receive_limit=config["receive_limit"],
    )
    choices.take_turns(agent.link, hosts)
    proving.check(config)
    agent.use(
        *config["handlers"],
        cert=config["cert"],
        key=config["key"],
        roots=config["roots"],
        signing_key=config["signing_key"],
        check_settings=settings.check,
        facts=health.facts,
        last_start=health.last_start(),
        on_reboot=health.planned,
    )
    if not health.safe:
        __import__(config["app"]).setup(agent)
    if config["ntp"]:
        # Set the clock at every wake-up: it drifts by minutes in deep sleep.
        timekeeper = clock.Clock(config["ntp"], agent.link)
        tasks.append(asyncio.create_task(timekeeper.run()))
        await proving.time_known(timekeeper)
    if trial.current():
        tasks.append(asyncio.create_task(proving.prove(agent, config["confirm"], config["trial"])))
    await agent.run(until_idle=True)
    health.lasted()


machine.WDT(timeout=(AWAKE + HUNG) * 1000)
try:
    asyncio.run(asyncio.wait_for(work(settings.load()), AWAKE))
except asyncio.TimeoutError:
    print("node: not done within", AWAKE, "s")
except (Exception, asyncio.CancelledError) as error:
    sys.print_exception(error)
print("node: asleep for", ASLEEP, "s")
machine.deepsleep(ASLEEP * 1000)
