"""Files of a megabyte by stream and by HTTP or HTTPS, and with resets at random moments."""

import time
from typing import Any

from ujobs_tools.qualify.bench import Bench
from ujobs_tools.qualify.case import FILES, RESET_LINE, Case, Unexpected, share
from ujobs_tools.qualify.transfer import Streams, entry, web_server

_PATH = "/data/qualify.bin"
_RESERVE = 131072  # bytes of flash that stay free
_PATIENCE = 900.0  # seconds
_PARTS = 5  # parts of --resets; this case gets one
_SMALL = 65536  # bytes
_LONGEST = 3.0  # maximum seconds of a small download


def _content(size: int, seed: int) -> bytes:
    # Content that does not compress, and whose blocks differ.
    return bytes((n * 11 + n // 251 + seed) & 255 for n in range(size))


def _size(bench: Bench) -> int:
    return min(1 << 20, int(bench.facts["flash_free"]) - 2 * _RESERVE)


def _fetch(bench: Bench, name: str, content: bytes, source: dict[str, Any], options: dict[str, Any]) -> str:
    start = time.monotonic()
    document = {"operation": "files", "fetch": [entry(_PATH, content, **source)]}
    account = bench.account
    account.expect(account.create(document, **options), "SUCCEEDED", _PATIENCE, fetched="1")
    bench.figure(f"KB/s by {name}", len(content) / 1024 / (time.monotonic() - start))
    bench.job({"operation": "files", "delete": [_PATH]}, deleted="1")
    return f"{len(content)} bytes arrived with the right SHA-256"


def _by_stream(bench: Bench) -> str:
    content = _content(_size(bench), 1)
    with Streams(bench) as streams:
        return _fetch(bench, "stream", content, {"stream": streams.stream("file", content)}, {})


def _by_web(bench: Bench) -> str:
    content = _content(_size(bench), 2)
    if bench.account.endpoint.local:
        with web_server(str(bench.settings["host"]), content) as url:
            return _fetch(bench, "HTTP", content, {"url": url}, {})
    with Streams(bench) as streams:
        url, options = streams.presigned("file-web", content)
        return _fetch(bench, "HTTPS", content, {"url": url}, options)


def _with_resets(bench: Bench) -> str:
    account, board, random = bench.account, bench.board, bench.random("downloads")
    count = share(bench.choices.resets, _PARTS)
    with Streams(bench) as streams:
        for at in range(count):
            content = _content(_SMALL, at + 3)
            stream = streams.stream(f"file-{at}", content)
            moment = random.uniform(0, _LONGEST)
            job = account.create({"operation": "files", "fetch": [entry(_PATH, content, stream=stream)]})
            bench.reset_after(moment, _PATIENCE)
            account.expect(job, "SUCCEEDED", _PATIENCE)
            with board.stopped() as remote:
                there = remote.files(_PATH).get(_PATH)
            if there != entry(_PATH, content)["sha256"]:
                raise Unexpected(f"SUCCEEDED, but flash has SHA-256 {there}")
            bench.say(f"         {at + 1} of {count}: {1000 * moment:.0f} ms, SUCCEEDED")
    bench.job({"operation": "files", "delete": [_PATH]}, deleted="1")
    return f"{count} resets: each job SUCCEEDED, and its file in flash is complete"


CASES = (
    Case("updates.stream", "a file of 1 MB, or what flash has room for, by stream", _by_stream, (FILES,),
         lambda resets: 2),
    Case("updates.web", "the same by HTTP from this machine, on AWS by presigned URL over HTTPS", _by_web, (FILES,),
         lambda resets: 2),
    Case("updates.download-resets", "resets at random times during downloads: SUCCEEDED, and the file is complete",
         _with_resets, (FILES, RESET_LINE), lambda resets: share(resets, _PARTS) + 1),
)
