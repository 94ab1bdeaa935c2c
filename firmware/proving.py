"""Ends every trial: the new version must connect to the cloud in time, or it is rolled back.

Built on `ujobs.trial`, which keeps the record, and on the agent, whose connection confirms the new version.
"""

import asyncio

import machine

from ujobs import lend, trial

from .clock import Clock


async def prove(agent, by_application: bool, seconds: int) -> None:
    """Confirm the version in its trial once the agent is connected; restart the board if that takes too long.

    by_application: the application calls agent.confirm() instead. seconds: for one boot; there are up to three. Never
    raises: if the trial cannot be ended otherwise, the board restarts.
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
    """Check the settings in their trial that a connection does not test. Raises OSError, ValueError naming the file.

    Otherwise an unusable signing key would be noticed only when a later job fetches a signed file.
    """
    if trial.current() == trial.SETTINGS and config["signing_key"]:
        lend("verify", "load_key", config["signing_key"])


async def time_known(clock: Clock) -> None:
    """Wait until the clock may be right. A trial of settings needs a reply of the time server."""
    if trial.current() == trial.SETTINGS:
        await clock.answered.wait()
    else:
        await clock.ready()


def give_up(reason: str) -> None:
    """Roll back the version in its trial and restart; without a trial do nothing."""
    if trial.current():
        print("trial:", reason)
        trial.fail(reason)
        machine.reset()
