"""The job `{"operation": "app"}`: a new version of the application, on trial.

    {"operation": "app", "version": "1.4.0", "base": "https://…/1.4.0/",
     "files": [{"path": "app.py", "size": 4711, "sha256": "…"}, …]}

A file with `"deflate": {"size": 1500, "sha256": "…"}` is sent in that many bytes, made by zlib, and unpacked here.
Files come from `base` plus their path, from a `url` of their own, or from a `stream` (named once, beside `version`) by
their `file` number. The folder that is not in use gets them, unchanged ones from the folder that is; then the board
restarts with them. They count once they have proved themselves, else the board goes back (see trial) and the job says
FAILED. Options of Agent.use(): ca and signing_key, see fetch.means_for().
"""

import asyncio
import os

from .. import trial, versions
from ..agent import Reject
from ..checks import clean
from ..fetch import check_digest, check_source, fetch
from ..flash import Part, check_plain, is_there, room
from ..job import Job

_MAX_FILES = 64


async def run(job: Job, options: dict) -> "dict | None":
    """Bring the files in and restart, or say how that went. Returns the version that runs."""
    document = job.document  # as it is checked: a later one brings new URLs only
    version = {"version": clean(str(document.get("version", "")))}
    checkpoint = job.checkpoint
    if checkpoint is None:
        trial.forget()
    if trial.current():
        await trial.ended()
    if trial.failure():
        raise OSError("the version before is back: " + trial.failure())
    folder, index, position = checkpoint or (trial.other_slot(), 0, 0)
    if trial.slot() == folder:
        return version
    sources = _sources(document)
    paths = [source["path"] for source in sources]
    try:
        means = versions.check(document, sources, trial.slot(), options)
        for source in sources:
            if "sha256" not in source:
                raise ValueError("sha256 is missing")
            _check_packed(source)
            check_plain("/" + source["path"])
            if source["path"] + ".part" in paths or source["path"] + ".z.part" in paths:
                raise ValueError("two of the files need " + source["path"] + ".part")
    except ValueError as error:
        raise Reject(str(error))
    if checkpoint is None:
        if await _is_running(sources):
            versions.keep(trial.slot(), document)
            return version
        _clear(trial.root + folder, [trial.root + folder + "/" + path for path in paths])
        sizes = [source.get("size", 0) + source.get("deflate", {}).get("size", 0) for source in sources]
        room(trial.root + folder, sum(sizes))
        job.save((folder, 0, 0))
    for number in range(index, len(sources)):
        await _bring(job, number, sources[number], folder, position if number == index else 0, means)
        job.save((folder, number + 1, 0))
    versions.keep(folder, document)
    await trial.restart(job, trial.APP)


def _sources(document):
    files = document.get("files")
    if not isinstance(files, list) or not 0 < len(files) <= _MAX_FILES:
        raise Reject("files must be a list of 1 to %d" % _MAX_FILES)
    return [_source(document, entry) for entry in files]


def _source(document, entry):
    if not isinstance(entry, dict) or not isinstance(entry.get("path"), str):
        raise Reject("each file must be an object with a path")
    source = dict(entry)
    if "url" not in source:
        if "stream" in document:
            source["stream"] = document["stream"]
        elif "base" in document:
            source["url"] = str(document["base"]) + source["path"]
    return source


def _sent(source):
    # The source of what is sent: the file, or what it is unpacked from.
    packed = source.get("deflate")
    return dict(source, size=packed["size"], sha256=packed["sha256"]) if packed else source


def _check_packed(source):
    if "deflate" in source:
        try:
            import deflate  # noqa: F401
        except ImportError:
            raise ValueError("this board has no deflate: publish without compression")
        packed = source["deflate"]
        if not isinstance(packed, dict) or "size" not in packed or "sha256" not in packed or "size" not in source:
            raise ValueError("deflate needs size and sha256, and the file a size")
        check_source(_sent(source), {})


async def _unpack(part, whole, source):
    import deflate

    with open(part.name, "rb") as file:
        stream = deflate.DeflateIO(file, deflate.ZLIB)
        while True:
            data = stream.read(1024)
            if whole.size + len(data) > source["size"]:
                raise ValueError("the file has more than the %d bytes announced" % source["size"])
            if not data:
                break
            whole.write(whole.size, data)
            await asyncio.sleep(0)
    await check_digest(source, whole)


async def _is_running(sources):
    for source in sources:
        if not await is_there(trial.root + trial.slot() + "/" + source["path"], source):
            return False
    return True


def _clear(folder, kept):
    # What the last version but one had, and this one has not.
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
    path = folder + "/" + source["path"]
    if await is_there(trial.root + path, source):
        return
    there = trial.root + trial.slot() + "/" + source["path"]
    unchanged = await is_there(there, source)
    packed = "deflate" in source and not unchanged
    whole = part = Part(trial.root + path + (".z" if packed else ""), resume=position > 0)
    try:
        if unchanged:
            with open(there, "rb") as file:
                part.copy(file)
        else:
            await fetch(
                job, lambda document: _sent(_source(document, document["files"][number])), part,
                min(position, part.size), lambda safe: job.save((folder, number, safe)), means,
            )
        if packed:
            whole = Part(trial.root + path)
            await _unpack(part, whole, source)
        whole.install()
        if packed:
            part.discard()
    except Exception:
        whole.discard()
        part.discard()
        raise
    finally:
        # A handler that is stopped leaves the part behind for the next attempt.
        whole.close()
        part.close()
