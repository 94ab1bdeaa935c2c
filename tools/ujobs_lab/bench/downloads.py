"""Downloads over TLS: speed, instructions and heap of the job `files`, by MQTT streams and by HTTPS, against a bare
loop from socket to file, without and with SHA-256.

The time runs from the first byte until the file is in place, so it excludes connection and handshake. For ujobs it
includes checkpoints and the SHA-256 of the written file. Files are on the host's file system. The heap is measured in a
separate run, at every piece, as the growth since the start of the download.

On loopback all data has arrived before it is read. A second measurement therefore runs over a slow link. There, the
turns of the event loop per KB matter, because a turn without new data costs an ESP32 up to 10 ms. Instructions are
counted for two file sizes. The difference per byte excludes start, handshake and job, but includes TLS."""

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

from ujobs_lab.bench import instructions, on_unix
from ujobs_lab.bench.cloud_at_work import Work
from ujobs_lab.bench.far import far
from ujobs_lab.bench.file_server import file_server
from ujobs_lab.bench.servers import UjobsServe, ujobs_serve
from ujobs_lab.bench.sheet import Sheet
from ujobs_tools.aws import cloud
from ujobs_tools.host.processes import NotReady
from ujobs_tools.keys.pki import Authority

_LOOP, _HASHING = "bare loop", "bare loop with SHA-256"
_STREAM, _HTTPS = "MQTT stream", "HTTPS"
_PROGRAM = "downloading"
_HEAP = "256k"  # with 64-bit words; corresponds to 128 KB on a board
_PER_BYTE = "instructions_per_byte"
_TRICKLE_DELAY = 0.05  # seconds each way
_TRICKLE_RATE = 100_000  # bytes a second
_ROLE = "arn:aws:iam::000000000000:role/streams"

# Prepares one download; returns the options of on_board/downloading.py.
Prepare = Callable[[], dict[str, Any]]


def measure(
    size: int = 1 << 20, rounds: int = 5, valgrind: bool | None = None, trickle_size: int = 1 << 18
) -> dict[str, Any]:
    """Measure speed, heap and instructions per byte for each way of downloading.

    size: of the file, bytes; heap and instructions are also measured for a quarter of it. rounds: the speed is the
    median of so many. valgrind: whether to count instructions, None: if valgrind is installed. trickle_size: of the
    file over the slow link, bytes. Raises NotReady, on_unix.ProgramFailed.
    """
    count = instructions.countable() if valgrind is None else valgrind
    found: dict[str, Any] = {"size": size, "rounds": rounds, "ways": {}}
    counted: dict[str, int] = {}
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
                if count:
                    counted[way] = _count(folder, prepare, size)
        quarter = size // 4
        with _field(folder / "quarter", quarter) as ways:
            for way, prepare in ways.items():
                found["ways"][way]["heap_quarter"] = _heap(_run(folder, prepare, quarter, True))
                if count:
                    more = counted[way] - _count(folder, prepare, quarter)
                    found["ways"][way]["instructions_per_byte"] = more / (size - quarter)
        found["trickle"] = _trickle(folder / "trickle", trickle_size, count)
    return found | {"trickle_size": trickle_size}


def _trickle(folder: Path, size: int, count: bool) -> dict[str, dict[str, float]]:
    figures: dict[str, dict[str, float]] = {}
    with _field(folder, size, trickles=True) as ways:
        for way in (_STREAM, _HTTPS):
            prepare = ways[way]
            one = _run(folder.parent, prepare, size, False)
            figures[way] = {"kb_per_second": size / (one["microseconds"] / 1e3), "turns": one["turns"] / (size / 1024)}
            if count:
                figures[way]["instructions"] = _count(folder.parent, prepare, size)
    if count:
        quarter = size // 4
        with _field(folder / "quarter", quarter, trickles=True) as ways:
            for way in (_STREAM, _HTTPS):
                more = figures[way].pop("instructions") - _count(folder.parent, ways[way], quarter)
                figures[way][_PER_BYTE] = more / (size - quarter)
    return figures


def budgets(found: dict[str, Any]) -> dict[str, float]:
    """The figures that budget.toml limits."""
    loop, hashing = found["ways"][_LOOP], found["ways"][_HASHING]
    ratios = {}
    for name, way in (("streams", _STREAM), ("https", _HTTPS)):
        one = found["ways"][way]
        ratios[f"{name}_ratio"] = one["mb_per_second"] / loop["mb_per_second"]
        if _PER_BYTE in one:
            ratios[f"{name}_instructions_ratio"] = loop[_PER_BYTE] / one[_PER_BYTE]
            ratios[f"{name}_same_work_ratio"] = hashing[_PER_BYTE] / one[_PER_BYTE]
        trickling = found["trickle"][way]
        ratios[f"{name}_turns_per_kb"] = trickling["turns"]
        ratios[f"{name}_trickle_kb_per_second"] = trickling["kb_per_second"]
    return ratios


