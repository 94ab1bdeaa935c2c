"""The job `{"operation": "reboot"}`: restart the board; SUCCEEDED only once it has come back and is connected."""

import asyncio

from ..agent import Job


async def run(job: Job, options: dict) -> "dict | None":
    """Reset the board, unless that is what just happened. Returns how the board says it was reset."""
    # Imported here: ujobs itself runs where there is no board.
    import machine

    if job.checkpoint:
        return {"reset_cause": reset_cause()}
    job.save(True)
    # Let whatever is on its way out leave first.
    await asyncio.sleep(0.5)
    machine.reset()


def reset_cause() -> str:
    """Return the name of the last reset's cause, such as WDT_RESET; its number if it has no name here."""
    try:
        import machine

        cause = machine.reset_cause()
    except (ImportError, AttributeError):
        return "cause unknown"  # no board
    # The numbers differ from port to port; the names do not.
    for name in ("PWRON_RESET", "HARD_RESET", "WDT_RESET", "DEEPSLEEP_RESET", "SOFT_RESET"):
        if getattr(machine, name, None) == cause:
            return name
    return str(cause)
