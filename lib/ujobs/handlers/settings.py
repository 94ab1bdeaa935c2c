"""The job `{"operation": "settings", "set": {…}, "remove": [...]}`: change the board's settings, in a trial.

The new settings take effect once the board has connected with them; if it does not, it rolls back automatically and the
job is FAILED (see trial). No job changes what guards the board: the thing name, certificates and keys, and their
places; `roots` can only be narrowed. Options of Agent.use(): check_settings, called with all settings as they would be;
it raises ValueError for a wrong one. Values, which may be passwords, appear in no log line and no status detail.
"""

import ujson

from .. import trial
from ..agent import Reject

# Neither is in a .mpy at -O2: its compiler knows const, and types are for type checkers only.
if __debug__:
    from micropython import const
_TYPING = const(0)
if _TYPING:
    from ..job import Job

_ROOT = const("/data")  # as in the handler files


async def run(job: "Job", options: dict) -> "dict | None":
    """Put the settings in place and restart, or report how that went."""
    await trial.outcome(job)
    with open(trial.root + "/settings.json") as file:
        before = ujson.load(file)
    after = _changed(before, job.document)
    if after == before:
        return {"restarted": "no" if job.checkpoint is None else "yes"}
    if "check_settings" not in options:
        raise Reject("settings needs the option check_settings")
    try:
        options["check_settings"](dict(after))
    except ValueError as error:
        raise Reject(str(error))
    # What could run out of space comes before the trial.
    trial.write("/settings.old", ujson.dumps(before))
    trial.write("/settings.new", ujson.dumps(after))
    job.save(True)
    await trial.restart(job, trial.SETTINGS)


def _changed(before, document):
    given = document.get("set", {})
    removed = document.get("remove", [])
    if not isinstance(given, dict) or not isinstance(removed, list) or not all([isinstance(n, str) for n in removed]):
        raise Reject("set must be an object, remove a list of names")
    if not given and not removed:
        # AWS drops members that are null from a document, so an intended change may not arrive.
        raise Reject("nothing to set or remove (AWS drops nulls)")
    after = dict(before)
    after.update(given)
    for name in removed:
        after.pop(name, None)
    for name in ("thing", "ca", "cert", "key", "claim", "signing_key"):
        # Where there is no signing key yet, a job may bring the first one.
        if before.get(name) != after.get(name) and (before.get(name) or name != "signing_key"):
            raise Reject(name + " cannot be changed by a job")
    roots = after.get("roots", [_ROOT])
    held = before.get("roots", [_ROOT])
    if roots != held:
        for root in roots if isinstance(roots, list) else (None,):
            # One at a time: startswith() takes no tuple in MicroPython 1.24.
            if not any([(str(root) + "/").startswith(kept + "/") for kept in held]):
                raise Reject("roots can only be narrowed by a job")
    if "settings" in (before.get("handlers") or ()) and "settings" not in (after.get("handlers") or ()):
        raise Reject("handlers must keep settings")
    return after