def sheets(found: dict[str, Any]) -> list[Sheet]:
    """The tables: on loopback, and over the slow link."""
    loop, hashing, size = found["ways"][_LOOP], found["ways"][_HASHING], found["size"]
    rows = [
        (
            way, f"{one['mb_per_second']:.1f}", f"{one['mb_per_second'] / loop['mb_per_second']:.2f}",
            *(
                [f"{one[_PER_BYTE]:.0f}", *(f"{base[_PER_BYTE] / one[_PER_BYTE]:.2f}" for base in (loop, hashing))]
                if _PER_BYTE in one else [""] * 3
            ),
            f"{one['heap_quarter']:,}", f"{one['heap']:,}",
        )
        for way, one in found["ways"].items()
    ]
    columns = (
        "", "MB/s", "relative to the bare loop", "instructions a byte", "bare loop = 1", "loop with SHA-256 = 1",
        f"heap for {size >> 12} KB", f"for {size >> 10} KB",
    )
    note = "Heap: bytes, 64-bit words, with the modules that the job imports."
    if _PER_BYTE not in loop:
        note += " " + instructions.NOT_COUNTED
    title = f"Downloads of {size >> 10} KB over TLS, median of {found['rounds']}"
    return [Sheet(title, columns, rows, note), _trickle_sheet(found)]


def _trickle_sheet(found: dict[str, Any]) -> Sheet:
    rows = [
        (
            way, f"{one['kb_per_second']:.0f}", f"{one['turns']:.1f}",
            f"{one[_PER_BYTE]:.0f}" if _PER_BYTE in one else "",
        )
        for way, one in found["trickle"].items()
    ]
    title = f"{found['trickle_size'] >> 10} KB at 100 KB/s, 100 ms round trip, in segments of 1,440 bytes"
    columns = ("", "KB/s", "turns of the loop per KB", "instructions a byte")
    return Sheet(title, columns, rows, "1 KB/s is 1,000 bytes.")


def _heap(found: dict[str, Any]) -> int:
    return found["most"] - found["before"]


def _run(folder: Path, prepare: Prepare, size: int, collect: bool) -> dict[str, Any]:
    with _fetching(prepare, size) as options:
        return on_unix.run(folder, _PROGRAM, options | {"collect": collect}, _HEAP)[0]


def _count(folder: Path, prepare: Prepare, size: int) -> int:
    with _fetching(prepare, size) as options:
        return instructions.count(folder, _PROGRAM, options | {"collect": False}, _HEAP)


@contextlib.contextmanager
def _fetching(prepare: Prepare, size: int) -> Iterator[dict[str, Any]]:
    # Options for one download. Afterwards, check the file and delete it.
    options = prepare()
    yield options
    path = Path(options["path"])
    if not path.exists() or path.stat().st_size != size:
        raise NotReady(f"{path} is missing or incomplete")
    path.unlink()


@contextlib.contextmanager
def _field(folder: Path, size: int, trickles: bool = False) -> Iterator[dict[str, Prepare]]:
    # A service and a web server with a file of so many bytes; gives a Prepare for each way of downloading.
    content = random.Random(size).randbytes(size)
    folder.mkdir(parents=True, exist_ok=True)
    path = str(folder / "flash" / "file")
    with ujobs_serve(folder) as service, contextlib.ExitStack() as stack:
        context = Authority(service.authority).server_context()
        context.verify_mode = ssl.CERT_NONE  # boards download files without a client certificate
        with file_server(content, context) as web:
            work = Work(service, folder)
            mqtt = service.mqtts
            if trickles:
                web, mqtt = (
                    stack.enter_context(far(port, _TRICKLE_DELAY, _TRICKLE_DELAY, _TRICKLE_RATE)).port
                    for port in (web, mqtt)
                )
            _create_stream(service, content)
            entry = {"path": path, "size": size, "sha256": hashlib.sha256(content).hexdigest()}

            def by_job(**source: Any) -> dict[str, Any]:
                for document in ({"operation": "held"}, {"operation": "files", "fetch": [entry | source]}):
                    work.create(json.dumps(document))
                return work.options(True, path=path, journal=str(folder / "journal")) | {"port": mqtt}

            def by_loop(sha256: bool) -> dict[str, Any]:
                ca = str(work.thing.directory / "ca.der")
                return {"path": path, "host": "localhost", "port": web, "ca": ca, "sha256": sha256}

            Path(path).parent.mkdir(exist_ok=True)
            yield {
                _LOOP: lambda: by_loop(sha256=False),
                _HASHING: lambda: by_loop(sha256=True),
                _STREAM: lambda: by_job(stream="file", file=0),
                _HTTPS: lambda: by_job(url=f"https://localhost:{web}/file"),
            }


def _create_stream(service: UjobsServe, content: bytes) -> None:
    iot, s3 = (cloud.client(name, service.endpoint_url) for name in ("iot", "s3"))
    location = {"bucket": "files", "key": "0"}
    s3.put_object(Bucket="files", Key="0", Body=content)
    iot.create_stream(streamId="file", files=[{"fileId": 0, "s3Location": location}], roleArn=_ROLE)
