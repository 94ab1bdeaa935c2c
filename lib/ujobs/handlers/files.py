"""The job `{"operation": "files"}`: fetch files to flash, delete some, list a folder, read the end of a small one.

    {"operation": "files",
     "fetch": [{"path": "/data/table.bin", "url": "https://…", "size": 4711, "sha256": "…"}],
     "delete": ["/data/old.bin"], "list": "/data", "read": "/data/errors.log"}

All parts may be left out. Everything is checked before anything is changed; a file that is there already, with the same
SHA-256, is not fetched again. Options of Agent.use(): roots, the folders that jobs may write, ("/data",) if not given;
ca and signing_key, see fetch.means_for().
"""

import asyncio
import os

from ..agent import Job, Reject
from ..fetch import check_source, fetch, means_for
from ..flash import Part, check_path, remove, room, sha256

_MAX_FILES = 64
_READ = 1000  # bytes of a file that fit in a status detail


async def run(job: Job, options: dict) -> "dict | None":
    """Do what the document says. Returns how many files were fetched and deleted, and what was listed and read."""
    document = job.document
    roots = options.get("roots", ("/data",))
    sources = document.get("fetch", ())
    deleted = document.get("delete", ())
    listed = document.get("list")
    shown = document.get("read")
    try:
        for name, entries in (("fetch", sources), ("delete", deleted)):
            if not isinstance(entries, (list, tuple)) or len(entries) > _MAX_FILES:
                raise ValueError("%s must be a list of at most %d" % (name, _MAX_FILES))
        for source in sources:
            check_source(source, options, trusted=True)
        for path in [source.get("path") for source in sources] + list(deleted):
            check_path(path, roots)
        if listed is not None:
            check_path(str(listed) + "/-", roots)
        if shown is not None:
            check_path(shown, roots)
    except ValueError as error:
        raise Reject(str(error))
    result = {}
    if sources:
        await _fetch_all(job, sources, options)
        result["fetched"] = str(len(sources))
    if deleted:
        result["deleted"] = str(sum([remove(path) for path in deleted]))
    if listed is not None:
        entries = ["%s %d" % (name, os.stat(listed + "/" + name)[6]) for name in sorted(os.listdir(listed))]
        job.noted("list", ", ".join(entries))
    if shown is not None:
        with open(shown, "rb") as file:
            file.seek(max(file.seek(0, 2) - _READ, 0))
            job.noted("read", "".join([chr(byte) if byte < 127 else "?" for byte in file.read()]))
    return result


async def _fetch_all(job, sources, options):
    means = means_for(sources, options)
    checkpoint = job.checkpoint or (0, 0)
    for index in range(checkpoint[0], len(sources)):
        if not await _is_there(sources[index]):
            await _fetch(job, index, checkpoint[1] if index == checkpoint[0] else 0, means)
        job.save((index + 1, 0))


async def _is_there(source):
    try:
        return await sha256(source["path"]) == source["sha256"].lower()
    except (OSError, KeyError):
        return False


async def _fetch(job, index, position, means):
    source = job.document["fetch"][index]
    room(source["path"], source.get("size", 0) - position)
    part = Part(source["path"], resume=position > 0)
    try:
        await fetch(
            job, lambda document: document["fetch"][index], part, min(position, part.size),
            lambda safe: job.save((index, safe)), means,
        )
        part.install()
    except (Exception, asyncio.CancelledError) as error:
        # A handler that is stopped, but not by the service, leaves the part behind for the next attempt.
        if job.cancelled or isinstance(error, Exception):
            part.discard()
        raise
    finally:
        part.close()
