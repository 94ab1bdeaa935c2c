"""Ends every trial: the new version must connect to the cloud in time, or it is rolled back.

Built on `ujobs.trial`, which keeps the record, and on the agent, whose connection confirms the new version.
"""

import asyncio

import machine

from ujobs import lend, trial

from .clock import Clock

# What ujobs uses of those modules of MicroPython that a file of the application can hide.
USED = (
    ("asyncio", "CancelledError Event Lock TimeoutError core create_task current_task open_connection"),
    ("asyncio", "run sleep wait_for"),
    ("binascii", "a2b_base64 crc32 hexlify unhexlify"),
    ("errno", "ECONNRESET ENOTCONN ETIMEDOUT"),
    ("hashlib", "sha256"),
    ("machine", "reset reset_cause unique_id"),
    ("os", "listdir mkdir remove rename rmdir stat statvfs"),
    ("random", "getrandbits random"),
    ("struct", "pack unpack"),
    ("time", "ticks_diff ticks_ms"),
)


# What this boot waits for before the agent can connect.
missing = ""


async def prove(agent, by_application: bool, seconds: int) -> None:
    """Confirm the version in its trial once the agent is connected; restart the board if that takes too long.

    by_application: the application calls agent.confirm() instead. seconds: for one boot; there are up to three, but one
    for firmware: the bootloader does not start it again. The last one ends the trial, with the reason. Never raises: if
    the trial cannot be ended otherwise, the board restarts.
    """
    try:
        await asyncio.wait_for(_proof(agent, by_application), seconds)
        return
    except asyncio.TimeoutError:
        why = "agent.confirm() was not called"
        if not agent.link.up.is_set():
            why = missing or ("no connection" + (agent.link.failure and ": " + agent.link.failure))
        print("trial: no proof within %s s: %s; restarting" % (seconds, why))
        if trial.current() == trial.FIRMWARE:
            give_up("not confirmed: " + why)
        if trial.read("/trial").startswith("3"):
            give_up("not confirmed in 3 boots: " + why)
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
    and has less than that, would be noticed too late. Raises OSError, ValueError naming the file or the module.
    """
    if trial.current() == trial.SETTINGS and config["signing_key"]:
        lend("verify", "load_key", config["signing_key"])
    if trial.current() == trial.APP:
        for module, names in USED:
            try:
                for name in names.split():
                    getattr(__import__(module), name)
            except Exception as error:
                raise ValueError("the next update would fail: %s: %r" % (module, error))


async def time_known(clock: Clock) -> None:
    """Wait until the clock may be right. A trial of settings needs a reply of the time server."""
    global missing
    missing = "no time from the server in ntp"
    if trial.current() == trial.SETTINGS:
        await clock.answered.wait()
    else:
        await clock.ready()
    missing = ""


def give_up(reason: str) -> None:
    """Roll back the version in its trial and restart; without a trial do nothing."""
    if trial.current():
        print("trial:", reason)
        trial.fail(reason)
        machine.reset()
