"""Bring a file that a job document describes to flash: over HTTPS or a stream, on from where it stopped, checked.

A source in a job document: {"url": "https://…"} or {"stream": "name", "file": 0}, with "size" in bytes (needed for a
stream), "sha256" in hexadecimal, and "signature" in base64 where the board requires one.
"""

import asyncio
import random

from micropython import const

from .job import Reject
from .link import explain, log

_EVERY = const(32768)  # bytes between two checkpoints: a flash erase or two
_ATTEMPTS = const(5)  # in a row that bring nothing


class _Progress:
    # Where the file has got to, and what is told and kept of it.
    def __init__(self, job, sink, position, save):
        self.job = job
        self.sink = sink
        self.position = self.saved = position
        self.save = save
        self.failed = False

    def write(self, offset, data, total):
        try:
            self.sink.write(offset, data)
        except OSError:
            # Of the flash, not of the link: trying again would not help.
            self.failed = True
            raise
        self.job.note(offset + len(data), total)

    def in_order(self, offset, data, total):
        self.write(offset, data, total)
        self.arrived(offset + len(data))

    def arrived(self, position):
        self.position = position
        if not 0 <= position - self.saved < _EVERY:
            self.sink.flush()
            self.save(position)
            self.saved = position


def check_source(source, trusted: bool = False):
    """Check what a job document says of a file. Raises ValueError naming the field.

    trusted: whether HTTPS will do instead of a SHA-256, since AWS's own document for downloads has none.
    """
    if not isinstance(source, dict) or ("url" in source) == ("stream" in source):
        raise ValueError("a file needs either url or stream")
    digest = source.get("sha256")
    if digest is None:
        if not trusted or not str(source.get("url")).startswith("https:"):
            raise ValueError("sha256 is missing")
    elif not isinstance(digest, str) or len(digest) != 64:
        raise ValueError("sha256 must be 64 hexadecimal digits")
    size = source.get("size")
    if ("stream" in source or size is not None) and (not isinstance(size, int) or size < 0):
        raise ValueError("size must be the number of bytes in the file")


def context_for(sources, options):
    """Return the TLS context that the https URLs among the sources need, None when there is none.

    options: of Agent.use(); `ca` is what the servers are verified with. Raises Reject when it is missing, ValueError.
    """
    if not any([source.get("url", "").startswith("https:") for source in sources]):
        return None
    if not options.get("ca"):
        raise Reject("https needs the option ca")
    from .certificates import tls_context

    return tls_context(options["ca"])


async def fetch(job, locate, sink, position: int, save, context):
    """Bring a file into a sink, and check its size and SHA-256 there.

    locate: gives the source in a job document, which is fetched anew when a presigned URL has expired. sink: has
    write(offset, data), flush(), size and the coroutine sha256(), see flash.Part. position: where to go on. save:
    called with the position that is safe in flash. context: TLS context for https.
    Raises ValueError for a source that will not do or content that is not what was announced, OSError.
    """
    source = locate(job.document)
    progress = _Progress(job, sink, position, save)
    renewed = False
    failures = 0
    while True:
        before = progress.position
        try:
            await _once(job, source, progress, context)
            break
        except OSError as error:
            failures = failures + 1 if progress.position <= before else 0
            if progress.failed or failures == _ATTEMPTS:
                raise
            log("download:", explain(error))
            await asyncio.sleep(random.random() * (2 << failures))
        except ValueError as error:
            status = getattr(error, "status", 0)
            if status == 416 and progress.position:
                progress.position = 0
            elif status == 403 and not renewed:
                renewed = True
                await job.renew()
                source = locate(job.document)
            else:
                raise
    size = source.get("size")
    if size is not None and sink.size != size:
        raise ValueError("the file has %d bytes and not %d" % (sink.size, size))
    if "sha256" in source and await sink.sha256() != source["sha256"].lower():
        raise ValueError("the file's SHA-256 is not the one in the job document")


async def _once(job, source, progress, context):
    if "stream" in source:
        from .streams import BLOCK, receive

        await receive(
            job.client.link, job.client.thing, source["stream"], source.get("file", 0), source["size"],
            progress.write, progress.arrived, progress.position // BLOCK * BLOCK,
        )
        return
    from .download import download

    await download(source["url"], progress.in_order, progress.position, context)
