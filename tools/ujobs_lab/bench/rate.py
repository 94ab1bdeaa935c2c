"""Jobs per second, latency from create-job to SUCCEEDED, and memory, for ujobs and its alternatives (peers.py), in turn
at the same `ujobs serve` over mutual TLS.

Each round has two runs. In the first, all jobs wait when the device connects; the time runs from the end of the first
job to the end of the last. In the second, a connected device gets one job at a time, timed from before CreateJob until
notify-next shows that the job has ended. A third run, done once, is like the first, but a proxy puts the broker 50 ms
away. Every result is the median of the rounds. Files are in memory if the machine has /dev/shm: the speed of its disk
says nothing about a board's flash."""

import contextlib
import math
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from ujobs_lab.bench import on_unix, peers, usage
from ujobs_lab.bench.cloud_at_work import Work
from ujobs_lab.bench.documents import document_text
from ujobs_lab.bench.far import far
from ujobs_lab.bench.observer import Observer
from ujobs_lab.bench.peers import Peer
from ujobs_lab.bench.servers import ujobs_serve
from ujobs_lab.bench.sheet import Sheet
from ujobs_tools.host.processes import NotReady, running

_PATIENCE = 60.0  # seconds
_FAR = 0.05  # seconds each way
_MEMORY = Path("/dev/shm")

Numbers = dict[str, float]


def measure(jobs: int = 50, singles: int = 100, rounds: int = 3, far_jobs: int = 10) -> dict[str, Any]:
    """Results of each device, the median of so many rounds. jobs: waiting when the device connects; singles: one at a
    time; far_jobs: waiting at the distant broker. Raises NotReady."""
    taken: dict[str, list[Numbers]] = {}
    place = _MEMORY if _MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="ujobs-bench-", dir=place) as temporary:
        folder = Path(temporary)
        on_unix.compile_programs(folder)
        with ujobs_serve(folder) as service, contextlib.ExitStack() as stack:
            ways = []
            for number, peer in enumerate(peers.peers(folder)):
                work = Work(service, folder / str(number))
                work.allow_observer()
                observer = Observer(work.thing)
                stack.callback(observer.end)
                ways.append((peer, work, observer))
                taken[peer.name] = []
            for _ in range(rounds):
                for peer, work, observer in ways:
                    one = _many(folder, work, observer, peer, jobs)
                    taken[peer.name].append(one | _singles(folder, work, observer, peer, singles))
            away = {}
            with far(service.mqtts, _FAR, _FAR) as proxy:
                for peer, work, observer in ways:
                    found = _many(folder, work, observer, peer, far_jobs, port=proxy.port)
                    away[peer.name] = found["jobs_per_second"]
    devices = {name: median(figures) | {"far_jobs_per_second": away[name]} for name, figures in taken.items()}
    return {"jobs": jobs, "singles": singles, "rounds": rounds, "devices": devices}


def median(rounds: list[Numbers]) -> Numbers:
    """The median of each figure of a device."""
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}


def budgets(found: dict[str, Any]) -> Numbers:
    """The figures that budget.toml limits: against the peers that do not wait for delayed acknowledgements."""
    devices = found["devices"]
    ours, sdk, whole = devices[peers.UJOBS], devices[peers.SDK], devices[peers.WHOLE]
    return {
        "whole_ratio": ours["jobs_per_second"] / whole["jobs_per_second"],
        "sdk_ratio": ours["jobs_per_second"] / sdk["jobs_per_second"],
        "far_ratio": ours["far_jobs_per_second"] / sdk["far_jobs_per_second"],
        "memory_ratio": ours["resident"] / sdk["resident"],
    }


def sheets(found: dict[str, Any]) -> list[Sheet]:
    """The table."""
    rows: list[tuple[str, ...]] = [
        (
            name, f"{one['jobs_per_second']:.1f}", f"{one['far_jobs_per_second']:.1f}", f"{one['p50_ms']:.1f}",
            f"{one['p99_ms']:.1f}", f"{one['resident'] / 1e6:.1f}", f"{one['heap'] / 1e3:.0f}" if "heap" in one else "",
        )
        for name, one in found["devices"].items()
    ]
    note = "Process: resident memory, interpreter and TLS included. Heap: MicroPython's, with 64-bit words."
    columns = ("", "jobs/s", "jobs/s, 50 ms away", "p50, ms", "p99, ms", "process, MB", "heap in use, KB")
    title = f"{found['jobs']} jobs one after the other, {found['singles']} one at a time, median of {found['rounds']}"
    return [Sheet(title, columns, rows, note)]


def _many(folder: Path, work: Work, observer: Observer, peer: Peer, count: int, port: int | None = None) -> Numbers:
    job_ids = work.offer(count)
    options = _options(folder, work, peer, jobs=count, idle=True)
    if port is not None:
        options["port"] = port
    with running(peer.command(folder, options), subprocess.PIPE, on_unix.environment(options)) as process:
        observer.wait_for(job_ids, _PATIENCE)
        output, _ = process.communicate(timeout=_PATIENCE)
    times = [observer.ended[job_id] for job_id in job_ids]
    work.check(job_ids)
    found = {"jobs_per_second": (count - 1) / (max(times) - min(times))}
    if peer.micropython:
        found["heap"] = on_unix.result(output.decode())["held"]
    return found


def _singles(folder: Path, work: Work, observer: Observer, peer: Peer, count: int) -> Numbers:
    text = document_text(1024)
    with (folder / "device.log").open("wb") as log:
        options = _options(folder, work, peer, jobs=0, idle=False)
        with running(peer.command(folder, options), log, on_unix.environment(options)) as process:
            # The first job also waits for the connection, so it is not counted.
            times = [_single(work, observer, text) for _ in range(1 + count)][1:]
            if process.poll() is not None:
                raise NotReady(f"{peer.name}: {(folder / 'device.log').read_text()[-2000:]}")
            resident = usage.memory(process.pid)
    milliseconds = sorted(time * 1000 for time in times)
    return {
        "p50_ms": statistics.median(milliseconds),
        "p99_ms": milliseconds[math.ceil(count * 0.99) - 1],
        "resident": resident,
    }


def _single(work: Work, observer: Observer, text: str) -> float:
    job_id, began = work.create(text)
    observer.wait_for([job_id], _PATIENCE)
    return observer.ended[job_id] - began


def _options(folder: Path, work: Work, peer: Peer, **more: Any) -> dict[str, Any]:
    return work.options(True, journal=str(folder / f"{work.thing.name}-records"), **more, **dict(peer.options))

