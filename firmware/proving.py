"""Sees to it that a trial ends: whatever is on trial has to bring the board to the cloud in time, or is taken back.

Stands on `ujobs.trial`, which keeps the record, and on the agent, whose connection is the proof.
"""

import asyncio

import machine

from ujobs import trial


async def prove(agent, by_application: bool, seconds: int) -> None:
    """Confirm what is on trial once the agent is connected, or restart the board when that takes too long.

    by_application: leave it to the application to call agent.confirm(). seconds: for one start; there are up to three.
    """
    try:
        await asyncio.wait_for(_proof(agent, by_application), seconds)
    except asyncio.TimeoutError:
        print("trial: no proof within", seconds, "s; restarting")
        machine.reset()


async def _proof(agent, by_application):
    await agent.link.up.wait()
    if not by_application:
        trial.confirm()
    await trial.ended()


def give_up(reason: str) -> None:
    """Take back what is on trial and restart; nothing happens when nothing is."""
    if trial.current():
        print("trial:", reason)
        trial.fail(reason)
        machine.reset()
