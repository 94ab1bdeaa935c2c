"""Bring a file that a job document describes to flash: over HTTPS or a stream, on from where it stopped, checked.

A source in a job document: {"url": "https://…"} or {"stream": "name", "file": 0}, with "size" in bytes (needed for a
stream), "sha256" in hexadecimal, and "signature" in base64 where the board requires one, with "scheme" for RSA-PSS, see
verify.check().
"""

import asyncio
import random
from binascii import a2b_base64, unhexlify

from micropython import const

from .agent import Reject
from .link import explain, log

# What only type checkers read; the compiler leaves it out.
_TYPING = const(0)
if _TYPING:
    from typing import Any, Callable

    from .job import Job

_EVERY = const(32768)  # bytes between two checkpoints: a flash erase or two
_ATTEMPTS = const(5)  # in a row that bring nothing


class _Progress:
    # How much of the file has arrived, what proves that the next part belongs to it, and the checkpoints.
    def __init__(self, job, sink, size, position, save, checked):
        self.job = job
        self.sink = sink
        self.size = self.limit = size
        self.position = self.saved = position
        self.save = save
        self.checked = checked
        self.etag = None
        self.failed = False

    def flash(self, change, *arguments):
        # An error of the flash, unlike one of the link, is not worth a retry.
        try:
            change(*arguments)
        except OSError:
            self.failed = True
            raise

    def begin(self, offset, total, etag):
        if self.size is not None and total not in (None, self.size):
            raise ValueError("the file has %d bytes and not %d" % (total, self.size))
        if offset and not self.checked and etag != self.etag:
            self.position = 0
            raise OSError("the file has changed")
        self.etag = etag
        if self.size is None:
            self.limit = total
        if not offset:
            self.flash(self.sink.restart)
        if total is not None:
            self.flash(self.sink.room, total - offset)

    def write(self, offset, data):
        if self.limit is not None and offset + len(data) > self.limit:
            raise ValueError("the file has more than the %d bytes announced" % self.limit)
        self.flash(self.sink.write, offset, data)
        self.job.note(offset + len(data), self.limit)

    def in_order(self, offset, data):
        self.write(offset, data)
        self.arrived(offset + len(data))

    def arrived(self, position):
        self.position = position
        if not 0 <= position - self.saved < _EVERY:
            if self.limit is None:
                self.flash(self.sink.room, _EVERY)
            self.flash(self.sink.flush)
            self.flash(self.save, position)
            self.saved = position


def check_source(source: object, options: dict, trusted: bool = False) -> None:
    """Check what a job document says of a file. Raises ValueError naming the field.

    options: of Agent.use(); with a signing_key the file needs a signature, which also does instead of a SHA-256.
    trusted: whether HTTPS will do instead of a SHA-256, since AWS's own document for downloads has none.
    """
    if not isinstance(source, dict) or ("url" in source) == ("stream" in source):
        raise ValueError("a file needs either url or stream")
    for name in ("url", "stream"):
        if not isinstance(source.get(name, ""), str):
            raise ValueError(name + " must be text")
    if "url" in source:
        from .download import split_url

        try:
            split_url(source["url"])
        except ValueError as error:
            raise ValueError("url: " + str(error))
    else:
        # Part of a topic.
        if not source["stream"] or any([mark in source["stream"] for mark in "/+#"]):
            raise ValueError("stream is not a name")
        number = source.get("file", 0)
        if not isinstance(number, int) or not 0 <= number <= 255:
            raise ValueError("file must be 0 to 255")
    signed = bool(options.get("signing_key"))
    if signed:
        check_signature(source)
    digest = source.get("sha256")
    if "sha256" not in source:
        if not signed and not (trusted and source.get("url", "")[:6].lower() == "https:"):
            raise ValueError("sha256 is missing")
    elif not isinstance(digest, str) or len(digest) != 64:
        raise ValueError("sha256 must be 64 hexadecimal digits")
    size = source.get("size")
    if ("stream" in source or "size" in source) and (not isinstance(size, int) or size < 0):
        raise ValueError("size must be a number of bytes")


