"""The device application: settings, agent, watchdog, Wi-Fi, clock, then jobs until the board loses power.

What a job may do comes from two places: handlers that the settings allow, and the application, module `app` in /app,
whose setup(agent) registers its own. Wrong settings end in one line and the REPL; anything else that gets this far is
printed, and the board starts anew.
"""

import asyncio
import gc
import os
import sys
import time

import machine

# Garbage is collected early from here on, so that what stays lies together: a large message needs room in one piece.
gc.threshold((gc.mem_free() + gc.mem_alloc()) // 8)

try:
    from firmware import choices, clock, health, proving, settings, supervision, watchdog, wifi
    from ujobs import Agent, trial
except Exception as error:
    if "trial" in os.listdir("/"):
        # What is on trial may be in the way: boot.py goes back after a few starts.
        sys.print_exception(error)
        time.sleep(5)
        machine.reset()
    raise

_TRIAL_WATCHDOG = 120  # seconds


def claims(config):
    """Whether the board never was a thing, but has a claim to become one. Nothing in its trial may change that."""
    return bool(config["claim"]) and not config["thing"] and not trial.current()


def build(config):
    """Return what the board is to run: the agent that the settings describe, or before that its claim."""
    hosts = choices.hosts(config)
    if claims(config):
        from ujobs.provisioning import Claim

        return Claim(dict(config, host=hosts[0]))
    proving.check(config)
    agent = Agent(
        thing=config["thing"],
        host=hosts[0],
        port=config["port"],
        ca=config["ca"],
        cert=config["cert"],
        key=config["key"],
        keepalive=config["keepalive"],
        update_interval=config["update_interval"],
        receive_limit=config["receive_limit"],
    )
    choices.take_turns(agent.link, hosts)
    agent.use(
        *config["handlers"],
        cert=config["cert"],
        key=config["key"],
        roots=config["roots"],
        signing_key=config["signing_key"],
        check_settings=settings.check,
        facts=lambda: facts(bool(config["wifi"])),
        last_start=health.last_start(),
        on_reboot=health.planned,
    )
    return agent


def facts(wireless):
    """Return what the job `report` says of the board, besides what the library knows."""
    found = health.facts()
    found["rssi"] = wifi.rssi() if wireless else None
    return found


def add_application(agent, name):
    """Let the application register its handlers. Without it the board still takes the jobs that could mend it."""
    try:
        __import__(name).setup(agent)
    except Exception as error:
        print("app: not started")
        sys.print_exception(error)
        # A new firmware is confirmed without: an application that was broken before must not keep it away.
        if trial.current() in (trial.APP, trial.SETTINGS):
            proving.give_up("the application did not start: " + repr(error))


async def main(config, agent):
    tasks = []  # held, so that they are not collected as garbage

    def keep_running(name, work):
        tasks.append(asyncio.create_task(supervision.keep_running(name, work)))

    if config["watchdog"] or trial.current():
        # What is in its trial may hang.
        feeding = watchdog.Watchdog(config["watchdog"] or _TRIAL_WATCHDOG)
        keep_running("watchdog", feeding.run)
    if trial.current():
        tasks.append(asyncio.create_task(proving.prove(agent, config["confirm"], config["trial"])))
    networks = choices.networks(config)
    if networks:
        await wifi.join(networks, choices.joined)
        keep_running("Wi-Fi", lambda: wifi.keep_connected(choices.networks(config), choices.joined))
    if config["ntp"]:
        timekeeper = clock.Clock(config["ntp"], getattr(agent, "link", None))
        keep_running("clock", timekeeper.run)
        # A certificate's dates can only be checked once the clock may be right.
        await proving.time_known(timekeeper)
        if isinstance(agent, Agent):
            agent.use(clock=timekeeper.off)
    if config["app"] and isinstance(agent, Agent) and not health.safe:
        add_application(agent, config["app"])
    if isinstance(agent, Agent):
        keep_running("health", lambda: health.run(agent.link))
    await agent.run()
    # Only a claim comes to an end: the board is a thing now, and starts as that.
    health.planned({})
    machine.reset()


def start():
    config = {}
    try:
        config = settings.load()
        agent = build(config)
    except (OSError, ValueError) as error:
        print("not started:", error)
        proving.give_up("not started: " + str(error))
        return
    except Exception as error:
        health.keep(error, settings.secrets(config))
        proving.give_up("not started: " + repr(error))
        raise
    try:
        asyncio.run(main(config, agent))
    except (Exception, asyncio.CancelledError) as error:
        sys.print_exception(error)
        health.keep(error, settings.secrets(config))
        time.sleep(5)
        machine.reset()


start()
