"""The job `{"operation": "app"}`: a new version of the application, in a trial until it has connected.

    {"operation": "app", "version": "1.4.0", "base": "https://…/1.4.0/",
     "files": [{"path": "app.py", "size": 4711, "sha256": "…"}, …]}

Files come from `base` plus their path, from a `url` of their own, or from a `stream` (named once, next to `version`) by
their `file` number. They go to the inactive folder, unchanged ones from the active one; then the board restarts with
them. If the trial fails, the board rolls back and the job is FAILED (see trial). A file with `deflate` is sent
compressed by zlib (see sources). Options of Agent.use(): ca and signing_key, see sources.check().
"""

import asyncio
import os

from .. import trial
from ..agent import Reject
from ..fetch import check_digest, checked, fetch_file, is_there
from ..flash import Part, remove, room

# Neither is in a .mpy at -O2: its compiler knows const, and types are for type checkers only.
if __debug__:
    from micropython import const
_TYPING = const(0)
if _TYPING:
    from ..job import Job

_MAX_FILES = const(64)


async def run(job: "Job", options: dict) -> "dict | None":
    """Fetch the files and restart, or report how that went. Returns the version that runs."""
    await trial.outcome(job)
    document = job.document  # as it is checked: a later one brings new URLs only
    version = str(document.get("version", ""))
    active = trial.slot()
    folder, index, position = job.checkpoint or (trial.other_slot(), 0, 0)
    if active == folder:
        return {"version": version}
    files = document.get("files")
    if not isinstance(files, list) or not 0 < len(files) <= _MAX_FILES:
        raise Reject("files must be a list of 1 to %d" % _MAX_FILES)
    sources = []
    for number in range(len(files)):
        sources.append(_source(document, number))
    means = checked("check_app", document, sources, active, options)
    if job.checkpoint is None:
        runs = True
        kept = []
        size = 0
        for source in sources:
            runs = runs and await is_there(_path(active, source), source)
            kept.append(_path(folder, source))
            size += source.get("size", 0) + source.get("deflate", {}).get("size", 0)
        if runs:
            trial.write(active + ".version", version)
            return {"version": version}
        _clear(trial.root + folder, kept)
        room(trial.root + folder, size)
        job.save((folder, 0, 0))
    for source in sources[index:]:
        await _bring(job, index, source, folder, position, means)
        index += 1
        position = 0
        job.save((folder, index, position))
    trial.write(folder + ".version", version)
    await trial.restart(job, trial.APP)


def _source(document, number):
    entry = document["files"][number]
    if not isinstance(entry, dict) or not isinstance(entry.get("path"), str):
        raise Reject("each file must be an object with a path")
    source = dict(entry)
    if "url" not in source:
        if "stream" in document:
            source["stream"] = document["stream"]
        elif "base" in document:
            source["url"] = str(document["base"]) + source["path"]
    return source


def _path(folder, source):
    return trial.root + folder + "/" + source["path"]


def _clear(folder, kept):
    # The files of the version before the active one that the new version does not contain.
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        path = folder + "/" + name
        if os.stat(path)[0] & 0x4000:
            _clear(path, kept)
            if not os.listdir(path):
                os.rmdir(path)
        elif path not in kept:
            os.remove(path)


async def _bring(job, number, source, folder, position, means):
    path = _path(folder, source)
    if await is_there(path, source):
        return
    origin = _path(trial.slot(), source)
    packed = False
    if not await is_there(origin, source):
        packed = "deflate" in source
        origin = path + ".z" if packed else path
        sent = source
        if packed:
            # Only these: the rest of it was not checked.
            sent = dict(source, size=source["deflate"]["size"], sha256=source["deflate"]["sha256"])
        await fetch_file(job, sent, _source, (folder, number), origin, position, means)
        if not packed:
            return
    part = Part(path)
    try:
        with open(origin, "rb") as file:
            if packed:
                import deflate

                file = deflate.DeflateIO(file, deflate.ZLIB)
            while True:
                data = file.read(1024)
                if packed and part.size + len(data) > source["size"]:
                    raise ValueError("the file is over %d bytes" % source["size"])
                if not data:
                    break
                part.write(part.size, data)
                await asyncio.sleep(0)
        await check_digest(source, part)
        part.install()
    finally:
        part.remove()
        if packed:
            remove(origin)
