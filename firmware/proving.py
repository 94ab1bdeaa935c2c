"""Ends every trial: the new version must connect to the cloud in time, or it is rolled back.

Built on `ujobs.trial`, which keeps the record, and on the agent, whose connection is the proof.
"""

import asyncio

import machine

from ujobs import lend, trial

from .clock import Clock


async def prove(agent, by_application: bool, seconds: int) -> None:
    """Confirm what is in its trial once the agent is connected, or restart the board when that takes too long.

    by_application: leave it to the application to call agent.confirm(). seconds: for one boot; there are up to three.
    Never raises: the board restarts when the trial cannot be ended otherwise.
    """
    try:
        await asyncio.wait_for(_proof(agent, by_application), seconds)
        return
    except asyncio.TimeoutError:
        print("trial: no proof within", seconds, "s; restarting")
    except Exception as error:
        print("trial: not confirmed:", repr(error) + "; restarting")
    machine.reset()


async def _proof(agent, by_application):
    await agent.link.up.wait()
    if not by_application:
        trial.confirm()
    await trial.ended()


def check(config: dict) -> None:
    """Try those settings in their trial that a connection does not prove. Raises OSError, ValueError naming the file.

    Without this, a signing key that cannot be used would show only when a later job brings a signed file.
    """
    if trial.current() == trial.SETTINGS and config["signing_key"]:
        lend("verify", "load_key", config["signing_key"])


async def time_known(clock: Clock) -> None:
    """Wait until the clock may be right. In a trial of settings only an answer of the time server counts."""
    if trial.current() == trial.SETTINGS:
        await clock.answered.wait()
    else:
        await clock.ready()


def give_up(reason: str) -> None:
    """Roll back what is in its trial and restart; nothing happens when nothing is."""
    if trial.current():
        print("trial:", reason)
        trial.fail(reason)
        machine.reset()
