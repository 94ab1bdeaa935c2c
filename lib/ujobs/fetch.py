"""Fetch a file that a job document describes (see sources) to flash: over HTTPS or a stream, resumed, and checked."""

import asyncio
import random
from binascii import unhexlify

from . import lend
from .agent import Reject
from .link import log

# Neither is in a .mpy at -O2: its compiler knows const, and types are for type checkers only.
if __debug__:
    from micropython import const
_TYPING = const(0)
if _TYPING:
    from typing import Any, Callable

    from .job import Job

_EVERY = const(32768)  # bytes between two checkpoints: a flash erase or two
_ATTEMPTS = const(5)  # in a row that bring no data


def checked(check: str, *arguments: object) -> "Any":
    """Call a check of `sources`, which is then forgotten; return its result. Raises Reject saying what is wrong."""
    try:
        return lend("sources", check, *arguments)
    except ValueError as error:
        raise Reject(str(error))


async def fetch(
    job: "Job", source: dict, locate: "Callable[[dict, Any], dict]", mark: tuple, sink: "Any", start: int,
    means: tuple,
) -> None:
    """Fetch a file into a sink, and check its size, SHA-256 and signature there.

    source: as sources.check() has checked it. locate: called as locate(document, mark[-1]), returns the source in a job
    document, which is fetched again when a presigned URL has expired; only the URL is taken from that one, which nobody
    has checked. mark: the job's checkpoint without its last element, the position that is safe in flash. sink: has
    clear(), room(size), write(offset, data), flush(), size and the coroutine sha256(), see flash.Part. start:
    where to continue. means: from sources.check().
    Raises ValueError for a URL that is refused or a file that does not match its source, OSError.
    """
    size = limit = source.get("size")
    context, key = means
    # Otherwise only an ETag proves that two parts belong to one version, and none is kept across a reset.
    checked = "sha256" in source or key
    etag = None
    position = start if checked else 0  # everything before it has arrived
    saved = furthest = position
    renewed = -1  # position at which a presigned URL was last renewed
    failures = 0  # since the file was last longer than `furthest`
    failed = False  # at writing to flash

    def flash(change, *arguments):
        # Unlike a link error, a flash error is not worth a retry.
        nonlocal failed
        try:
            change(*arguments)
        except OSError:
            failed = True
            raise

    def begin(offset, total, validator):
        nonlocal position, limit, etag
        if size is not None and total not in (None, size):
            raise ValueError("the file has %d bytes, not %d" % (total, size))
        if offset and not checked and validator != etag:
            position = 0
            raise OSError("the file has changed")
        etag = validator
        if not offset:
            flash(sink.clear)
        if size is None:
            limit = total
            flash(sink.room, (total or offset) - offset)

    def write(offset, data):
        if limit is not None and offset + len(data) > limit:
            raise ValueError("the file is over %d bytes" % limit)
        flash(sink.write, offset, data)

    def arrived(offset):
        nonlocal position, saved
        position = offset
        if not 0 <= offset - saved < _EVERY:
            if limit is None:
                flash(sink.room, _EVERY)
            flash(sink.flush)
            flash(job.save, mark + (offset,))
            saved = offset
            job.note(offset, limit)

    def write_next(offset, data):
        write(offset, data)
        arrived(offset + len(data))

    if size is not None:
        sink.room(size - position)
    # After a reset the file may be complete and only unchecked.
    while position != size:
        try:
            if "stream" in source:
                from .streams import receive

                await receive(
                    job.client.link, job.client.thing, source["stream"], source.get("file", 0), source["size"], write,
                    arrived, position,
                )
            else:
                from .download import download

                await download(
                    source["url"], begin, write_next, position if checked or etag else 0, etag, context,
                    not checked and size is None,
                )
            break
        except OSError as error:
            failures += 1
            if position > furthest:
                furthest = position
                failures = 0
            if failed or failures == _ATTEMPTS:
                raise
            log("download:", error)
            await asyncio.sleep(random.random() * (2 << failures))
            await job.progress()
        except ValueError as error:
            status = getattr(error, "status", 0)
            if status == 416 and position:
                position = 0
            elif status == 403 and position > renewed:
                renewed = position
                await job.renew()
                url = str(locate(job.document, mark[-1]).get("url"))
                if source["url"][:5].lower() == "https" != url[:5].lower():
                    raise ValueError("url: it leaves https")
                source = dict(source, url=url)
            else:
                raise
    if size is not None and sink.size != size:
        raise ValueError("the file has %d bytes, not %d" % (sink.size, size))
    job.note(sink.size, limit)
    digest = await check_digest(source, sink)
    # Imported after the download, which needs the memory.
    if key:
        lend("verify", "require", "file", source, key, digest)


async def fetch_file(
    job: "Job", source: dict, locate: "Callable[[dict, Any], dict]", mark: tuple, path: str, start: int,
    means: tuple,
) -> None:
    """Fetch a file to its place in flash, whole or not at all, unless it is there. For the rest see fetch().

    Raises OSError naming the file.
    """
    # Imported here: firmware is not written to files.
    from .flash import Part

    if await is_there(path, source):
        return
    part = Part(path, start > 0)
    try:
        await fetch(job, source, locate, mark, part, min(start, part.size), means)
        part.install()
    except BaseException as error:
        part.close()
        # A handler that is stopped, but not by the service, leaves the part behind for the next attempt.
        if job.cancelled or isinstance(error, Exception):
            part.remove()
        if isinstance(error, (OSError, ValueError)):
            raise OSError("%s: %s" % (path, error))
        raise


async def is_there(path: str, source: dict) -> bool:
    """Return whether a file has the SHA-256 that a job document gives for it; False without one."""
    from .flash import sha256

    try:
        return await sha256(path) == unhexlify(source["sha256"])
    except (OSError, KeyError):
        return False


async def check_digest(source: dict, sink: "Any") -> bytes:
    """Return the SHA-256 of what is in a sink. Raises ValueError unless it is the source's, if any."""
    digest = await sink.sha256()
    if "sha256" in source and unhexlify(source["sha256"]) != digest:
        raise ValueError("the file does not match its sha256")
    return digest
