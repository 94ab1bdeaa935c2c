"""Bring a board up to date: the steps of a deployment in an order that leaves it working wherever it is cut short."""

from collections.abc import Callable, Mapping
from pathlib import Path

from .contents import application, check_version, program
from .plan import OWNED, SLOTS, STARTS, Plan, make_plan
from .ports import BoardError
from .remote import FlashFull, Remote

Progress = Callable[[str, int], None]
"""Is told of a file and of how many bytes of it have gone over."""


def plan_for(remote: Remote, app: Path | None, further: Mapping[str, bytes]) -> Plan:
    """What there is to do on a board.

    app: as for contents.application; None leaves the application as it is. further: path on the board -> content, for
    what else belongs there. Raises BoardError, InterpreterError, OSError.
    """
    about = remote.about()
    check_version(about.version, about.mpy)
    if not about.umqtt:
        raise BoardError("the board has no umqtt.simple: install it with mpremote mip install umqtt.simple")
    files = {**program(), **further}
    new = None if app is None else application(app, about.mpy)
    single = [path for path in files if not path.startswith(OWNED)]
    places = [*OWNED, *SLOTS, *(f"{slot}.version" for slot in SLOTS), STARTS]
    places += [*single, *(f"{path}.new" for path in single)]
    return make_plan(files, new, remote.files(*(place.rstrip("/") for place in places)), about.slot)


def carry_out(remote: Remote, plan: Plan, progress: Progress) -> None:
    """Do it. Up to the last step the board starts with what it had before; that is done in a moment.

    Raises BoardError, FlashFull with how much there is; what has been brought by then is taken away again if the board
    still answers.
    """
    if plan.slot and remote.about().trial:
        remote.end_trial()  # the folder that it is tried in is needed
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
    # The application's own come first: nothing starts from there yet.
    remote.commit(sorted(brought, key=lambda path: not path.startswith(SLOTS)), plan.remove, plan.slot)
