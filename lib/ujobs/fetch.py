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


class _Progress:
    # Tracks how much of the file has arrived, reports it as progress, and saves checkpoints.
    def __init__(self, job, mark, sink, size, start, checked):
        self.job = job
        self.mark = mark
        self.sink = sink
        self.size = self.limit = size
        self.start = self.saved = start
        self.checked = checked
        self.etag = None
        self.failed = False

    def flash(self, change, *arguments):
        # Unlike a link error, a flash error is not worth a retry.
        try:
            change(*arguments)
        except OSError:
            self.failed = True
            raise

    def begin(self, offset, total, etag):
        if self.size is not None and total not in (None, self.size):
            raise ValueError("the file has %d bytes, not %d" % (total, self.size))
        if offset and not self.checked and etag != self.etag:
            self.start = 0
            raise OSError("the file has changed")
        self.etag = etag
        if not offset:
            self.flash(self.sink.clear)
        if self.size is None:
            self.limit = total
            self.flash(self.sink.room, (total or offset) - offset)

    def write(self, offset, data):
        if self.limit is not None and offset + len(data) > self.limit:
            raise ValueError("the file is over %d bytes" % self.limit)
        self.flash(self.sink.write, offset, data)
        self.job.note(offset + len(data), self.limit)

    def in_order(self, offset, data):
        self.write(offset, data)
        self.arrived(offset + len(data))

    def arrived(self, start):
        self.start = start
        if not 0 <= start - self.saved < _EVERY:
            if self.limit is None:
                self.flash(self.sink.room, _EVERY)
            self.flash(self.sink.flush)
            self.flash(self.job.save, self.mark + (start,))
            self.saved = start


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
    size = source.get("size")
    context, key = means
    # Otherwise only an ETag proves that two parts belong to one version, and none is kept across a reset.
    checked = "sha256" in source or key
    progress = _Progress(job, mark, sink, size, start if checked else 0, checked)
    if size is not None:
        sink.room(size - progress.start)
    renewed = -1  # position at which a presigned URL was last renewed
    failures = furthest = 0
    # After a reset the file may be complete and only unchecked.
    while progress.start != size:
        furthest = max(furthest, progress.start)
        try:
            if "stream" in source:
                from .streams import BLOCK, receive

                await receive(
                    job.client.link, job.client.thing, source["stream"], source.get("file", 0), source["size"],
                    progress.write, progress.arrived, progress.start // BLOCK * BLOCK,
                )
            else:
                from .download import download

                await download(
                    source["url"], progress.begin, progress.in_order,
                    progress.start if checked or progress.etag else 0, progress.etag, context,
                    not checked and size is None,
                )
            break
        except OSError as error:
            failures = failures + 1 if progress.start <= furthest else 0
            if progress.failed or failures == _ATTEMPTS:
                raise
            log("download:", error)
            await asyncio.sleep(random.random() * (2 << failures))
            await job.progress()
        except ValueError as error:
            status = getattr(error, "status", 0)
            if status == 416 and progress.start:
                progress.start = 0
            elif status == 403 and progress.start > renewed:
                renewed = progress.start
                await job.renew()
                url = str(locate(job.document, mark[-1]).get("url"))
                if source["url"][:5].lower() == "https" != url[:5].lower():
                    raise ValueError("url: it leaves https")
                source = dict(source, url=url)
            else:
                raise
    if size is not None and sink.size != size:
        raise ValueError("the file has %d bytes, not %d" % (sink.size, size))
    digest = await check_digest(source, sink)
    # Imported after the download, which needs the memory.
    if key and not lend("verify", "signed", source, key, digest):
        raise ValueError("the file's signature does not match signing_key")


async def fetch_file(
    job: "Job", source: dict, locate: "Callable[[dict, Any], dict]", mark: tuple, path: str, start: int,
    means: tuple,
) -> None:
    """Fetch a file to its place in flash, whole or not at all, unless it is there. For the rest see fetch()."""
    # Imported here: firmware is not written to files.
    from .flash import Part, is_there

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
        raise


async def check_digest(source: dict, sink: "Any") -> bytes:
    """Return the SHA-256 of what is in a sink. Raises ValueError unless it is the source's, if any."""
    digest = await sink.sha256()
    if "sha256" in source and unhexlify(source["sha256"]) != digest:
        raise ValueError("the file does not match its sha256")
    return digest
