"""How fast a file comes to a board over TLS, and what heap that takes: by MQTT streams and over HTTPS, as the job
`files` fetches them, next to a bare loop from socket to file, with and without asyncio.

Measured from the first byte to the file in its place, so without connection and handshake; with ujobs that has the
checkpoints on the way and the SHA-256 of what was written, read back. Files are on the host's file system. The heap is
looked at in a run of its own, with every piece: what is reachable then, beyond what was before the download began.

MicroPython's unix port waits a millisecond in every turn of asyncio's loop while it watches a TLS socket, which a board
does not: what asyncio takes here says little of one."""

import contextlib
import hashlib
import json
import random
import ssl
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ujobs_tools import cloud
from ujobs_tools.bench import on_unix
from ujobs_tools.bench.cloud_at_work import Work, at_work
from ujobs_tools.bench.file_server import file_server
from ujobs_tools.bench.servers import UjobsServe
from ujobs_tools.bench.sheet import Sheet
from ujobs_tools.pki import Authority
from ujobs_tools.processes import NotReady

_LOOP, _ASYNCIO, _STREAM, _HTTPS = "bare loop", "bare loop with asyncio", "MQTT stream", "HTTPS"
_HEAP = "256k"  # with words of 8 bytes; what 128 KB are on a board
_ROLE = "arn:aws:iam::000000000000:role/streams"

# Prepares one download; gives the options of on_board/downloading.py.
Prepare = Callable[[], dict[str, Any]]


def measure(size: int = 1 << 20, rounds: int = 5) -> dict[str, Any]:
    """Rate for a file of so many bytes, the median of so many rounds; heap for it and for one of a quarter.

    Raises NotReady, on_unix.ProgramFailed.
    """
    found: dict[str, Any] = {"size": size, "rounds": rounds, "ways": {}}
    with tempfile.TemporaryDirectory(prefix="ujobs-bench-") as temporary:
        folder = Path(temporary)
        on_unix.compile_programs(folder)
        with _field(folder, size) as ways:
            took: dict[str, list[float]] = {way: [] for way in ways}
            for _ in range(rounds):
                for way, prepare in ways.items():
                    took[way].append(_run(folder, prepare, size, False)["microseconds"] / 1e6)
            for way, prepare in ways.items():
                rate = size / 1e6 / statistics.median(took[way])
                found["ways"][way] = {"mb_per_second": rate, "heap": _heap(_run(folder, prepare, size, True))}
        with _field(folder / "quarter", size // 4) as ways:
            for way, prepare in ways.items():
                found["ways"][way]["heap_quarter"] = _heap(_run(folder, prepare, size // 4, True))
    return found


def budgets(found: dict[str, Any]) -> dict[str, float]:
    """The figures that budget.toml has limits for."""
    rates = {way: one["mb_per_second"] for way, one in found["ways"].items()}
    return {"streams_ratio": rates[_STREAM] / rates[_LOOP], "https_ratio": rates[_HTTPS] / rates[_LOOP]}


def sheets(found: dict[str, Any]) -> list[Sheet]:
    """The table."""
    loop, size = found["ways"][_LOOP]["mb_per_second"], found["size"]
    rows = [
        (
            way, f"{one['mb_per_second']:.1f}", f"{one['mb_per_second'] / loop:.2f}",
            f"{one['heap_quarter']:,}", f"{one['heap']:,}",
        )
        for way, one in found["ways"].items()
    ]
    columns = ("", "MB/s", "to the bare loop", f"heap for {size >> 12} KB, bytes", f"for {size >> 10} KB, bytes")
    note = "Heap: with words of 8 bytes, and with the modules that the job imports."
    return [Sheet(f"Downloads of {size >> 10} KB over TLS, median of {found['rounds']}", columns, rows, note)]


def _heap(found: dict[str, Any]) -> int:
    return found["most"] - found["before"]


def _run(folder: Path, prepare: Prepare, size: int, collect: bool) -> dict[str, Any]:
    options = prepare()
    path = Path(options["path"])
    found, _ = on_unix.run(folder, "downloading", options | {"collect": collect}, _HEAP)
    if not path.exists() or path.stat().st_size != size:
        raise NotReady(f"{path} has not come whole")
    path.unlink()
    return found


@contextlib.contextmanager
def _field(folder: Path, size: int) -> Iterator[dict[str, Prepare]]:
    # A service, a web server and a file of so many bytes; gives how each way of fetching it is prepared.
    content = random.Random(size).randbytes(size)
    folder.mkdir(exist_ok=True)
    path = str(folder / "flash" / "file")
    with file_server(content) as s3, at_work(folder, "--s3-url", f"http://127.0.0.1:{s3}") as service:
        context = Authority(service.authority).server_context()
        context.verify_mode = ssl.CERT_NONE  # boards fetch files without a certificate of their own
        with file_server(content, context) as web:
            work = Work(service, folder)
            _create_stream(service)
            entry = {"path": path, "size": size, "sha256": hashlib.sha256(content).hexdigest()}

            def by_job(**source: Any) -> dict[str, Any]:
                for document in ({"operation": "held"}, {"operation": "files", "fetch": [entry | source]}):
                    work.create(json.dumps(document))
                return work.options(True, path=path, journal=str(folder / "journal"))

            def by_loop(asyncio: bool) -> dict[str, Any]:
                ca = str(work.thing.directory / "ca.der")
                return {"path": path, "host": "localhost", "port": web, "ca": ca, "asyncio": asyncio}

            Path(path).parent.mkdir(exist_ok=True)
            yield {
                _LOOP: lambda: by_loop(False),
                _ASYNCIO: lambda: by_loop(True),
                _STREAM: lambda: by_job(stream="file", file=0),
                _HTTPS: lambda: by_job(url=f"https://localhost:{web}/file"),
            }


def _create_stream(service: UjobsServe) -> None:
    iot = cloud.client("iot", service.endpoint_url)
    location = {"bucket": "files", "key": "0"}
    iot.create_stream(streamId="file", files=[{"fileId": 0, "s3Location": location}], roleArn=_ROLE)
