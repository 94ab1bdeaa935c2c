"""The job `{"operation": "reboot"}`: restart the board; SUCCEEDED only once it is connected again.

Option of Agent.use(): on_reboot, called with the job document just before the reset.
"""

from ..restore import reset_cause

# Neither is in a .mpy at -O2: its compiler knows const, and types are for type checkers only.
if __debug__:
    from micropython import const
_TYPING = const(0)
if _TYPING:
    from ..job import Job


async def run(job: "Job", options: dict) -> "dict | None":
    """Reset the board, unless this job has just done so. Returns the reset cause that the board reports."""
    # Imported here: ujobs itself runs where there is no board.
    import machine

    if job.checkpoint:
        return {"reset_cause": reset_cause()}
    job.save(True)
    # Once this is answered, whatever was on its way out has left, too.
    await job.check_in()
    options.get("on_reboot", len)(job.document)
    machine.reset()