def check_signature(source: dict) -> None:
    """Check that there is a signature, without its key. Raises ValueError."""
    if not isinstance(source.get("signature"), str):
        raise ValueError("signature is missing: this board requires one")
    try:
        a2b_base64(source["signature"])
    except ValueError:
        raise ValueError("signature is not base64")


def means_for(sources: "list[dict] | tuple[dict, ...]", options: dict) -> tuple:
    """Return what fetch() needs to reach these sources and to check them: a TLS context and a key, each or None.

    options: of Agent.use(). `ca`: what HTTPS servers are verified with; `signing_key`: file or bytes of the public key,
    see verify.load_key(). Raises Reject when ca is missing, ValueError when it will not do, OSError.
    """
    context = None
    if any([source.get("url", "")[:6].lower() == "https:" for source in sources]):
        if not options.get("ca"):
            raise Reject("https needs the option ca")
        from .certificates import tls_context

        context = tls_context(options["ca"])
    return context, options.get("signing_key")


async def fetch(
    job: "Job", locate: "Callable[[dict], dict]", sink: "Any", position: int, save: "Callable[[int], None]",
    means: tuple,
) -> None:
    """Bring a file into a sink, and check its size, SHA-256 and signature there.

    locate: gives the source in a job document, which is fetched anew when a presigned URL has expired. sink: has
    write(offset, data), flush(), size and the coroutine sha256(), see flash.Part. position: where to go on. save:
    called with the position that is safe in flash. means: see means_for().
    Raises ValueError for a source that will not do or content that is not what was announced, OSError.
    """
    source = locate(job.document)
    size = source.get("size")
    # Else only an ETag proves that two parts are of the same version, and none is kept over a reset.
    checked = bool("sha256" in source or means[1])
    progress = _Progress(job, sink, size, position if checked else 0, save, checked)
    if size is not None:
        sink.room(size - progress.position)
    renewed = -1  # position at which a presigned URL was last renewed
    failures = furthest = 0
    # After a reset, all of it may be there, and only the check be missing.
    while progress.position != size:
        furthest = max(furthest, progress.position)
        try:
            await _once(job, source, progress, means[0])
            break
        except OSError as error:
            failures = failures + 1 if progress.position <= furthest else 0
            if progress.failed or failures == _ATTEMPTS:
                raise
            log("download:", explain(error))
            await asyncio.sleep(random.random() * (2 << failures))
            await job.progress()
        except ValueError as error:
            status = getattr(error, "status", 0)
            if status == 416 and progress.position:
                progress.position = 0
            elif status == 403 and progress.position > renewed:
                renewed = progress.position
                await job.renew()
                # All else was checked, and a renewed document may say otherwise.
                source = dict(source, url=locate(job.document)["url"])
            else:
                raise
    if size is not None and sink.size != size:
        raise ValueError("the file has %d bytes and not %d" % (sink.size, size))
    digest = await check_digest(source, sink)
    if means[1]:
        # Not before it is needed: a download wants the memory.
        from .verify import signed

        if not signed(source, means[1], unhexlify(digest)):
            raise ValueError("the file's signature is not the signing key's")


async def check_digest(source: dict, sink: "Any") -> str:
    """Return the SHA-256 of what is in a sink, in hexadecimal. Raises ValueError unless it is the source's, if any."""
    digest = await sink.sha256()
    if source.get("sha256", digest).lower() != digest:
        raise ValueError("the file's SHA-256 is not the one in the job document")
    return digest


async def _once(job, source, progress, context):
    if "stream" in source:
        from .streams import BLOCK, receive

        await receive(
            job.client.link, job.client.thing, source["stream"], source.get("file", 0), source["size"],
            progress.write, progress.arrived, progress.position // BLOCK * BLOCK,
        )
        return
    from .download import download

    start = progress.position if progress.checked or progress.etag else 0
    await download(source["url"], progress.begin, progress.in_order, start, progress.etag, context)
