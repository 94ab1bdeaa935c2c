"""Ends every trial: the new version must connect to the cloud in time, or it is rolled back.

Built on `ujobs.trial`, which keeps the record, and on the agent, whose connection confirms the new version.
"""

import asyncio
import sys

import machine

from ujobs import lend, let_go, trial

from .clock import Clock

# What the next update imports, and a trial otherwise does not.
_UPDATE = ("sources", "download", "streams", "verify", "handlers.app")


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
    """Check of what is in its trial that which a connection does not test, but the next update needs.

    Otherwise an unusable signing key, or a module of the application that hides one of the board's, such as hashlib,
    would be noticed too late. Raises OSError, ValueError naming the file or the module.
    """
    if trial.current() == trial.SETTINGS and config["signing_key"]:
        lend("verify", "load_key", config["signing_key"])
    if trial.current() == trial.APP:
        try:
            _import_update()
        except Exception as error:
            raise ValueError("the next update would fail: " + repr(error))


def _import_update():
    # One at a time, so that it takes no more memory than the update.
    for name in _UPDATE:
        loaded = set(sys.modules)
        try:
            __import__("ujobs." + name)
        finally:
            let_go(loaded)


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
