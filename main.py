"""The device application: settings, agent, watchdog, Wi-Fi, clock, then jobs until the board loses power.

What a job may do comes from two places: handlers that the settings allow, and the application, module `app` in /app,
whose setup(agent) registers its own. Invalid settings print one line and end in the REPL. After any other error the
board prints a traceback and restarts.
"""

import sys

# A file of the application must not hide a module that this program and the firmware need, such as os or machine:
# then nothing could roll it back. Later imports find it, see proving.check().
_path = list(sys.path)
sys.path[:] = [folder for folder in _path if folder not in ("/app", "/app-b")]

import asyncio
import gc
import os
import time

import machine

# Collect garbage early from here on to limit fragmentation: a large message needs one contiguous block.
gc.threshold((gc.mem_free() + gc.mem_alloc()) // 8)

try:
    from firmware import choices, clock, health, proving, settings, supervision, watchdog, wifi
    from ujobs import Agent, trial
    from ujobs.link import explain
except Exception as error:
    if "trial" in os.listdir("/"):
        # The version in its trial may be the cause: boot.py rolls it back after three boots.
        sys.print_exception(error)
        time.sleep(5)
        machine.reset()
    raise
sys.path[:] = _path

_TRIAL_WATCHDOG = 120  # seconds


def claims(config):
    """Return whether the board has never been a thing but has a claim to become one. No trial may change that."""
    return bool(config["claim"]) and not config["thing"] and not trial.current()


def build(config):
    """Return what the board runs: the agent that the settings describe, or the claim that makes it a thing first."""
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
        roots=config["roots"],
        signing_key=config["signing_key"],
        check_settings=settings.check,
        facts=lambda: facts(bool(config["wifi"])),
        last_start=health.last_start(),
        on_reboot=health.planned,
    )
    return agent


def facts(wireless):
    """Return the facts for the job `report` that the library does not know."""
    found = health.facts()
    found["rssi"] = wifi.rssi() if wireless else None
    return found


def add_application(agent, name):
    """Let the application register its handlers. If it fails, the board still accepts jobs that can repair it."""
    try:
        pending = __import__(name).setup(agent)
        if hasattr(pending, "send"):
            pending.close()
            raise TypeError("setup must be a plain def, not async def")
    except (Exception, SystemExit, asyncio.CancelledError) as error:
        reason = explain(error)
        print("app: not started:", reason)
        try:
            sys.print_exception(error)
        except Exception:
            pass  # MicroPython fails with the error's own text
        # New firmware is confirmed without it: an application that was broken before must not block the firmware.
        if trial.current() in (trial.APP, trial.SETTINGS):
            proving.give_up("the application did not start: " + reason)


async def main(config, agent):
    tasks = []  # keeps them from being collected as garbage

    def keep_running(name, work):
        tasks.append(asyncio.create_task(supervision.keep_running(name, work)))

    if config["watchdog"] or trial.current():
        # A version in its trial may hang.
        feeding = watchdog.Watchdog(config["watchdog"] or _TRIAL_WATCHDOG)
        keep_running("watchdog", feeding.run)
    if trial.current():
        tasks.append(asyncio.create_task(proving.prove(agent, config["confirm"], config["trial"])))
    networks = choices.networks(config)
    if networks:
        proving.missing = "no Wi-Fi"
        await wifi.join(networks, choices.joined)
        keep_running("Wi-Fi", lambda: wifi.keep_connected(choices.networks(config), choices.joined))
    proving.missing = ""
    if config["ntp"]:
        timekeeper = clock.Clock(config["ntp"], getattr(agent, "link", None))
        keep_running("clock", timekeeper.run)
        # TLS cannot check a certificate's dates before the clock is plausible.
        await proving.time_known(timekeeper)
        if isinstance(agent, Agent):
            agent.use(clock=timekeeper.off)
    if config["app"] and isinstance(agent, Agent) and not health.safe:
        add_application(agent, config["app"])
    if isinstance(agent, Agent):
        keep_running("health", lambda: health.run(agent.link))
    await agent.run()
    # Only a claim ends: the board is a thing now, and restarts as one.
    health.planned({})
    machine.reset()


def restart_after(error, config):
    """Record why the program ended, and restart, even if there is no memory left to record it."""
    try:
        sys.print_exception(error)
        health.keep(error, settings.secrets(config))
    finally:
        time.sleep(5)  # in which Ctrl-C reaches the REPL
        machine.reset()


def start():
    config = {}
    try:
        try:
            config = settings.load()
            agent = build(config)
        except (OSError, ValueError) as error:
            print("not started:", error)
            proving.give_up("not started: " + str(error))
            return
        except Exception as error:
            proving.give_up("not started: " + repr(error))
            raise
        asyncio.run(main(config, agent))
    except (Exception, asyncio.CancelledError, SystemExit) as error:
        # SystemExit, as of sys.exit(), would be a soft reset, again and again, without an end in safe mode.
        restart_after(error, config)


start()
