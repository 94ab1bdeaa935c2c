"""The job `{"operation": "settings", "set": {…}, "remove": [...]}`: change the board's settings, on trial.

The new settings count once the board has connected with them; if it does not, it goes back to the old ones by itself
and the job says FAILED (see trial). Options of Agent.use(): check_settings, called with all settings as they would be,
which raises ValueError for what is wrong. Values, which may be passwords, appear in no log line and no status detail.
"""

import os

import ujson

from .. import trial
from ..agent import Job, Reject


async def run(job: Job, options: dict) -> "dict | None":
    """Put the settings in place and restart, or say how that went. Returns the number of settings changed."""
    first = job.checkpoint is None
    if first:
        trial.forget()
    if trial.current():
        await trial.ended()
    if not first and trial.failure():
        raise OSError("the settings before are back: " + trial.failure())
    before = _read()
    after = _changed(before, job.document)
    if after == before:
        return {"restarted": "no" if first else "yes"}
    if "check_settings" not in options:
        raise Reject("settings needs the option check_settings")
    try:
        options["check_settings"](dict(after))
    except ValueError as error:
        raise Reject(str(error))
    # What could run out of space comes before the trial.
    _write("/settings.old", before)
    _write("/settings.new", after)
    job.save(True)
    await trial.restart(trial.SETTINGS, lambda: os.rename(trial.root + "/settings.new", trial.root + "/settings.json"))


def _changed(before, document):
    given = document.get("set", {})
    removed = document.get("remove", [])
    if not isinstance(given, dict) or not isinstance(removed, list) or not all(isinstance(n, str) for n in removed):
        raise Reject("set must be an object and remove a list of names")
    if "thing" in given or "thing" in removed:
        raise Reject("the thing name cannot be changed by a job: the job is that thing's")
    after = dict(before)
    after.update(given)
    for name in removed:
        after.pop(name, None)
    if before.get("signing_key") and before["signing_key"] != after.get("signing_key"):
        raise Reject("signing_key cannot be changed by a job: it is what jobs are checked with")
    return after


def _read():
    with open(trial.root + "/settings.json") as file:
        return ujson.load(file)


def _write(name, settings):
    with open(trial.root + name + ".tmp", "w") as file:
        ujson.dump(settings, file)
    os.rename(trial.root + name + ".tmp", trial.root + name)
