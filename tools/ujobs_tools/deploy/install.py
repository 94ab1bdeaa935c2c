"""Updates a board. The steps are in such an order that the board works wherever a deployment is interrupted."""

from collections.abc import Callable, Mapping
from pathlib import Path

from .contents import application, check_version, program
from .plan import OWNED, SLOTS, STARTS, Plan, make_plan
from .ports import BoardError
from .remote import FlashFull, Remote

Progress = Callable[[str, int], None]
"""Called with a file's path and the number of bytes just sent."""


def plan_for(remote: Remote, app: Path | None, further: Mapping[str, bytes]) -> Plan:
    """Compare the board with the files that it should have.

    app: see contents.application; None leaves the application unchanged. further: more files, by path on the board.
    Raises BoardError, InterpreterError, OSError.
    """
    about = remote.about()
    check_version(about.version, about.mpy)
    if not about.umqtt:
        raise BoardError("the board has no umqtt.simple: run mpremote mip install umqtt.simple")
    files = {**program(), **further}
    new = None if app is None else application(app, about.mpy)
    single = [path for path in files if not path.startswith(OWNED)]
    places = [*OWNED, *SLOTS, *(f"{slot}.version" for slot in SLOTS), STARTS]
    places += [*single, *(f"{path}.new" for path in single)]
    return make_plan(files, new, remote.files(*(place.rstrip("/") for place in places)), about.slot)


def carry_out(remote: Remote, plan: Plan, progress: Progress) -> None:
    """Carry out the plan. Until the last step, which takes a fraction of a second, the board boots with its old files.

    Raises BoardError, and FlashFull with the free and the needed bytes. After FlashFull, files that were already sent
    are removed.
    """
    if plan.slot and remote.about().trial:
        remote.end_trial()  # the new application needs the folder of the trial
    remote.remove(plan.leftovers)
    free = remote.free()
    if plan.room() > free:
        raise FlashFull(f"the board's flash is too full: {plan.room()} bytes are needed, {free} are free")
    brought: list[str] = []
    try:
        for path, content in plan.write.items():
            brought.append(path)
            remote.write(path, content, lambda size, path=path: progress(path, size))
        for path, source in plan.copy.items():
            brought.append(path)
            remote.copy(source, path)
    except FlashFull:
        remote.remove([f"{path}.new" for path in brought])
        raise
    # The application's files first: the board does not boot from their folder yet.
    remote.commit(sorted(brought, key=lambda path: not path.startswith(SLOTS)), plan.remove, plan.slot)
